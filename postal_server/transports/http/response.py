"""Reads one HTTP response from what a server sends, without I/O."""

from __future__ import annotations

import email.utils
import zlib
from datetime import datetime, timezone

import httptools

from postal_server.errors import HostileInput

MAX_HEAD_BYTES = 16_384  # of a header, and of everything between two pieces of a body
MAX_BODY_BYTES = 65_536  # read of a response; the connection of a longer one is not reused
EXCERPT_BYTES = 1024  # of a body, decoded
MAX_INTERIM = 10  # 1xx responses before the final one


class ResponseReader:
    """One response. `is_done`: it is complete, or long enough. `may_reuse`: another request may follow.

    The names of `headers` are lower-case. httptools parses, as for requests; the limits are ours.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.is_done = self.may_reuse = self.has_begun = False
        self._parser = httptools.HttpResponseParser(self)
        self._has_head = False
        self._overhead = 0  # bytes since the last piece of the body
        self._interim = 0

    def feed(self, data: bytes) -> None:
        """Read what the server has sent. Raises `HostileInput` for what is no response."""
        self.has_begun = True
        if self.is_done:
            self.may_reuse = False  # more than one response to one request
            return
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.is_done:
                what = "an HTTP body" if self._has_head else "an HTTP answer"
                raise HostileInput(f"not {what}: {error}") from error
            self.may_reuse = False
        if not self.is_done and self._overhead > MAX_HEAD_BYTES:
            raise HostileInput("chunks without end" if self._has_head else "answer headers without end")
        if self._interim > MAX_INTERIM:
            raise HostileInput("interim answers without end")

    def end(self) -> None:
        """The server closed the connection, which ends a response without a length.

        Raises `HostileInput` if a response with a length is incomplete.
        """
        has_length = {"content-length", "transfer-encoding"} & self.headers.keys()
        if not self.is_done and (not self._has_head or has_length):
            raise HostileInput("connection closed in the middle of the answer")
        self.is_done = True

    @property
    def excerpt(self) -> bytes:
        """The start of the body, decoded from its content encoding as far as possible."""
        encoding = self.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("gzip", "x-gzip", "deflate"):
            return bytes(self.body[:EXCERPT_BYTES])
        try:
            # No more is decoded than is kept, however large it would become.
            return zlib.decompressobj(47).decompress(bytes(self.body), EXCERPT_BYTES)
        except zlib.error:
            return bytes(self.body[:EXCERPT_BYTES])

    # Called by the parser. Nothing may be raised here: the parser would report it as an error of its own.

    def on_message_begin(self) -> None:
        if self.is_done:
            self.may_reuse = False
        else:
            self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_done:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.is_done or status < 200:
            return
        self._has_head = True
        self._overhead = 0
        self.status = status
        self.may_reuse = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if self.is_done:
            return
        self._overhead = 0
        room = MAX_BODY_BYTES - len(self.body)
        self.body += data[:room]
        if len(data) > room:
            self.is_done = True
            self.may_reuse = False

    def on_message_complete(self) -> None:
        if self._has_head:
            self.is_done = True
        else:
            self._interim += 1


def retry_after(value: str, now: datetime | None = None) -> int | None:
    """The seconds that a Retry-After field asks to wait, as a number or a date; None for anything else."""
    if value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    try:
        at = email.utils.parsedate_to_datetime(value)
        return max(int((at - (now or datetime.now(timezone.utc))).total_seconds()), 0)
    except (TypeError, ValueError):
        return None
