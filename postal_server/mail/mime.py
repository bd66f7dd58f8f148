"""The MIME structure of a raw message, as offsets into its bytes (RFC 2045, 2046, 2231).

Nothing is copied and nothing re-serialized, so that changing one part keeps every other byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import unquote_to_bytes

from .charset import decode as decode_text
from .charset import decode_undeclared
from .header import decode_header, header_fields
from .transfer import decode, encoding_name, is_base64, split_base64

# Limits of parsing, far above ordinary mail. What lies beyond them stays unparsed in the part that it is in.
MAX_DEPTH = 30  # levels of multipart
MAX_PARTS = 1000  # parts of one message
MAX_DELIMITERS = 10_000  # lines that begin like a boundary line
MAX_SEARCHES = 4  # times the length of the message, searched for boundaries
MIN_SEARCHED = 4_000_000  # bytes that may be searched, however short the message is
MAX_HEADER = 256_000  # bytes of the message's own header
MAX_PART_HEADERS = 128_000  # bytes of the headers of all its parts together
MAX_PART_FIELDS = 100
MAX_PARAMETERS = 50
MAX_VALUE = 64_000  # characters of a structured value

_TYPE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)/([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[\s;(]|\Z)")
_PARAMETER = re.compile(
    r""";\s*(?:\([^()]*\)\s*)?(?:([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*)))?""",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"(.+?)(?:\*(\d{1,3}))?(\*)?\Z", re.ASCII)
_DISPOSITION = re.compile(r"[A-Za-z][A-Za-z-]*")
# `attachment filename=a.pdf`, and `filename=a.pdf` alone
_BARE_FILENAME = re.compile(r"\s*([A-Za-z-]*)\s*\b(?=filename[*0-9]*\s*=)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
# The start of a header line: a name and a colon, or the `From ` line above each mail of a mailbox file.
_FIELD_START = rb"[!-9;-~]+[ \t]*:|>?From \S[^\n]*\d:\d\d"
_FIELD = re.compile(_FIELD_START)
_HEADER_END = re.compile(rb"\n(?:\r?\n|(?![ \t]|\Z|" + _FIELD_START + rb"))")
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+\Z")


@dataclass(frozen=True)
class HeaderValue:
    """A structured value: the text before the first `;`, and its parameters in order.

    `raw` has the parameters as written, unquoted; `parameters` has those of RFC 2231 decoded and joined.
    """

    value: str
    raw: tuple[tuple[str, str], ...] = ()

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The parameters by their lower-case names."""
        return _decode_parameters(self.raw)

    def __str__(self) -> str:
        return "; ".join([self.value, *(f"{name}={quote_token(text)}" for name, text in self.raw)])


def parse_header_value(text: str) -> HeaderValue:
    """The value and parameters of a Content-Type or Content-Disposition. Never raises."""
    value, semicolon, rest = text[:MAX_VALUE].partition(";")
    if not semicolon:
        return HeaderValue(value.strip())
    parameters: list[tuple[str, str]] = []
    for match in _PARAMETER.finditer(semicolon + rest):
        name, quoted, plain = match.groups("")
        if name:
            # A lone quotation mark in front opens a string that is never closed.
            text = _ESCAPED.sub(r"\1", quoted) if quoted else plain.strip().removeprefix('"')
            parameters.append((name.lower(), text))
        if len(parameters) == MAX_PARAMETERS:
            break
    return HeaderValue(value.strip(), tuple(parameters))


