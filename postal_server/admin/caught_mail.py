"""Mail that was caught in place of being delivered."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from postal_server import models
from postal_server.mail.message_view import MessageParts, parts

from .base import ReadOnlyAdmin, ServerFilter, ServerScopedAdmin
from .mail_view import MailViewAdmin


@admin.register(models.CaughtMail)
class CaughtMailAdmin(ServerScopedAdmin, ReadOnlyAdmin, MailViewAdmin):
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
