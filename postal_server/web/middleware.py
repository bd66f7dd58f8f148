"""Adds Postal's security headers to Django's pages."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from postal_server.wire.http import SECURITY


def security_headers(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: add each header that the view did not set to something stricter.

    Django's own sends HSTS only where it sees TLS, which the front proxy ends; browsers take it only there.
    """
    age = settings.SECURE_HSTS_SECONDS
    headers = (*SECURITY, *((("strict-transport-security", f"max-age={age}"),) if age else ()))

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name, value in headers:
            response.headers.setdefault(name, value)
        return response

    return middleware