def parse_content_type(text: str) -> HeaderValue | None:
    """A Content-Type with its type in lower case, or None for text that is none (`not a type`)."""
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
    return {**plain, **{name: _join_sections(parts) for name, parts in sections.items()}}


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
    default_type: str = "text/plain"
    children: list[Part] = field(default_factory=list)

    @cached_property
    def fields(self) -> dict[str, str]:
        """Its fields by lower-cased name; the last of repeated ones counts, as in Postal."""
        header = self.raw[self.start : min(self.body_start, self.start + MAX_HEADER)]
        return {
            name.lower(): decode_undeclared(value)
            for name, value in header_fields(header, limit=MAX_PART_FIELDS)
        }

    @cached_property
    def content_type(self) -> HeaderValue | None:
        """Its Content-Type; `text/plain` for one that cannot be read, None without one."""
        text = self.fields.get("content-type")
        if text is None or not text.strip():
            return None
        return parse_content_type(text) or HeaderValue("text/plain")

    @cached_property
    def mime_type(self) -> str:
        """Its type in lower case. The default is text, in a digest a message (RFC 2046 section 5.1.5)."""
        return self.content_type.value if self.content_type else self.default_type

    @property
    def is_multipart(self) -> bool:
        """Does it have parts of its own?"""
        return self.mime_type.startswith("multipart/")

    @cached_property
    def disposition(self) -> HeaderValue:
        """Its Content-Disposition; empty where it has none."""
        text = self.fields.get("content-disposition", "")
        if bare := _BARE_FILENAME.match(text):
            text = f"{bare[1]};{text[bare.end() :]}"
        return parse_header_value(text)

    @property
    def is_attachment(self) -> bool:
        """Is it marked as a file? An unknown disposition marks it too (RFC 2183 section 2.8)."""
        word = _DISPOSITION.search(self.disposition.value)
        return word is not None and word[0].lower() != "inline"

    @cached_property
    def filename(self) -> str | None:
        """The name of an attachment, from Content-Disposition, else Content-Type, else Content-Location."""
        name = self.disposition.parameters.get("filename")
        if not name and self.content_type:
            name = self.content_type.parameters.get("name")
        text = decode_header(name or self.fields.get("content-location", ""))
        return _CONTROL.sub("", text).strip() or None

    @cached_property
    def encoding(self) -> str:
        """Its Content-Transfer-Encoding in lower case, without comments and the like; `""` without one."""
        return encoding_name(self.fields.get("content-transfer-encoding", ""))

    @property
    def is_encoded(self) -> bool:
        """Is its body in an encoding that changes bytes?"""
        return self.encoding in ("base64", "quoted-printable")

    @property
    def charset(self) -> str | None:
        """The charset that its Content-Type names, or None."""
        return self.content_type.parameters.get("charset") if self.content_type else None

    @property
    def text_charset(self) -> str | None:
        """The charset that the first of the texts in it names, itself included; None if none does."""
        texts = (part for part in self.walk_own() if part.mime_type.startswith("text/"))
        return next((part.charset for part in texts if part.charset), None)

    @property
    def body(self) -> bytes:
        """The body as it is in the message."""
        return self.raw[self.body_start : self.end]

    @property
    def content(self) -> bytes:
        """The decoded body; plain text after the base64 of a text part belongs to it."""
        body = self.body
        if self.encoding == "base64" and self.mime_type.startswith("text/") and not is_base64(body):
            return decode(body, self.encoding) + split_base64(body)[1]
        return decode(body, self.encoding)

    def content_of(self, limit: int) -> bytes:
        """As `content`, but only of the first `limit` bytes of the body."""
        return decode(self.raw[self.body_start : min(self.end, self.body_start + limit)], self.encoding)

    def walk(self) -> Iterator[Part]:
        """This part and all below it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def walk_own(self) -> Iterator[Part]:
        """As `walk`, but without the parts inside attached messages."""
        yield self
        for child in self.children if self.is_multipart else ():
            yield from child.walk_own()


def parse(raw: bytes, *, into_messages: bool = False, for_reading: bool = False) -> Part:
    """The parts of a message. Never raises; structure beyond the limits above is not parsed.

    `into_messages`: attached messages (message/rfc822 without base64) have parts as well.
    `for_reading`: errors are tolerated, as in mail programs; not for edits. A header ends at the first line
    that is no field, and a multipart in base64, which RFC 2045 section 6.4 forbids, has parts all the same:
    their offsets are those in its decoded text.
    """
    return _Reader(len(raw), into_messages, for_reading).read(Part(raw, 0, 0, len(raw)), 0)


class _Reader:
    """Reads one message of `size` bytes, and counts down the limits of parsing."""

    def __init__(self, size: int, into_messages: bool, for_reading: bool) -> None:
        self.into_messages = into_messages
        self.for_reading = for_reading
        self.parts_left = MAX_PARTS
        self.delimiters_left = MAX_DELIMITERS
        self.searches_left = max(MAX_SEARCHES * size, MIN_SEARCHED)
        self.headers_left = MAX_PART_HEADERS

    def read(self, part: Part, depth: int) -> Part:
        """`part`, after setting where its body begins and adding its children."""
        part.body_start = self.find_body(part, self.headers_left if depth else MAX_HEADER)
        self.parts_left -= 1
        self.headers_left -= part.body_start - part.start if depth else 0
        if depth < MAX_DEPTH:
            self.add_children(part, (part.raw, part.body_start, part.end), depth + 1)
            if self.for_reading and part.is_multipart and not part.children and part.encoding == "base64":
                decoded = part.content
                self.add_children(part, (decoded, 0, len(decoded)), depth + 1)
        return part

    def find_body(self, part: Part, limit: int) -> int:
        """Where the body begins. A header longer than `limit` bytes is cut there, or has no body."""
        raw, start, end = part.raw, part.start, min(part.end, part.start + limit)
        if raw.startswith((b"\n", b"\r\n"), start, part.end):
            return raw.index(b"\n", start) + 1
        if self.for_reading and not _FIELD.match(raw, start, end):
            return start
        match = (_HEADER_END if self.for_reading else _EMPTY_LINE).search(raw, start, end)
        return match.end() if match else end if self.for_reading else part.end

    def add_children(self, part: Part, body: tuple[bytes, int, int], depth: int) -> None:
        """Add the parts in the body of `part`. `body` is the bytes, and where in them it starts and ends."""
        default_type = "message/rfc822" if part.mime_type == "multipart/digest" else "text/plain"
        for start, end in self.inside(part, *body):
            part.children.append(self.read(Part(body[0], start, start, end, default_type), depth))

    def inside(self, part: Part, raw: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        if self.parts_left <= 0:
            return
        if part.is_multipart and part.content_type:
            boundary = part.content_type.parameters.get("boundary", "").rstrip()
            self.searches_left -= end - start
            if boundary and self.searches_left >= 0:
                yield from self.ranges(raw, start, end, b"--" + boundary.encode("utf-8", "replace"))
        elif self.into_messages and part.mime_type == "message/rfc822" and part.encoding != "base64":
            yield start, end

    def ranges(self, raw: bytes, start: int, end: int, delimiter: bytes) -> Iterator[tuple[int, int]]:
        """Start and end of each part between the boundary lines in `raw[start:end]`."""
        opened: int | None = None
        line = start
        if not raw.startswith(delimiter, line, end):
            line = raw.find(b"\n" + delimiter, line, end) + 1
        while line:
            self.delimiters_left -= 1
            after = line + len(delimiter)
            line_end = raw.find(b"\n", after, end) + 1 or end
            rest = raw[after:line_end].rstrip()
            if rest in (b"", b"--"):
                if opened is not None:
                    yield opened, _before_line_end(raw, opened, line)
                opened = None if rest else line_end
            if rest == b"--" or min(self.parts_left - 1, self.delimiters_left, self.headers_left) <= 0:
                break
            line = raw.find(b"\n" + delimiter, line_end - 1, end) + 1
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
