"""Webhooks, what waits for them, and what was tried."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from postal_server import models
from postal_server.engine.database import write_transaction
from postal_server.rules.http_code import NO_CONNECTION, NO_TLS, TIMED_OUT
from postal_server.services.administration.webhooks import EVENTS
from postal_server.services.operations import webhook as webhooks
from postal_server.wire.our_events import OUR_EVENTS
from postal_server.wire.webhook import SUBSCRIBABLE

from .base import (
    MAX_COUNTED,
    ModelAdmin,
    ModelForm,
    ReadOnlyAdmin,
    ServerFilter,
    ServerScopedAdmin,
    one_of,
    preformatted,
    within,
)


class WebhookForm(ModelForm):
    events = forms.MultipleChoiceField(
        choices=[
            ("Postal's", [(n, n) for n in SUBSCRIBABLE]),
            ("Beyond Postal", [(n, n) for n in OUR_EVENTS]),
        ],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Used where not all events are wanted, and for events beyond Postal.",
    )


@admin.register(models.Webhook)
class WebhookAdmin(ModelAdmin):
    form = WebhookForm
    list_display = ["name", "server", "url", "state", "wanted", "waiting", "last_used_at"]
    list_filter = ["enabled", "server"]
    search_fields = ["name", "url"]
    fields = [
        *("server", "name", "url", "enabled", "all_events", "beyond_postal", "events"),
        *("disabled_reason", "last_used_at"),
    ]
    readonly_fields = ["disabled_reason", "last_used_at"]
    actions = ["resend_failed"]

    @admin.display(description="Events", boolean=False)
    def wanted(self, webhook: models.Webhook) -> str:
        named = webhook.events
        if webhook.all_events:
            if webhook.beyond_postal:
                return "all"
            named = ["all of Postal's", *(name for name in named if name in OUR_EVENTS)]
        return ", ".join(named) or "none"

    @admin.display(description="Waiting")
    def waiting(self, webhook: models.Webhook) -> int:
        rows = models.WebhookRequest.objects.filter(server_id=webhook.server_id, webhook_id=webhook.pk)
        return len(rows.values_list("pk")[:MAX_COUNTED])

    @admin.display(description="State")
    def state(self, webhook: models.Webhook) -> str:
        return "on" if webhook.enabled else f"off. {webhook.disabled_reason}".rstrip()

    def save_model(self, request: HttpRequest, obj: models.Webhook, form: Any, change: bool) -> None:
        """Switched on again, it gets what still waits for it."""
        if obj.enabled:
            obj.disabled_reason = ""
        super().save_model(request, obj, form, change)

    @admin.action(description="Send again what was given up", permissions=["change"])
    def resend_failed(self, request: HttpRequest, queryset: QuerySet[models.Webhook]) -> None:
        now = timezone.now()
        steps = (
            count
            for webhook in queryset
            for count in webhooks.resend(webhooks.given_up(webhook_id=webhook.pk), now, write_transaction)
        )
        tell(request, *within(steps))


@admin.register(models.WebhookRequest)
class WebhookRequestAdmin(ServerScopedAdmin, ReadOnlyAdmin):
    list_display = ["uuid", "event", "server", "webhook_id", "attempts", "due_at", "created_at"]
    list_filter = [one_of("event", EVENTS), ServerFilter]
    fields = ["uuid", "event", "webhook_id", "message_id", "attempts", "due_at", "expires_at", "text"]
    readonly_fields = ["text"]

    @admin.display(description="Body")
    def text(self, request: models.WebhookRequest) -> SafeString:
        return preformatted(bytes(request.body).decode("utf-8", "replace"))


class GivenUpFilter(admin.SimpleListFilter):
    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("given-up", "given up")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "given-up":
            return queryset
        return queryset.filter(pk__in=webhooks.given_up().values("pk"))


@admin.register(models.WebhookAttempt)
class WebhookAttemptAdmin(ServerScopedAdmin, ReadOnlyAdmin):
    list_display = [
        "created_at",
        "event",
        "attempt",
        "status",
        "latency",
        "start_of_answer",
        "will_retry",
        "url",
    ]
    list_filter = [one_of("event", EVENTS), GivenUpFilter, ServerFilter]
    search_fields = ["=uuid"]
    search_help_text = "The uuid of an event"
    ordering = ["-id"]
    actions = ["resend"]
    fields = [
        "created_at",
        "event",
        "uuid",
        "url",
        "attempt",
        "status",
        "latency",
        "will_retry",
        "reply",
        "text",
    ]
    readonly_fields = ["status", "latency", "reply", "text"]

    @admin.display(description="Status")
    def status(self, attempt: models.WebhookAttempt) -> str:
        names = {0: "not tried", TIMED_OUT: "timed out", NO_CONNECTION: "no connection", NO_TLS: "TLS failed"}
        return names.get(attempt.status_code, str(attempt.status_code))

    @admin.display(description="Latency")
    def latency(self, attempt: models.WebhookAttempt) -> str:
        return "" if attempt.seconds is None else f"{attempt.seconds * 1000:.0f} ms"

    @admin.display(description="Answer")
    def start_of_answer(self, attempt: models.WebhookAttempt) -> str:
        return Truncator(attempt.answer).chars(80)

    @admin.display(description="Answer, its first kilobyte")
    def reply(self, attempt: models.WebhookAttempt) -> SafeString:
        return preformatted(attempt.answer)

    @admin.display(description="Body")
    def text(self, attempt: models.WebhookAttempt) -> SafeString:
        return preformatted(attempt.payload)

    @admin.action(description="Send again", permissions=["view"])
    def resend(self, request: HttpRequest, queryset: QuerySet[models.WebhookAttempt]) -> None:
        if not request.user.has_perm("postal_server.change_webhook"):
            raise PermissionDenied
        plain = models.WebhookAttempt.objects.filter(pk__in=queryset.values("pk"))
        tell(request, *within(webhooks.resend(plain, timezone.now(), write_transaction)))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def tell(request: HttpRequest, done: int, is_finished: bool) -> None:
    rest = "" if is_finished else " That took long enough: do it again for the rest."
    messages.info(request, f"{done} events are posted again.{rest}")
