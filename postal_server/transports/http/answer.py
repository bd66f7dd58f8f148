"""Reads one HTTP answer from what a server sends, without I/O."""

from __future__ import annotations

import email.utils
import zlib
from datetime import datetime, timezone

import httptools

from postal_server.errors import HostileInput

MAX_HEAD_BYTES = 16_384  # of a header, and of all that stands between two pieces of a body
MAX_BODY_BYTES = 65_536  # read of an answer; a longer one costs its connection
KEPT_BYTES = 1024  # of an answer, decoded
MAX_INTERIM = 10  # 1xx answers before the final one


class AnswerReader:
    """One answer. `is_done` when it is complete, or long enough; `may_reuse` if another can follow it.

    The parser is httptools', as for requests; limits on what it reads are ours.
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
        """Raises `HostileInput` for what is no answer."""
        self.has_begun = True
        if self.is_done:
            self.may_reuse = False  # more than one answer to one request
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
        """The server closed the connection: the end of an answer without length.

        Raises `HostileInput` where one with a length is cut.
        """
        has_length = {"content-length", "transfer-encoding"} & self.headers.keys()
        if not self.is_done and (not self._has_head or has_length):
            raise HostileInput("connection closed in the middle of the answer")
        self.is_done = True

    @property
    def kept(self) -> bytes:
        """The start of the body, its content encoding undone as far as it can be."""
        encoding = self.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("gzip", "x-gzip", "deflate"):
            return bytes(self.body[:KEPT_BYTES])
        try:
            # No more comes out than is kept, however much it would become.
            return zlib.decompressobj(47).decompress(bytes(self.body), KEPT_BYTES)
        except zlib.error:
            return bytes(self.body[:KEPT_BYTES])

    # What the parser calls. Nothing may be raised here: it would be reported as an error of its own.

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
    """Seconds named by a Retry-After header, as a number or a date; null for anything else."""
    if value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    try:
        at = email.utils.parsedate_to_datetime(value)
        return max(int((at - (now or datetime.now(timezone.utc))).total_seconds()), 0)
    except (TypeError, ValueError):
        return None
