"""The MIME structure of a raw message, as offsets into its bytes (RFC 2045, 2046, 2231).

Nothing is copied and nothing re-serialised, so that a change of one part leaves every other byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import unquote_to_bytes

from .header import decode_header, decode_text, find_body, header_fields
from .transfer import decode

MAX_DEPTH = 30  # levels of multipart; each level reads the text once more
MAX_PARTS = 1000  # parts of one message; the rest stays unread in the last of them
MAX_PART_FIELDS = 100
MAX_PARAMETERS = 50

_TYPE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)/([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[\s;(]|\Z)")
_PARAMETER = re.compile(
    r""";\s*(?:([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*)))?""",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"(.+?)(?:\*(\d{1,3}))?(\*)?\Z", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+\Z")


@dataclass(frozen=True)
class HeaderValue:
    """A structured value: what stands before the first `;`, and its parameters in order.

    `raw` has the parameters as written, unquoted; `parameters` has those of RFC 2231 decoded and joined.
    """

    value: str
    raw: tuple[tuple[str, str], ...] = ()

    @cached_property
    def parameters(self) -> dict[str, str]:
        return _decode_parameters(self.raw)

    def __str__(self) -> str:
        return "; ".join([self.value, *(f"{name}={quote_token(text)}" for name, text in self.raw)])


def parse_header_value(text: str) -> HeaderValue:
    """The value and parameters of a Content-Type or Content-Disposition. Never raises."""
    value, semicolon, rest = text.partition(";")
    found: list[tuple[str, str]] = []
    for name, quoted, plain in _PARAMETER.findall(semicolon + rest):
        if name and len(found) < MAX_PARAMETERS:
            found.append((name.lower(), _ESCAPED.sub(r"\1", quoted) if quoted else plain.strip()))
    return HeaderValue(value.strip(), tuple(found))


def parse_content_type(text: str) -> HeaderValue | None:
    """A Content-Type with its type in lower case, or None for what is none (`not a type`)."""
    match = _TYPE.match(text)
    if match is None:
        return None
    return HeaderValue(f"{match[1]}/{match[2]}".lower(), parse_header_value(text).raw)


def quote_token(text: str) -> str:
    """A parameter's value, quoted where RFC 2045 section 5.1 asks for it."""
    if _TOKEN.match(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _decode_parameters(raw: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Parameters by name. RFC 2231: `name*=charset'language'text`, and `name*0`, `name*1*` joined."""
    plain: dict[str, str] = {}
    sections: dict[str, list[tuple[int, bool, str]]] = {}
    for name, text in raw:
        match = _SECTION.match(name)
        if match is None or (match[2] is None and not match[3]):
            plain.setdefault(name, text)
        else:
            sections.setdefault(match[1], []).append((int(match[2] or 0), bool(match[3]), text))
    return {**plain, **{name: _join_sections(found) for name, found in sections.items()}}


def _join_sections(sections: list[tuple[int, bool, str]]) -> str:
    sections.sort(key=lambda section: section[0])
    charset, data = "utf-8", b""
    number, is_encoded, text = sections[0]
    if is_encoded and text.count("'") >= 2:
        charset, _, text = text.split("'", 2)
        sections[0] = (number, is_encoded, text)
    for _, is_encoded, text in sections:
        data += unquote_to_bytes(text) if is_encoded else text.encode("utf-8", "replace")
    return decode_text(data, charset or "utf-8")


@dataclass
class Part:
    """One part, the message itself included: `raw[start:body_start]` is its header, then its body.

    The body ends before the line end that belongs to the next boundary (RFC 2046 section 5.1.1).
    """

    raw: bytes
    start: int
    body_start: int
    end: int
    children: list[Part] = field(default_factory=list)

    @cached_property
    def fields(self) -> dict[str, str]:
        """Its fields by lower-cased name; the last of repeated ones counts, as in Postal."""
        header = self.raw[self.start : self.body_start]
        return {
            name.lower(): value.decode("utf-8", "replace")
            for name, value in header_fields(header, limit=MAX_PART_FIELDS)
        }

    @cached_property
    def content_type(self) -> HeaderValue | None:
        """Its Content-Type; `text/plain` for one that cannot be read, None without one."""
        text = self.fields.get("content-type")
        if text is None or not text.strip():
            return None
        return parse_content_type(text) or HeaderValue("text/plain")

    @property
    def mime_type(self) -> str:
        """Its type in lower case; RFC 2045 section 5.2 makes `text/plain` the default."""
        return self.content_type.value if self.content_type else "text/plain"

    @property
    def is_multipart(self) -> bool:
        return self.mime_type.startswith("multipart/")

    @cached_property
    def disposition(self) -> HeaderValue:
        return parse_header_value(self.fields.get("content-disposition", ""))

    @property
    def filename(self) -> str | None:
        """The name of an attachment, from Content-Disposition, else Content-Type, else Content-Location."""
        name = self.disposition.parameters.get("filename")
        if not name and self.content_type:
            name = self.content_type.parameters.get("name")
        return decode_header(name or self.fields.get("content-location", "")) or None

    @property
    def encoding(self) -> str:
        """Its Content-Transfer-Encoding in lower case, `""` without one."""
        return self.fields.get("content-transfer-encoding", "").strip().lower()

    @property
    def charset(self) -> str | None:
        return self.content_type.parameters.get("charset") if self.content_type else None

    @property
    def body(self) -> bytes:
        """The body as it stands."""
        return self.raw[self.body_start : self.end]

    @property
    def content(self) -> bytes:
        """The body without its transfer encoding."""
        return decode(self.body, self.encoding)

    def walk(self) -> Iterator[Part]:
        """This part and all below it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse(raw: bytes, *, into_messages: bool = False) -> Part:
    """The parts of a message. Never raises; structure beyond the limits above is not looked into.

    `into_messages`: attached messages (message/rfc822 without base64) have parts as well.
    """
    return _Reader(raw, into_messages).read(0, len(raw), 0)


class _Reader:
    def __init__(self, raw: bytes, into_messages: bool) -> None:
        self.raw = raw
        self.into_messages = into_messages
        self.parts_left = MAX_PARTS

    def read(self, start: int, end: int, depth: int) -> Part:
        part = Part(self.raw, start, find_body(self.raw, start, end)[1], end)
        self.parts_left -= 1
        if depth < MAX_DEPTH:
            for child_start, child_end in self.inside(part):
                if self.parts_left <= 0:
                    break
                part.children.append(self.read(child_start, child_end, depth + 1))
        return part

    def inside(self, part: Part) -> Iterator[tuple[int, int]]:
        if part.is_multipart and part.content_type:
            boundary = part.content_type.parameters.get("boundary", "")
            yield from _ranges(self.raw, part.body_start, part.end, boundary)
        elif self.into_messages and part.mime_type == "message/rfc822" and part.encoding != "base64":
            yield part.body_start, part.end


def _ranges(raw: bytes, start: int, end: int, boundary: str) -> Iterator[tuple[int, int]]:
    """Start and end of each part between the boundary lines in `raw[start:end]`."""
    if not boundary:
        return
    delimiter = b"--" + boundary.encode("utf-8", "replace")
    opened: int | None = None
    position = start
    while (found := raw.find(delimiter, position, end)) >= 0:
        position = found + len(delimiter)
        if found != start and raw[found - 1] != ord("\n"):
            continue
        line_end = raw.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end + 1
        rest = raw[position:line_end].rstrip()
        if rest not in (b"", b"--"):
            continue
        if opened is not None:
            yield opened, _before_line_end(raw, opened, found)
        if rest == b"--":
            return
        opened = position = line_end
    if opened is not None:
        yield opened, end


def _before_line_end(raw: bytes, start: int, end: int) -> int:
    """`end` without the CRLF or LF right before it."""
    if end > start and raw[end - 1] == ord("\n"):
        end -= 1
        if end > start and raw[end - 1] == ord("\r"):
            end -= 1
    return end


def replace_ranges(raw: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    """`raw` with each `raw[start:end]` replaced; the ranges must not overlap."""
    pieces, position = [], 0
    for start, end, replacement in sorted(edits):
        pieces += [raw[position:start], replacement]
        position = end
    return b"".join([*pieces, raw[position:]])
