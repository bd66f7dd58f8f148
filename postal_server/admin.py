"""Django's admin: what an administrator sets up, looks at, and does with mail that waits.

Nothing of a mail is trusted: its text is escaped, its HTML is shown only by a view whose answer is sandboxed,
and its files are downloads.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from postal_server import conf, models
from postal_server.engine.domain import DomainQuestions
from postal_server.mail import dkim
from postal_server.mail.message_view import MessageParts, parts
from postal_server.rules.status import CredentialType, DeliveryStatus, RouteMode
from postal_server.services import credential as credentials
from postal_server.services import domain as domains
from postal_server.services import hold, provisioning
from postal_server.services import message as stored
from postal_server.services.acceptance import message_id_key
from postal_server.services.domain import Answers, Question
from postal_server.services.token import message_ids_of
from postal_server.wire.api import MAX_ID
from postal_server.wire.webhook import SUBSCRIBABLE

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Any]
    Pages = Paginator[Any]
else:  # subscriptable only with django-stubs' monkey patch
    ModelAdmin, TabularInline, ModelForm, Pages = (
        admin.ModelAdmin,
        admin.TabularInline,
        forms.ModelForm,
        Paginator,
    )

MAX_COUNTED = 10_000  # rows of a list whose number is worth knowing
MESSAGE_REFERENCE = re.compile(r"&lt;msg:(\d{1,18})&gt;")
NOT_IN_FILE_NAME = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|]')
# A mail's HTML: no scripts, forms, plugins or top navigation (sandbox), and nothing from elsewhere.
HTML_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"


class BoundedPaginator(Pages):
    """Counts to 10,000: beyond that nobody turns the pages, and counting a million rows takes its time."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.values_list("pk")[:MAX_COUNTED])


class Record(ModelAdmin):
    """Rows that report what happened: nobody adds or changes them."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


# Organisations, servers, credentials


class SoftDelete(ModelAdmin):
    """Marks rows as deleted; what belongs to them is deleted within the hour, out of the request."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(deleted_at=None)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        obj.deleted_at = timezone.now()
        obj.save(update_fields=["deleted_at"])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)


@admin.register(models.Organization)
class OrganizationAdmin(SoftDelete):
    list_display = ["name", "permalink", "suspended_at"]
    search_fields = ["name", "permalink"]
    prepopulated_fields = {"permalink": ["name"]}
    exclude = ["deleted_at"]


@admin.register(models.Server)
class ServerAdmin(SoftDelete):
    list_display = ["name", "organization", "mode", "token", "suspended_at", "held", "queued"]
    list_filter = ["mode", "organization"]
    search_fields = ["name", "permalink", "token"]
    prepopulated_fields = {"permalink": ["name"]}
    readonly_fields = ["token", "uuid"]

    fieldsets = [
        (None, {"fields": ["organization", "name", "permalink", "mode", "postmaster_address"]}),
        ("Sending", {"fields": ["send_limit", "allow_sender", "privacy_mode", "log_smtp_data"]}),
        ("Spam", {"fields": ["spam_threshold", "spam_failure_threshold", "outbound_spam_threshold"]}),
        (
            "Retention",
            {
                "fields": [
                    "message_retention_days",
                    "raw_message_retention_days",
                    "raw_message_retention_size",
                ]
            },
        ),
        ("Suspension", {"fields": ["suspended_at", "suspension_reason"]}),
        ("Identifiers", {"fields": ["token", "uuid"]}),
    ]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().get_changeform_initial_data(request), **provisioning.spam_thresholds(conf.config())}

    @admin.display(description="Held")
    def held(self, server: models.Server) -> int:
        held = models.Message.objects.filter(server_id=server.pk, hold_expires_at__isnull=False)
        return len(held.values_list("pk")[:MAX_COUNTED])

    @admin.display(description="Queued")
    def queued(self, server: models.Server) -> int:
        waiting = models.QueuedMessage.objects.filter(server_id=server.pk)
        return len(waiting.values_list("pk")[:MAX_COUNTED])


class CredentialForm(ModelForm):
    """SMTP-IP credentials have a network, the others a key."""

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        kind = given.get("type") or self.instance.type
        network = given.get("network")
        if kind == CredentialType.SMTP_IP.value:
            try:
                given["network"] = str(ip_network(network or "", strict=False))
            except ValueError:
                self.add_error("network", "An address or a CIDR network is required.")
        elif network:
            self.add_error("network", "Only SMTP-IP credentials have a network.")
        return given


