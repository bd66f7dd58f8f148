"""The start page, and error pages with only the status."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from postal_server import conf
from postal_server.wire.http import error_response


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The start page."""
    return render(request, "postal_server/start.html", {"config": conf.config()})


def error(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """An error page: 400, 403 or 404 by the kind of exception."""
    if isinstance(exception, PermissionDenied):
        return _answer(request, HTTPStatus.FORBIDDEN)
    if isinstance(exception, SuspiciousOperation):
        return _answer(request, HTTPStatus.BAD_REQUEST)
    return _answer(request, HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR)


def _answer(request: HttpRequest, status: HTTPStatus) -> HttpResponse:
    answer = error_response(status.value, request.headers.get("Accept", ""))
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
