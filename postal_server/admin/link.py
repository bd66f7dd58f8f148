"""Links of tracked messages."""

from __future__ import annotations

from django.contrib import admin

from postal_server import models

from .base import ReadOnlyAdmin, ServerScopedAdmin


@admin.register(models.Link)
class LinkAdmin(ServerScopedAdmin, ReadOnlyAdmin):
    list_display = ["id", "url", "message_id", "server", "created_at"]
    search_fields = ["=message_id"]
    ordering = ["-id"]