@admin.register(models.Credential)
class CredentialAdmin(ModelAdmin):
    form = CredentialForm
    list_display = ["name", "type", "server", "hold", "network", "last_used_at"]
    list_filter = ["type", "hold", "server"]
    search_fields = ["name"]
    fields = ["server", "type", "name", "network", "hold", "last_used_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["last_used_at"] if obj is None else ["server", "type", "last_used_at"]

    def save_model(self, request: HttpRequest, obj: models.Credential, form: Any, change: bool) -> None:
        if change:
            return super().save_model(request, obj, form, change)
        made, key = credentials.create(
            obj.server, CredentialType(obj.type), obj.name, network=obj.network, hold=obj.hold
        )
        obj.pk, obj.key_digest, obj.key_encrypted = made.pk, made.key_digest, made.key_encrypted
        request.new_key = key  # type: ignore[attr-defined]
        return None

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the key in this one answer: it is not kept in a message, a session or a URL."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Key of the new credential",
            "credential": obj,
            "key": request.new_key,  # type: ignore[attr-defined]
        }
        response = TemplateResponse(request, "admin/postal_server/credential/key.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response


# Domains


def ask(questions: Sequence[Question]) -> Answers:
    """The answers of DNS as it is now: nothing is remembered from earlier."""
    from postal_server.management.processes import resolver  # noqa: PLC0415 - it loads the whole server

    return asyncio.run(DomainQuestions(resolver(conf.config())).ask(questions))


class TrackDomainInline(TabularInline):
    model = models.TrackDomain
    extra = 0
    fields = ["server", "name", "ssl_enabled", "track_clicks", "track_loads", "dns_status", "dns_error"]
    readonly_fields = ["dns_status", "dns_error"]


@admin.register(models.Domain)
class DomainAdmin(ModelAdmin):
    list_display = [
        "name",
        "owner",
        "verified_at",
        "spf_status",
        "dkim_status",
        "mx_status",
        "return_path_status",
    ]
    list_filter = ["server", "organization"]
    search_fields = ["name"]
    actions = ["check_dns", "verify"]
    inlines = [TrackDomainInline]
    readonly_fields = ["records", "dns_state", "verified_at", "dns_checked_at"]
    fieldsets = [
        (None, {"fields": ["name", "server", "organization", "use_for_any"]}),
        ("DNS records to publish", {"fields": ["records"]}),
        ("DNS as last looked up", {"fields": ["dns_state", "dns_checked_at", "verified_at"]}),
    ]

    @admin.display(description="Owner")
    def owner(self, domain: models.Domain) -> str:
        return str(domain.server or domain.organization)

    @admin.display(description="Records")
    def records(self, domain: models.Domain) -> SafeString | str:
        if not domain.pk:
            return "Shown once the domain is saved."
        return _table(
            ["Purpose", "Name", "Type", "Value"],
            [
                [r.purpose + ("" if r.is_required else " (optional)"), r.name, r.kind, r.value]
                for r in domains.records_to_publish(domain, conf.config())
            ],
        )

    @admin.display(description="State")
    def dns_state(self, domain: models.Domain) -> SafeString:
        rows = [
            [
                check.replace("_", " "),
                getattr(domain, f"{check}_status") or "not checked",
                getattr(domain, f"{check}_error"),
            ]
            for check in domains.CHECKS
        ]
        return _table(["Record", "Status", "What is wrong"], rows)

    def save_model(self, request: HttpRequest, obj: models.Domain, form: Any, change: bool) -> None:
        """A new domain gets a key of its own; what an administrator adds counts as verified."""
        if not change:
            obj.verified_at = timezone.now()
            obj.dkim_private_key = dkim.generate_rsa()
        super().save_model(request, obj, form, change)

    @admin.action(description="Look up DNS records now", permissions=["change"])
    def check_dns(self, request: HttpRequest, queryset: QuerySet[models.Domain]) -> None:
        chosen = list(queryset)
        domains.check(chosen, conf.config(), timezone.now(), ask)
        fine = sum(domains.is_fine(domain) for domain in chosen)
        messages.info(request, f"{fine} of {len(chosen)} domains are in order.")

    @admin.action(description="Verify ownership by DNS", permissions=["change"])
    def verify(self, request: HttpRequest, queryset: QuerySet[models.Domain]) -> None:
        chosen = list(queryset.filter(verified_at=None))
        answers = ask([Question(domain.name, "TXT") for domain in chosen])
        done = sum(domains.verify(domain, answers, conf.config(), timezone.now()) for domain in chosen)
        messages.info(request, f"{done} of {len(chosen)} unverified domains are verified now.")


# Routing


class AdditionalEndpointInline(TabularInline):
    model = models.AdditionalRouteEndpoint
    extra = 0


class RouteForm(ModelForm):
    """A route in mode Endpoint has exactly one endpoint, the others none, all of the route's own server."""

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        names = ("http_endpoint", "smtp_endpoint", "address_endpoint")
        chosen = [given[name] for name in names if given.get(name)]
        wanted = 1 if given.get("mode") == RouteMode.ENDPOINT.value else 0
        if len(chosen) != wanted:
            raise forms.ValidationError(
                "Choose one endpoint." if wanted else "Only routes in mode Endpoint have an endpoint."
            )
        if any(endpoint.server != given.get("server") for endpoint in chosen):
            raise forms.ValidationError("The endpoint belongs to another server.")
        return given


@admin.register(models.Route)
class RouteAdmin(ModelAdmin):
    form = RouteForm
    list_display = ["__str__", "server", "mode", "spam_mode", "token"]
    list_filter = ["mode", "server"]
    search_fields = ["name", "token"]
    readonly_fields = ["token"]
    inlines = [AdditionalEndpointInline]


@admin.register(models.HTTPEndpoint)
class HTTPEndpointAdmin(ModelAdmin):
    list_display = ["name", "server", "url", "encoding", "format", "timeout", "last_used_at"]
    list_filter = ["server"]
    search_fields = ["name", "url"]


@admin.register(models.SMTPEndpoint)
class SMTPEndpointAdmin(ModelAdmin):
    list_display = ["name", "server", "hostname", "port", "ssl_mode", "last_used_at"]
    list_filter = ["server"]
    search_fields = ["name", "hostname"]


@admin.register(models.AddressEndpoint)
class AddressEndpointAdmin(ModelAdmin):
    list_display = ["address", "server", "last_used_at"]
    list_filter = ["server"]
    search_fields = ["address"]


# Webhooks


class WebhookForm(ModelForm):
    events = forms.MultipleChoiceField(
        choices=[(name, name) for name in SUBSCRIBABLE],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Used where not all events are wanted.",
    )


@admin.register(models.Webhook)
class WebhookAdmin(ModelAdmin):
    form = WebhookForm
    list_display = ["name", "server", "url", "enabled", "all_events", "last_used_at"]
    list_filter = ["enabled", "server"]
    search_fields = ["name", "url"]
    fields = ["server", "name", "url", "enabled", "all_events", "events", "disabled_reason", "last_used_at"]
    readonly_fields = ["disabled_reason", "last_used_at"]


@admin.register(models.WebhookRequest)
class WebhookRequestAdmin(Record):
    list_display = ["uuid", "event", "webhook_id", "attempts", "due_at", "created_at"]
    list_filter = ["event"]
    fields = ["uuid", "event", "webhook_id", "message_id", "attempts", "due_at", "expires_at", "text"]
    readonly_fields = ["text"]

    @admin.display(description="Body")
    def text(self, request: models.WebhookRequest) -> SafeString:
        return _preformatted(bytes(request.body).decode("utf-8", "replace"))


@admin.register(models.WebhookAttempt)
class WebhookAttemptAdmin(Record):
    list_display = ["created_at", "event", "url", "attempt", "status_code", "will_retry"]
    list_filter = ["event", "status_code"]
    search_fields = ["=uuid"]
    ordering = ["-id"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


# Messages


class ShowsMail(ModelAdmin):
    """Shows a stored mail in place of Django's form, and hands out its text and its files."""

    mail_template = ""

    def mail(self, request: HttpRequest, pk: int) -> tuple[bytes | None, MessageParts]:
        """The text of a row (None if it was deleted) and what is in it. Raises Http404."""
        raise NotImplementedError

    def describe(self, request: HttpRequest, pk: int) -> dict[str, Any]:
        """What the template shows beside the mail."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        def wrapped(view: Callable[..., HttpResponse]) -> Any:
            return self.admin_site.admin_view(view)

        own = [
            path("<int:pk>/raw/", wrapped(self.raw), name=self._name("raw")),
            path("<int:pk>/html/", wrapped(self.html), name=self._name("html")),
            path("<int:pk>/files/<int:number>/", wrapped(self.file), name=self._name("file")),
        ]
        return [*own, *super().get_urls()]

    def _name(self, view: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{view}"

    def address(self, view: str, *arguments: int) -> str:
        return reverse(f"admin:{self._name(view)}", args=arguments)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        pk = int(object_id) if object_id.isascii() and object_id.isdigit() else 0
        raw, found = self._seen(request, pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{self.opts.verbose_name} {pk}".capitalize(),
            "parts": found,
            "headers": [(name, value) for name, values in found.headers.items() for value in values],
            "files": [(self.address("file", pk, n), file) for n, file in enumerate(found.attachments)],
            "html": self.address("html", pk),
            "raw": None if raw is None else self.address("raw", pk),
            **self.describe(request, pk),
        }
        return TemplateResponse(request, self.mail_template, context)

    def raw(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The mail as stored, to download."""
        raw, _ = self._seen(request, pk)
        if raw is None:
            raise Http404
        return download(raw, f"message-{pk}.eml")

    def html(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The HTML of a mail, for the frame that shows it: a page that can do nothing."""
        _, found = self._seen(request, pk)
        if found.html_body is None:
            raise Http404
        return HttpResponse(
            found.html_body,
            content_type="text/html; charset=utf-8",
            headers={"Content-Security-Policy": HTML_POLICY, "Referrer-Policy": "no-referrer"},
        )

    def file(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """An attachment, to download."""
        _, found = self._seen(request, pk)
        if number >= len(found.attachments):
            raise Http404
        return download(found.attachments[number].data, found.attachments[number].filename)

    def _seen(self, request: HttpRequest, pk: int) -> tuple[bytes | None, MessageParts]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if not 0 < pk <= MAX_ID:
            raise Http404
        return self.mail(request, pk)


@admin.register(models.Message)
class MessageAdmin(ShowsMail):
    """Messages and what was done with them. Their texts are never changed here."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_display = [
        "id",
        "created_at",
        "scope",
        "mail_from",
        "rcpt_to",
        "subject",
        "status",
        "tag",
        "server_id",
    ]
    list_display_links = ["id", "subject"]
    list_filter = ["status", "scope", "server_id"]
    search_fields = ["id"]
    search_help_text = "An id, a token, a Message-ID, or a recipient's whole address"
    ordering = ["-id"]
    actions = ["hold_messages", "release", "cancel", "retry"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # a worker may be busy with it; retention deletes

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Message]:
        return super().get_queryset(request).defer("prefix")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By what a person has in hand, each with an index but the recipient."""
        term = search_term.strip().strip("<>")
        if not term:
            return queryset, False
        if term.isascii() and term.isdigit() and len(term) < 19:
            return queryset.filter(pk=int(term)), False
        ids = [
            number
            for server_id in models.Server.objects.values_list("pk", flat=True)
            for number in message_ids_of([term], server_id)
        ]
        if "@" not in term:
            return queryset.filter(pk__in=ids), False
        hashed = message_id_key(term, timezone.now())[1]
        by_message_id = queryset.filter(message_id_hash=hashed, message_id=term)
        return by_message_id | queryset.filter(rcpt_to=term), False

    # What can be done

    @admin.action(description="Hold", permissions=["change"])
    def hold_messages(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, hold.keep_back, "held")

    @admin.action(description="Release held messages", permissions=["change"])
    def release(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, hold.release, "released")

    @admin.action(description="Cancel the hold", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, hold.cancel, "cancelled")

    @admin.action(description="Try again now", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, hold.requeue, "queued again")

    def _do(
        self,
        request: HttpRequest,
        queryset: QuerySet[models.Message],
        action: Callable[[Sequence[int], conf.Config, Any], int],
        word: str,
    ) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        done = action(ids, conf.config(), timezone.now())
        messages.info(request, f"{done} of {len(ids)} messages {word}.")

    # One message

    mail_template = "admin/postal_server/message/view.html"

    def get_urls(self) -> list[URLPattern]:
        view: Any = self.admin_site.admin_view(self.do)
        return [path("<int:pk>/do/", view, name=self._name("do")), *super().get_urls()]

    def mail(self, request: HttpRequest, pk: int) -> tuple[bytes | None, MessageParts]:
        found = self._stored(pk)
        return found.raw, found.parts

    def describe(self, request: HttpRequest, pk: int) -> dict[str, Any]:
        found = self._stored(pk)
        return {
            "message": found.row,
            "token": found.token,
            "deliveries": [(item, link_messages(item.details)) for item in stored.deliveries(pk)],
            "activity": stored.show(found, ["activity_entries"])["activity_entries"],
            "queued": models.QueuedMessage.objects.filter(pk=pk).first(),
            "buttons": self._buttons(found.row) if self.has_change_permission(request) else [],
        }

    def _stored(self, pk: int) -> stored.StoredMessage:
        row = models.Message.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        return stored.StoredMessage(row)

    def _buttons(self, row: models.Message) -> list[tuple[str, str]]:
        if row.status == DeliveryStatus.HELD.value and row.hold_expires_at:
            return [("release", "Release"), ("cancel", "Cancel the hold")]
        return [("retry", "Try again now"), ("hold_messages", "Hold")]

    def do(self, request: HttpRequest, pk: int) -> HttpResponse:
        """One of the actions, for one message."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        action = request.POST.get("action", "")
        if request.method != "POST" or action not in self.actions:
            raise Http404
        getattr(self, action)(request, models.Message.objects.filter(pk=pk))
        return HttpResponseRedirect(self.address("change", pk))


@admin.register(models.QueuedMessage)
class QueuedMessageAdmin(Record):
    list_display = ["id", "server_id", "destination", "attempts", "due_at", "claimed_by", "expires_at"]
    list_filter = ["server_id"]
    search_fields = ["=id", "=destination"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # its message would wait for ever: hold it, and cancel the hold


@admin.register(models.Suppression)
class SuppressionAdmin(ModelAdmin):
    list_display = ["address", "server_id", "reason", "created_at", "keep_until"]
    list_filter = ["server_id"]
    search_fields = ["=address"]
    paginator = BoundedPaginator
    show_full_result_count = False


@admin.register(models.CaughtMail)
class CaughtMailAdmin(Record, ShowsMail):
    list_display = ["id", "created_at", "mail_from", "rcpt_to", "subject", "server_id"]
    list_display_links = ["id", "subject"]
    list_filter = ["server_id"]
    search_fields = ["=rcpt_to"]
    ordering = ["-id"]
    mail_template = "admin/postal_server/caughtmail/view.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.CaughtMail]:
        return super().get_queryset(request).defer("raw")

    def mail(self, request: HttpRequest, pk: int) -> tuple[bytes | None, MessageParts]:
        raw = models.CaughtMail.objects.filter(pk=pk).values_list("raw", flat=True).first()
        if raw is None:
            raise Http404
        return bytes(raw), parts(bytes(raw))

    def describe(self, request: HttpRequest, pk: int) -> dict[str, Any]:
        return {"mail": models.CaughtMail.objects.defer("raw").get(pk=pk)}


@admin.register(models.Simulation)
class SimulationAdmin(ModelAdmin):
    list_display = ["recipient", "server_id", "stage", "reply", "times", "delay_seconds"]
    list_filter = ["server_id"]


# Runtime


@admin.register(models.Worker)
class WorkerAdmin(Record):
    list_display = ["id", "host", "pid", "beat", "started_at"]


@admin.register(models.Site)
class SiteAdmin(Record):
    """Deleting a row forgets what is known of a destination: its pause, its rate."""

    list_display = ["destination", "source", "paused_until", "reason", "rate", "concurrency"]
    search_fields = ["=destination"]


@admin.register(models.ScheduledTask)
class ScheduledTaskAdmin(Record):
    list_display = ["name", "due_at", "last_run_at", "claimed_by"]


@admin.register(models.Link)
class LinkAdmin(Record):
    list_display = ["id", "url", "message_id", "server_id", "created_at"]
    search_fields = ["=message_id"]
    ordering = ["-id"]


# Shown safely


def link_messages(details: str) -> SafeString:
    """The details of a delivery, escaped, with `<msg:ID>` as a link to that message."""

    def link(found: re.Match[str]) -> str:
        address = reverse("admin:postal_server_message_change", args=[int(found[1])])
        return f'<a href="{address}">message {found[1]}</a>'

    return mark_safe(MESSAGE_REFERENCE.sub(link, escape(details)))  # noqa: S308 - escaped before


def download(data: bytes, name: str) -> HttpResponse:
    """Bytes that no browser shows or runs, under a name without folders and control characters."""
    safe = NOT_IN_FILE_NAME.sub("_", name).strip(". ")[:150] or "file"
    plain = safe.encode("ascii", "replace").decode().replace("?", "_")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, errors='replace')}"
    return HttpResponse(
        data,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": disposition,
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


def _preformatted(text: str) -> SafeString:
    return format_html("<pre>{}</pre>", text)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> SafeString:
    def line(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return mark_safe(  # noqa: S308 - every cell is escaped
        f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"
    )
