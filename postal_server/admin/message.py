"""Mail: what is stored, what is held, what was caught, and who is not written to.

Nothing of a mail is trusted: its text is escaped, its HTML is shown only by a view whose answer is sandboxed,
and its files are downloads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from postal_server import conf, models
from postal_server.engine.database import in_turn
from postal_server.mail.address import as_stored, suppression_key
from postal_server.mail.html import clean
from postal_server.mail.message_view import MessageParts, parts
from postal_server.models.message import message_id_key
from postal_server.rules.status import DeliveryStatus
from postal_server.services.operations import held, suppression_list
from postal_server.services.operations import stored_message as stored
from postal_server.services.results import suppression
from postal_server.services.shared.loader import load
from postal_server.services.shared.token import message_ids_of
from postal_server.wire.api import MAX_ID

from .base import (
    BoundedPaginator,
    ModelAdmin,
    ModelForm,
    OfServer,
    Record,
    ServerFilter,
    download,
    link_messages,
    one_of,
    within,
)

UNFINISHED = " That took long enough: do it again for the rest, or use `postal-server held` or `queue`."
# A mail's HTML: no scripts, forms, plugins or top navigation (sandbox), and nothing from elsewhere.
HTML_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"


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
        """The HTML of a mail, cleaned, for the frame that shows it: a page that can do nothing."""
        _, found = self._seen(request, pk)
        if found.html_body is None:
            raise Http404
        return HttpResponse(
            clean(found.html_body),
            content_type="text/html; charset=utf-8",
            headers={
                "Content-Security-Policy": HTML_POLICY,
                "Referrer-Policy": "no-referrer",
                "X-DNS-Prefetch-Control": "off",  # for the hosts of its links
            },
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


class HeldFilter(admin.SimpleListFilter):
    """What waits for a person; it has an index, unlike the status."""

    title = "waiting"
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("held", "held")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(hold_expires_at__isnull=False) if self.value() == "held" else queryset


@admin.register(models.Message)
class MessageAdmin(OfServer, ShowsMail):
    """Messages and what was done with them. Their texts are never changed here."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_display = ["id", "created_at", "status", "mail_from", "rcpt_to", "subject", "tag", "server", "scope"]
    list_display_links = ["id", "subject"]
    list_filter = [
        HeldFilter,
        one_of("status", [status.value for status in DeliveryStatus]),
        "scope",
        ServerFilter,
    ]
    search_fields = ["id"]
    search_help_text = "An id, a token, a Message-ID, or a recipient's whole address"
    ordering = ["-id"]
    actions = ["hold_messages", "release", "cancel", "retry", "remove"]

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
        return by_message_id | queryset.filter(rcpt_to=as_stored(term)), False

    # What can be done

    @admin.action(description="Hold", permissions=["change"])
    def hold_messages(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, held.keep_back, "held")

    @admin.action(description="Release held messages", permissions=["change"])
    def release(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, held.release, "released")

    @admin.action(description="Cancel the hold", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> HttpResponse | None:
        if not request.POST.get("sure"):
            return self._ask(request, queryset, "cancel", "Cancel the hold: they are never sent")
        self._do(request, queryset, held.cancel, "cancelled")
        return None

    @admin.action(description="Try again now", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, held.requeue, "queued again")

    @admin.action(description="Remove from the queue", permissions=["change"])
    def remove(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> HttpResponse | None:
        if not request.POST.get("sure"):
            return self._ask(
                request, queryset, "remove", "Remove from the queue: they fail, webhooks are told"
            )
        self._do(request, queryset, held.remove, "removed from the queue")
        return None

    def _ask(
        self, request: HttpRequest, queryset: QuerySet[models.Message], action: str, what: str
    ) -> HttpResponse:
        """Is that meant? What was posted comes again, with a word more."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Are you sure?",
            "action": action,
            "what": what,
            "count": queryset.count(),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "admin/postal_server/message/confirm.html", context)

    def _do(
        self,
        request: HttpRequest,
        queryset: QuerySet[models.Message],
        action: Callable[..., int],
        word: str,
    ) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        config, now, directory = conf.config(), timezone.now(), load()
        chunks = (ids[start : start + held.CHUNK] for start in range(0, len(ids), held.CHUNK))
        done, is_finished = within(action(chunk, config, now, directory, in_turn) for chunk in chunks)
        messages.info(request, f"{done} of {len(ids)} messages {word}." + ("" if is_finished else UNFINISHED))

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
        buttons = [("retry", "Try again now")]
        if models.QueuedMessage.objects.filter(pk=row.pk).exists():
            buttons += [("hold_messages", "Hold"), ("remove", "Remove from the queue")]
        return buttons

    def do(self, request: HttpRequest, pk: int) -> HttpResponse:
        """One of the actions, for one message."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        action = request.POST.get("action", "")
        if request.method != "POST" or action not in self.actions:
            raise Http404
        asked: HttpResponse | None = getattr(self, action)(request, models.Message.objects.filter(pk=pk))
        return asked or HttpResponseRedirect(self.address("change", pk))


class SuppressionForm(ModelForm):
    """The server by its name, the address in the spelling that is compared."""

    on = forms.ModelChoiceField(models.Server.objects.filter(deleted_at=None), label="Server")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["on"] = self.instance.server_id

    def clean_address(self) -> str:
        try:
            return suppression_key(suppression_list.address_in(self.cleaned_data["address"]))
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if server := given.get("on"):
            self.instance.server_id = server.pk
        others = models.Suppression.objects.exclude(pk=self.instance.pk)
        if server and others.filter(server_id=server.pk, address=given.get("address")).exists():
            self.add_error("address", "This address is on the server's list already.")
        return given

    def save(self, commit: bool = True) -> Any:
        self.instance.created_at = self.instance.created_at or timezone.now()
        return super().save(commit)


@admin.register(models.Suppression)
class SuppressionAdmin(OfServer):
    form = SuppressionForm
    list_display = ["address", "server", "reason", "created_at", "keep_until"]
    list_filter = [ServerFilter]
    fields = ["on", "address", "reason", "keep_until"]
    search_fields = ["=address"]
    paginator = BoundedPaginator
    show_full_result_count = False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        until = suppression.default_keep_until(conf.config(), timezone.now())
        return {"reason": suppression_list.BY_PERSON, "keep_until": until}


@admin.register(models.CaughtMail)
class CaughtMailAdmin(OfServer, Record, ShowsMail):
    list_display = ["id", "created_at", "mail_from", "rcpt_to", "subject", "server"]
    list_display_links = ["id", "subject"]
    list_filter = [ServerFilter]
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
class SimulationAdmin(OfServer):
    list_display = ["recipient", "server", "stage", "reply", "times", "delay_seconds"]
    list_filter = [ServerFilter]


@admin.register(models.Link)
class LinkAdmin(OfServer, Record):
    list_display = ["id", "url", "message_id", "server", "created_at"]
    search_fields = ["=message_id"]
    ordering = ["-id"]
