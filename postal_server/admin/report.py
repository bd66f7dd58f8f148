"""What came back about mail: bounces, delays, automatic replies, complaints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from postal_server import models
from postal_server.mail.report import Kind
from postal_server.services.operations import reports

from .base import ReadOnlyAdmin, ServerFilter, ServerScopedAdmin, change_link, one_of

AGES = {"1": "one day", "7": "seven days", "30": "thirty days"}


class AgeFilter(admin.SimpleListFilter):
    title = "age"
    parameter_name = "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(days, f"at most {words}") for days, words in AGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        days = self.value()
        if days not in AGES:
            return queryset
        return queryset.filter(created_at__gte=timezone.now() - timedelta(days=int(days)))


@admin.register(models.ReportMail)
class ReportAdmin(ServerScopedAdmin, ReadOnlyAdmin):
    """A list; the page of each report is that of a message."""

    list_display = ["message", "created_at", "kind", "about", "rcpt_to", "subject", "server"]
    list_display_links = None
    list_filter = [one_of("kind", [kind.value for kind in Kind]), AgeFilter, ServerFilter]
    search_fields = ["id"]
    search_help_text = (
        "A recipient's whole address, @ and their domain, a return path, a token, a Message-ID, an id, "
        "or how the subject begins"
    )
    ordering = ["-id"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return reports.find(super().get_queryset(request).defer("prefix"), now=timezone.now())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return reports.find(queryset, search=search_term, now=timezone.now()), False

    @admin.display(description="Report", ordering="id")
    def message(self, row: Any) -> SafeString:
        return change_link("message", row.pk)

    @admin.display(description="About")
    def about(self, row: Any) -> SafeString | str:
        return change_link("message", row.bounce_for_id) if row.bounce_for_id else "nothing that was found"
