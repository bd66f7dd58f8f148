"""What the pages of the administration share: lists that stay quick, and mail shown safely."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Concat
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from postal_server import conf, models
from postal_server.engine import directory
from postal_server.engine.database import write_transaction
from postal_server.rules.access import Actor
from postal_server.services.operations.context import OperationContext

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
MESSAGE_REFERENCE = re.compile(r"&lt;msg:(\d{1,18})&gt;", re.ASCII)
NOT_IN_FILE_NAME = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|]')


class BoundedPaginator(Pages):
    """Counts to 10,000: beyond that, paging is of no use, and counting a million rows takes its time."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.values_list("pk")[:MAX_COUNTED])


class ServerScopedAdmin(ModelAdmin):
    """Rows that name their mail server by its number only."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        named = models.Server.objects.filter(pk=OuterRef("server_id")).values(
            path=Concat("organization__permalink", Value("/"), "permalink")
        )
        rows: QuerySet[Any] = super().get_queryset(request).annotate(server_path=Subquery(named[:1]))
        return rows

    @admin.display(description="Server", ordering="server_id")
    def server(self, row: Any) -> str:
        return row.server_path or f"{row.server_id} (deleted)"


class ServerFilter(admin.SimpleListFilter):
    """By mail server, for rows that name it by its number: asks the servers, not a million rows."""

    title = "server"
    parameter_name = "server"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        servers = models.Server.objects.filter(deleted_at=None).select_related("organization")
        return [(str(server.pk), str(server)) for server in servers]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value() or ""
        return queryset.filter(server_id=int(chosen)) if chosen.isascii() and chosen.isdigit() else queryset


def one_of(field: str, values: Iterable[str]) -> type[admin.SimpleListFilter]:
    """A filter by the known values of a column: Django would look for them in all rows."""
    known = list(values)

    class Filter(admin.SimpleListFilter):
        title = field.replace("_", " ")
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(value, value) for value in known]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{field: self.value()}) if self.value() in known else queryset

    return Filter


def operation_context(request: HttpRequest) -> OperationContext:
    """What an operation is given. The directory is this process's, read again only if it has changed."""
    actor = Actor(str(request.user), is_administrator=True, client=request.META.get("REMOTE_ADDR", ""))
    return OperationContext(actor, conf.config(), timezone.now(), directory.refresh(), write_transaction)


def within(steps: Iterator[int], seconds: float = 15.0) -> tuple[int, bool]:
    """Do long work for so long; how much was done, and whether it is finished."""
    ends_at = time.monotonic() + seconds
    done = 0
    for count in steps:
        done += count
        if time.monotonic() >= ends_at:
            one_more = next(steps, None)  # only doing it shows whether there was anything left
            return done + (one_more or 0), one_more is None
    return done, True


class ReadOnlyAdmin(ModelAdmin):
    """Rows that report what happened: they are never added or changed by hand."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the rows once more
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


# Shown safely


def change_link(model: str, pk: int) -> SafeString:
    """A link to the page of a row, by its number; `model` is in lower case."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:postal_server_{model}_change", args=[pk]), pk)


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


def preformatted(text: str) -> SafeString:
    return format_html("<pre>{}</pre>", text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> SafeString:
    def line(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return mark_safe(  # noqa: S308 - every cell is escaped
        f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"
    )
