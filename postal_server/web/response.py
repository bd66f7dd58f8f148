"""Responses as they are sent over a connection (RFC 9112)."""

from __future__ import annotations

from http import HTTPStatus

from postal_server.wire.http import error_response

from .gateway import RawResponse, RequestHead
from .streaming import Chunked

BODILESS_STATUSES = ("1", "204", "304")  # how their statuses begin


def has_body(response: RawResponse, head: RequestHead) -> bool:
    """Does the response to this request have a body (RFC 9110 section 6.4.1)?"""
    return head.method != b"HEAD" and not response.status.startswith(BODILESS_STATUSES)


def encode_response(response: RawResponse, head: RequestHead, keeps_alive: bool) -> bytes:
    """The head of the response to this request, and its body if it does not come in pieces."""
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.headers)]
    has_length = any(name.lower() == "content-length" for name, _ in response.headers)
    body = response.body
    if not isinstance(body, bytes):
        if isinstance(body.framing, Chunked) and not response.status.startswith(BODILESS_STATUSES):
            lines.append("transfer-encoding: chunked")
        body = b""
    elif not has_body(response, head):
        body = b""
    elif not has_length:
        lines.append(f"content-length: {len(body)}")
    if not keeps_alive:
        lines.append("Connection: close")
    elif head.version == "1.0":
        lines.append("Connection: keep-alive")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def error_page(status: HTTPStatus) -> RawResponse:
    """The response that HTTP itself calls for, without asking the application."""
    answer = error_response(status)
    return RawResponse(answer.status_line, answer.headers, answer.body)
