"""Tracking of opens and clicks: a pixel, and redirects. Source: contract 8.4.

Answers any request that the front proxy marks with `X-Postal-Track-Host: 1`, whatever its host and method.
A failure to record an open or a click is logged, and the response is the same.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import parse_qs

from django.db import DatabaseError

from postal_server.conf import Config
from postal_server.engine.database import checked_connection
from postal_server.services.operations import tracking
from postal_server.services.operations.tracking import Visitor
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import ServerEntry
from postal_server.wire.http import Request, Response

log = logging.getLogger(__name__)

MARK = "X-Postal-Track-Host"
IMAGE_PATH = re.compile(r"/img/([A-Za-z0-9-]+)/([A-Za-z0-9-]+)")
LINK_PATH = re.compile(r"/([A-Za-z0-9-]+)/([A-Za-z0-9-]+)")
# A transparent PNG of one pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR42mNgAAIAAAUAAen63NgAAAAASUVORK5CYII="
)
NOT_IN_HEADER = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True)
class Tracking:
    """The tracking host."""

    config: Config
    directory: Callable[[], Directory]

    def answer(self, request: Request) -> Response:
        with checked_connection():
            return self._answer(request)

    def _answer(self, request: Request) -> Response:
        if found := IMAGE_PATH.match(request.path):
            return self._image(found[1], found[2], request)
        if found := LINK_PATH.match(request.path):
            return self._link(found[1], found[2], request)
        return _text(200, "Hello.")

    def _image(self, server_token: str, token: str, request: Request) -> Response:
        server = self._server(server_token)
        if server is None:
            return _text(404, "Invalid Server Token")
        try:
            tracking.record_load(
                server, token, _visitor(request), self.directory(), datetime.now(timezone.utc)
            )
        except DatabaseError:
            log.exception("An open could not be recorded.")
        if parse_qs(request.query).get("src"):
            return _text(400, "Invalid/missing source image")
        return Response(200, (("content-type", "image/png"),), PIXEL, is_traced=False)

    def _link(self, server_token: str, token: str, request: Request) -> Response:
        server = self._server(server_token)
        if server is None:
            return _text(404, "Invalid Server Token")
        link, now = tracking.find_link(server, token), datetime.now(timezone.utc)
        if tracking.has_ended(link, token, self.config, now):
            return _text(410, "This link has expired")
        if link is None:
            return _text(404, "Link not found")
        try:
            tracking.record_click(link, token, _visitor(request), self.directory(), now)
        except DatabaseError:
            log.exception("A click could not be recorded.")
        return redirect(link.url)

    def _server(self, token: str) -> ServerEntry | None:
        return self.directory().server_by_token.get(token.lower())


def redirect(url: str) -> Response:
    """A redirect to `url`; what a header cannot hold is percent-encoded."""
    location = NOT_IN_HEADER.sub(_percent, url)
    return Response(307, (("location", location),), f"Redirected to: {url}".encode(), is_traced=False)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace"))


def _text(status: int, text: str) -> Response:
    return Response(status, (), text.encode(), is_traced=False)


def _visitor(request: Request) -> Visitor:
    return Visitor(request.client, request.header("User-Agent") or None)
