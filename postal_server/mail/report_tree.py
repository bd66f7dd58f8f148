"""The messages within a mail, one inside the other: the texts of each, and the header that it returns."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from html import unescape
from itertools import islice

from . import mime
from .address_list import addresses_in
from .charset import decode_undeclared
from .delivery_status import is_status
from .header import Fields, header_values, split_header
from .message_view import body_text
from .phrases import Text
from .quoted_header import find_header
from .transfer import is_base64

MAX_DEPTH = 8  # messages inside messages
MAX_PARTS = 100  # of a message
MAX_TEXT = 50_000  # characters that are read of a message
MAX_HEADER_FIELDS = 500
MAX_FIELDS = 10  # of one name
MAX_FIELD = 10_000  # characters
MAX_ADDRESSES = 100
MAX_LABEL = 2000  # bytes of a part that show what it is
MAX_DECODED = 1_000_000  # bytes of an attached message in base64

MESSAGE_TYPES = frozenset(["message/rfc822", "message/global", "message/news"])
HEADER_TYPES = frozenset(["text/rfc822-headers", "message/global-headers", "text/rfc822-header"])
# Types that say nothing: the content decides.
VAGUE_TYPES = frozenset(["text/plain", "application/octet-stream", "message/partial"])

_INVISIBLE = re.compile(r"(?is)<(style|script|head)\b.*?(?:</\1\s*>|\Z)")
_PREFORMATTED = re.compile(r"(?i)</?pre\b[^<>]*>")
_LINE_TAG = re.compile(r"(?i)<(?:br|/?p|/?div|/?tr|/?li|/?h[1-6]|/?table|/?pre|/td|hr)\b[^<>]*>")
_TAG = re.compile(r"<[^<>]*>")
_BLANK_LINES = re.compile(r"\n[ \t\n]{2,}")
_MAILBOX_LINE = re.compile(rb">?From [^\n]*\n")
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]{1,60}[ \t]*:")


@dataclass
class Message:
    """A message, `depth` messages deep in the mail that came. `part` is it as a whole."""

    part: mime.Part
    depth: int

    @cached_property
    def header(self) -> bytes:
        """Its header fields."""
        return self.part.raw[self.part.start : min(self.part.body_start, self.part.start + mime.MAX_HEADER)]

    @cached_property
    def fields(self) -> Fields:
        """The same, read."""
        return Fields(self.header, MAX_HEADER_FIELDS)

    @cached_property
    def leaves(self) -> list[mime.Part]:
        """Its parts that have no parts of their own; attached messages are leaves, what is in them is not."""
        own = islice(self.part.walk_own(), MAX_PARTS)
        return [part for part in own if not (part.is_multipart and part.children)]

    def first(self, types: Collection[str]) -> mime.Part | None:
        """The first of its parts of one of these types."""
        return next((part for part in self.leaves if part.mime_type in types), None)

    @cached_property
    def text(self) -> str:
        """What people read: its plain texts, else its HTML without tags. LF line ends, 50,000 characters."""
        text = self._join([part for part in self.leaves if part.is_multipart or _is_text(part)])
        if len(text.strip()) < 20:  # characters: a remark such as "see attached"
            pages = [part for part in self.leaves if part.mime_type == "text/html"]
            text = f"{text}\n{html_text(self._join(pages))}".strip("\n") if pages else text
        return text

    def _join(self, parts: list[mime.Part]) -> str:
        texts, left = [], MAX_TEXT
        for part in parts:
            beginning = replace(part, end=min(part.end, part.body_start + 4 * left), children=[])
            texts.append(body_text(beginning)[:left].replace("\r\n", "\n").replace("\r", "\n"))
            left -= len(texts[-1])
            if left <= 0:
                break
        return "\n\n".join(texts)

    @cached_property
    def quoted(self) -> tuple[int, bytes]:
        """Where in its text the header of another message begins (else its end), and that header."""
        return find_header(self.text)

    @cached_property
    def explanation(self) -> str:
        """Its text without the message that it quotes."""
        return self.text[: self.quoted[0]]

    @cached_property
    def words(self) -> Text:
        """Its text, to look for words in."""
        return Text(self.text)

    @cached_property
    def explaining_words(self) -> Text:
        """Its explanation, to look for words in."""
        return self.words if len(self.explanation) == len(self.text) else Text(self.explanation)

    @cached_property
    def returned(self) -> bytes:
        """The header of the message that it returns, attached or in its text; empty where it returns none."""
        for part in self.leaves:
            if part is not self.part or part.mime_type in MESSAGE_TYPES:
                header = _returned_in(part)
                if header:
                    return header
        return self.quoted[1]

    @cached_property
    def returned_to(self) -> list[str]:
        """The recipients in the header of the message that it returns, up to 100."""
        addresses: list[str] = []
        returned = Fields(self.returned)
        for name in ("x-original-to", "delivered-to", "to", "cc"):
            for value in returned.values(name)[:MAX_FIELDS]:
                addresses += [address for address in addresses_in(value[:MAX_FIELD]) if "@" in address]
            if addresses:
                break
        return list(dict.fromkeys(addresses))[:MAX_ADDRESSES]


def _is_text(part: mime.Part) -> bool:
    """Is it plain text for people? Status fields under that label are none."""
    return part.mime_type == "text/plain" and not (
        part.start and is_status(decode_undeclared(content(part, MAX_LABEL)))
    )


def _returned_in(part: mime.Part) -> bytes:
    if part.mime_type in MESSAGE_TYPES or part.mime_type in HEADER_TYPES:
        return _header_of(part)
    if part.mime_type in VAGUE_TYPES:
        header = _header_of(part)
        if _FIELD.match(header) and (
            header_values(header, "Message-ID") or header_values(header, "Received")
        ):
            return header
    return b""


def _header_of(part: mime.Part) -> bytes:
    """The header at the start of a part's content, below blank lines and the `From ` of a mailbox file."""
    text = content(part, mime.MAX_HEADER).lstrip()
    mailbox_line = _MAILBOX_LINE.match(text)
    return split_header(text[mailbox_line.end() :] if mailbox_line else text)[0]


