"""Parse the parts of a mail from its bytes, in time proportional to its size.

Python's own parser compares each line with the boundaries of all open multiparts. This one searches the bytes
for each boundary. What is not parsed, because it is nested too deeply, too much or not MIME, remains in the
mail as text: nothing is lost. Sources: RFC 5322 section 2.1, RFC 2046 section 5.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Generic, TypeVar

MAX_DEPTH = 30  # nesting of multiparts and attached mails
MAX_PARTS = 1000  # the rest remains unparsed in the last of them
MAX_FIELDS = 1000  # of one header
MAX_HEADER = 262_144  # bytes of one header
# How many bytes may be searched: nested multiparts are searched once for each level. A header field, and a
# line that looks like a boundary, count as several bytes.
LOOKS_AT_EACH_BYTE = 8
LOOKS_AT_LEAST = 4_000_000
FIELD_LOOKS = 400
LINE_LOOKS = 100

_FIELD = re.compile(
    # The name (spaces before the colon are obsolete, but occur), and the lines of the value.
    rb"([!-9;-~]+)[ \t]*:[ \t]*([^\r\n]*(?:(?:\r\n|\r|\n)(?=[ \t])[^\r\n]*)*)(?:\r\n|\r|\n|\Z)"
)
_LINE_END = re.compile(rb"\r\n|\r|\n")
_ENVELOPE_LINE = re.compile(rb">?From [^\r\n]*(?:\r\n|\r|\n|\Z)")  # of a mailbox file
_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*(?:(\r\n|\r|\n)|\Z)")

M = TypeVar("M", bound=Message)


class Reader(Generic[M]):
    """Parses one mail into messages made by `make`."""

    def __init__(self, raw: bytes, make: Callable[[], M]) -> None:
        self._raw = raw
        self._make = make
        self._parts = 0
        self._looks = max(LOOKS_AT_EACH_BYTE * len(raw), LOOKS_AT_LEAST)

    def read(self) -> M:
        """The mail with all its parts."""
        return self._read(0, len(self._raw), 0)

    def read_header(self) -> M:
        """The mail with its headers; the rest is the payload, as text."""
        message, body = self._read_header(0, len(self._raw))
        message.set_payload(self._text(body, len(self._raw)))
        return message

    def _read(self, start: int, end: int, depth: int, default_type: str = "text/plain") -> M:
        message, body = self._read_header(start, end)
        message.set_default_type(default_type)
        self._parts += 1
        maintype = message.get_content_maintype()
        if depth < MAX_DEPTH and self._looks > 0:
            if maintype == "multipart" and self._read_parts(message, body, end, depth):
                return message
            if maintype == "message" and self._read_attached(message, body, end, depth):
                return message
        message.set_payload(self._text(body, end))
        return message

    def _text(self, start: int, end: int) -> str:
        return self._raw[start:end].decode("ascii", "surrogateescape")

    # --- headers ---

    def _read_header(self, start: int, end: int) -> tuple[M, int]:
        """A message with its header fields, and the offset of its body.

        The body begins after the first empty line, or at the first line that is not a field.
        """
        message = self._make()
        position = start
        envelope_line = _ENVELOPE_LINE.match(self._raw, start, end)
        if envelope_line:
            message.set_unixfrom(envelope_line[0].decode("ascii", "surrogateescape").strip())
            position = envelope_line.end()
        limit = min(end, position + MAX_HEADER)
        fields = 0
        while position < limit and fields < MAX_FIELDS and self._looks > 0:
            field = _FIELD.match(self._raw, position, limit)
            if field is None:
                break
            name, value = field[1].decode("ascii"), field[2].decode("ascii", "surrogateescape")
            message.set_raw(name, value.rstrip("\r\n"))
            position = field.end()
            fields += 1
            self._looks -= FIELD_LOOKS
        empty_line = _LINE_END.match(self._raw, position, end)
        return message, empty_line.end() if empty_line else position

    # --- multiparts ---

    def _read_parts(self, message: M, start: int, end: int, depth: int) -> bool:
        """Parse the parts of a multipart; False if it has none."""
        boundary = message.get_boundary()
        if not boundary or not boundary.isascii():
            return False
        default_type = "message/rfc822" if message.get_content_subtype() == "digest" else "text/plain"
        part_start = None
        for line_start, line_end, is_last in self._boundaries(boundary.encode(), start, end):
            if part_start is None:
                message.preamble = self._text(start, self._without_line_end(start, line_start)) or None
            else:
                part_end = self._without_line_end(part_start, line_start)
                message.attach(self._read(part_start, part_end, depth + 1, default_type))
            part_start = line_end
            if is_last:
                tail = _LINE_END.match(self._raw, line_end, end)
                message.epilogue = self._text(tail.end() if tail else line_end, end)
                part_start = end
                break
            if self._parts >= MAX_PARTS:
                break
        if part_start is None:
            return False
        if not isinstance(message.get_payload(), list):
            message.set_payload([])
        if part_start < end:  # the last boundary is missing
            message.attach(self._read(part_start, end, depth + 1, default_type))
        return True

    def _boundaries(self, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """The offsets of the lines of a boundary, and whether each is the closing one."""
        delimiter = b"--" + boundary
        position = start
        self._looks -= end - start
        while self._looks > 0:
            found = self._raw.find(delimiter, position, end)
            if found < 0:
                return
            self._looks -= LINE_LOOKS
            position = found + len(delimiter)
            if found > start and self._raw[found - 1] not in b"\r\n":
                continue
            after = _AFTER_BOUNDARY.match(self._raw, position, end)
            if after is not None:
                is_last = after[1] is not None
                # The line ending after the last one belongs to what follows.
                yield found, after.start(2) if is_last and after[2] else after.end(), is_last
                position = after.end()

    def _without_line_end(self, start: int, end: int) -> int:
        """The end of a part: the line ending before a boundary belongs to the boundary."""
        for line_end in (b"\r\n", b"\n", b"\r"):
            if self._raw.endswith(line_end, start, end):
                return end - len(line_end)
        return end

    # --- attached mails ---

    def _read_attached(self, message: M, start: int, end: int, depth: int) -> bool:
        """Parse the contents of a message part; False for one with a transfer encoding, which is a file."""
        if message.get_content_type() == "message/delivery-status":
            self._read_blocks(message, start, end)
            return True
        if str(message.get("Content-Transfer-Encoding", "")) in ("base64", "quoted-printable"):
            return False
        message.attach(self._read(start, end, depth + 1))
        return True

    def _read_blocks(self, message: M, start: int, end: int) -> None:
        """Parse the blocks of header fields of a delivery status (RFC 3464)."""
        message.set_payload([])
        while start < end:
            block, body = self._read_header(start, end)
            self._parts += 1
            if body == start or self._parts >= MAX_PARTS or self._looks <= 0:
                block.set_payload(self._text(body, end))
                body = end
            else:
                block.set_payload("")
            message.attach(block)
            start = body
