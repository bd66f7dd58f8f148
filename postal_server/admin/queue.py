"""The queue, and those who work on it."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from postal_server import models

from .base import (
    Record,
)


@admin.register(models.QueuedMessage)
class QueuedMessageAdmin(Record):
    list_display = ["id", "server_id", "destination", "attempts", "due_at", "claimed_by", "expires_at"]
    list_filter = ["server_id"]
    search_fields = ["=id", "=destination"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # its message would wait for ever: hold it, and cancel the hold


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
