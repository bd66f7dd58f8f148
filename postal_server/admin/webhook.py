"""Webhooks, what waits for them, and what was tried."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString

from postal_server import models
from postal_server.wire.webhook import SUBSCRIBABLE

from .base import (
    ModelAdmin,
    ModelForm,
    Record,
    preformatted,
)


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
        return preformatted(bytes(request.body).decode("utf-8", "replace"))


@admin.register(models.WebhookAttempt)
class WebhookAttemptAdmin(Record):
    list_display = ["created_at", "event", "url", "attempt", "status_code", "will_retry"]
    list_filter = ["event", "status_code"]
    search_fields = ["=uuid"]
    ordering = ["-id"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
