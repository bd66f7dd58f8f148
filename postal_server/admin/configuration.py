"""What an administrator sets up: organizations, mail servers, credentials, domains, routes."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from postal_server import conf, models
from postal_server.mail import dkim
from postal_server.rules.status import CredentialType, RouteMode
from postal_server.runtime.resolver import ask_now
from postal_server.services.operations import domain_checks, provisioning, retention
from postal_server.services.shared import credential as credentials
from postal_server.services.shared.dns_questions import Question

from .base import (
    MAX_COUNTED,
    ModelAdmin,
    ModelForm,
    TabularInline,
    table,
)

# Organizations, servers, credentials


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
    filter_horizontal = ["ip_pools"]
    exclude = ["deleted_at"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        default = models.IPPool.objects.filter(default=True)
        return {**super().get_changeform_initial_data(request), "ip_pools": list(default)}


@admin.register(models.Server)
class ServerAdmin(SoftDelete):
    list_display = [
        "name",
        "organization",
        "mode",
        "token",
        "suspended_at",
        "held",
        "queued",
        "above_the_limit",
    ]
    list_filter = ["mode", "organization"]
    search_fields = ["name", "permalink", "token"]
    prepopulated_fields = {"permalink": ["name"]}
    readonly_fields = ["token", "uuid", "above_the_limit"]

    fieldsets = [
        (None, {"fields": ["organization", "name", "permalink", "mode", "postmaster_address"]}),
        (
            "Sending",
            {
                "fields": [
                    "ip_pool",
                    "send_limit",
                    "suppressed_as",
                    "stream_from",
                    "allow_sender",
                    "privacy_mode",
                    "log_smtp_data",
                ]
            },
        ),
        ("Spam", {"fields": ["spam_threshold", "spam_failure_threshold", "outbound_spam_threshold"]}),
        (
            "Retention",
            {
                "fields": [
                    "message_retention_days",
                    "raw_message_retention_days",
                    "raw_message_retention_size",
                    "above_the_limit",
                ]
            },
        ),
        ("Suspension", {"fields": ["suspended_at", "suspension_reason"]}),
        ("Identifiers", {"fields": ["token", "uuid"]}),
    ]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().get_changeform_initial_data(request), **provisioning.spam_thresholds(conf.config())}

    @admin.display(description="Kept above that size")
    def above_the_limit(self, server: models.Server) -> str:
        """What the last clean-up could not delete."""
        excess = server.raw_message_excess_bytes / retention.MEGABYTE
        return f"{excess:.1f} MB, of mail that waits or is held" if excess else "nothing"

    @admin.display(description="Held")
    def held(self, server: models.Server) -> int:
        held = models.Message.objects.filter(server_id=server.pk, hold_expires_at__isnull=False)
        return len(held.values_list("pk")[:MAX_COUNTED])

    @admin.display(description="Queued")
    def queued(self, server: models.Server) -> int:
        waiting = models.QueuedMessage.objects.filter(server_id=server.pk)
        return len(waiting.values_list("pk")[:MAX_COUNTED])


@admin.register(models.Stream)
class StreamAdmin(ModelAdmin):
    list_display = ["name", "server", "kind", "must_arrive", "created_at"]
    list_filter = ["kind", "must_arrive", "server"]
    search_fields = ["name"]
    fields = ["server", "name", "kind", "must_arrive"]


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


class TrackDomainInline(TabularInline):
    model = models.TrackDomain
    extra = 0
    fields = [
        "server",
        "name",
        "ssl_enabled",
        "track_clicks",
        "track_loads",
        "excluded_click_domains",
        "dns_status",
        "dns_error",
    ]
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
        (None, {"fields": ["name", "server", "organization", "use_for_any", "only_where_caught"]}),
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
        return table(
            ["Purpose", "Name", "Type", "Value"],
            [
                [r.purpose + ("" if r.is_required else " (optional)"), r.name, r.kind, r.value]
                for r in domain_checks.records_to_publish(domain, conf.config())
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
            for check in domain_checks.CHECKS
        ]
        rows += [[what, "Invalid", error] for what, error in domain.dns_problems.items()]
        return table(["Record", "Status", "What is wrong"], rows)

    def save_model(self, request: HttpRequest, obj: models.Domain, form: Any, change: bool) -> None:
        """A new domain gets a key of its own; what an administrator adds counts as verified."""
        if not change:
            obj.verified_at = timezone.now()
            obj.dkim_private_key = dkim.generate_rsa()
        super().save_model(request, obj, form, change)

    @admin.action(description="Look up DNS records now", permissions=["change"])
    def check_dns(self, request: HttpRequest, queryset: QuerySet[models.Domain]) -> None:
        chosen = list(queryset)
        domain_checks.check(chosen, conf.config(), timezone.now(), ask_now)
        fine = sum(domain_checks.is_fine(domain) for domain in chosen)
        messages.info(request, f"{fine} of {len(chosen)} domains are in order.")

    @admin.action(description="Verify ownership by DNS", permissions=["change"])
    def verify(self, request: HttpRequest, queryset: QuerySet[models.Domain]) -> None:
        chosen = list(queryset.filter(verified_at=None))
        answers = ask_now([Question(domain.name, "TXT") for domain in chosen])
        done = sum(domain_checks.verify(domain, answers, conf.config(), timezone.now()) for domain in chosen)
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