def messages(raw: bytes) -> Iterator[Message]:
    """The mail itself, then the messages inside it, the outer ones first, up to 8 deep."""
    waiting = deque([Message(mime.parse(raw, into_messages=True, for_reading=True), 0)])
    seen = 0
    while waiting and seen < MAX_PARTS:
        message = waiting.popleft()
        seen += 1
        yield message
        if message.depth < MAX_DEPTH:
            inner = (_inside(part) for part in message.leaves if part.mime_type in MESSAGE_TYPES)
            waiting += [Message(part, message.depth + 1) for part in inner if part]


def _inside(part: mime.Part) -> mime.Part | None:
    """The message in an attached one."""
    if part.children:
        return part.children[0]
    text = content(part, MAX_DECODED)
    return mime.parse(text, into_messages=True, for_reading=True) if text.strip() else None


def content(part: mime.Part, limit: int) -> bytes:
    """The decoded content of the first `limit` bytes; as it is if it is labelled as base64 and is none."""
    end = min(part.end, part.body_start + limit)
    if part.encoding == "base64":
        first = part.raw[part.body_start : min(end, part.body_start + MAX_LABEL)].strip().partition(b"\n")[0]
        if not is_base64(first.strip()):
            return part.raw[part.body_start : end]
    return part.content_of(limit)


def html_text(html: str) -> str:
    """The text of a page, roughly: a line for each block, no tags. Addresses in angle brackets stay."""
    pieces = _PREFORMATTED.split(_INVISIBLE.sub(" ", html))
    # Every other piece stands between two of these tags: its line ends count.
    text = "\n".join(
        [piece if number % 2 else piece.replace("\n", " ") for number, piece in enumerate(pieces)]
    )
    text = unescape(_TAG.sub(_without_tag, _LINE_TAG.sub("\n", text))).replace("\xa0", " ")
    return _BLANK_LINES.sub("\n\n", text)


def _without_tag(match: re.Match[str]) -> str:
    tag = match[0]
    return tag if "@" in tag and not any(sign in tag for sign in "= /") else ""
