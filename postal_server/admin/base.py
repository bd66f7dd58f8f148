"""What the pages of the administration share: lists that stay quick, and mail shown safely."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

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


def preformatted(text: str) -> SafeString:
    return format_html("<pre>{}</pre>", text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> SafeString:
    def line(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return mark_safe(  # noqa: S308 - every cell is escaped
        f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"
    )
