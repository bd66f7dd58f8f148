"""Stored mail, shown safely: by its number, as text, as HTML, and its files.

Nothing of a mail is trusted: its text is escaped, its HTML is shown only by a view whose answer is sandboxed,
and its files are downloads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from postal_server.mail.html import clean
from postal_server.mail.message_view import MessageParts
from postal_server.wire.api import MAX_ID

from .base import ModelAdmin, download

# A mail's HTML: no scripts, forms, plugins or top navigation (sandbox), and nothing from elsewhere.
HTML_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"


class MailViewAdmin(ModelAdmin):
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
