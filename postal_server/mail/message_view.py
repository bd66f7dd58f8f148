"""A stored message as the API and the inbound payload show it (contract 1.11 and 4.5)."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import chain

from .address_list import Mailbox, join_groups, parse_mailboxes, quote_phrase
from .charset import codec_of, decode_undeclared
from .charset import decode as decode_text
from .compose import (
    ADDRESS_FIELDS,
    DATE_FIELDS,
    FIELD_ORDER,
    MESSAGE_ID,
    MESSAGE_ID_FIELDS,
    REPEATABLE_FIELDS,
)
from .date import format_date, parse_date
from .file_name import made_up_name, numbered
from .header import decode_header, header_fields
from .mime import Part, parse, parse_content_type, parse_header_value
from .transfer import is_base64, to_lf

# Keys of `headers` come in this order; all others follow in the order of the message.
_ORDER = [
    *(name.lower() for name in FIELD_ORDER),
    "content-location",
    "content-disposition",
    "content-description",
]
_ORDER.insert(_ORDER.index("cc") + 1, "bcc")
_RANKS = {name: rank for rank, name in enumerate(_ORDER)}
# Of these the last one counts and hides those above, as in Postal's mail library.
_SINGLE = frozenset(_ORDER) - REPEATABLE_FIELDS

META_BYTES = 2000  # of HTML that are searched for its charset label

_META_CHARSET = re.compile(rb"""(?i)<meta\s[^>]{0,200}?charset\s*=\s*["']?([a-z0-9._:-]{1,40})""")
_GARBLED = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")  # not TAB, line ends, form feed, escape
_VERSION = re.compile(r"\s*(\d+)\s*\.\s*(\d+)", re.ASCII)


@dataclass(frozen=True)
class Attachment:
    """A file, which may be an attached message. `data` is decoded; its name may be made up.

    `content_type` is the bare type, `full_content_type` has its parameters; both are None for a part
    without a Content-Type.
    """

    filename: str
    content_type: str | None
    full_content_type: str | None
    data: bytes

    @cached_property
    def sha1(self) -> str:
        """The SHA-1 of the data in hex, which the API calls `hash`."""
        return hashlib.sha1(self.data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class MessageParts:
    """The content of a message as the API shows it. A body is None where there is no such part.

    `is_undeclared`: plain text had no Content-Type. Postal passes its bytes on unconverted, so its reply
    rules do not match umlauts.
    """

    plain_body: str | None
    html_body: str | None
    attachments: tuple[Attachment, ...]
    headers: dict[str, list[str | None]]
    is_undeclared: bool = False


def parts(raw: bytes) -> MessageParts:
    """The content of a stored message, as a mail program would show it. Never raises.

    Successive texts are one body, and so is successive HTML; plain text between or after HTML is part of the
    HTML body as well. Everything else is a file. See `mime` for the limits of parsing.
    """
    root = parse(raw, for_reading=True)
    body = _Body()
    body.read(root, is_alone=True)
    if not body.rich:
        for part in body.named:
            body.show(part)  # nothing else to read
    plain, rich = body.plain, body.rich
    return MessageParts(
        plain_body="\n".join(map(body_text, plain)) if plain else None,
        html_body="\n".join(map(_as_html, rich)) if any(map(_is_html, rich)) else None,
        attachments=_attachments(body.files),
        headers=headers_view(raw[: root.body_start], root.text_charset),
        is_undeclared=any(part.content_type is None for part in plain),
    )


# Other forms of the body in a multipart/alternative, which mail programs do not list as files.
_OTHER_SPELLINGS = frozenset(["text/enriched", "text/richtext", "text/watch-html", "text/x-amp-html"])
_BODY_TYPES = ("text/plain", "text/html")


class _Body:
    """The parts of a message by their role for a reader, each list in order.

    `plain` and `rich` are its body as text and as HTML: `rich` has the plain texts too that no HTML is an
    alternative to. `named` are those of `files` that are texts and not marked as files.
    """

    def __init__(self) -> None:
        self.plain: list[Part] = []
        self.rich: list[Part] = []
        self.files: list[Part] = []
        self.named: list[Part] = []

    def read(self, part: Part, *, is_alone: bool) -> None:
        """Sort `part` and the parts in it. `is_alone`: it has no siblings other than alternatives."""
        if part.children and part.is_attachment and not is_alone:
            self.files += [leaf for leaf in part.walk_own() if not (leaf.is_multipart and leaf.children)]
        elif part.mime_type == "multipart/alternative" and part.children:
            self.read_alternatives(part.children)
        elif part.mime_type == "multipart/related" and part.children:
            root = _root(part)
            self.read(root, is_alone=True)
            for child in part.children:
                if child is not root and _is_referred_to(child):
                    self.files.append(child)
                elif child is not root:
                    self.read(child, is_alone=False)
        elif part.children:
            for child in part.children:
                self.read(child, is_alone=False)
        elif part.is_multipart and not part.is_attachment:
            self.show(part)  # its boundary is missing: the text as it is
        elif part.is_attachment or part.mime_type not in _BODY_TYPES:
            self.files.append(part)
        elif part.filename and not is_alone:
            self.files.append(part)
            self.named.append(part)
        else:
            self.show(part)

    def show(self, part: Part) -> None:
        self.rich.append(part)
        if not _is_html(part):
            self.plain.append(part)

    def read_alternatives(self, children: Sequence[Part]) -> None:
        """The texts of all, and the HTML of those that have some."""
        spellings, others = [], []
        for child in children:
            if child.mime_type in _OTHER_SPELLINGS and not child.is_attachment:
                others.append(child)
                continue
            inner = _Body()
            inner.read(child, is_alone=True)
            self.plain += inner.plain
            self.files += inner.files
            self.named += inner.named
            spellings.append(inner.rich)
        with_html = [rich for rich in spellings if any(map(_is_html, rich))]
        self.rich += chain.from_iterable(with_html or spellings)
        if not any(spellings):
            self.files += others


def _is_html(part: Part) -> bool:
    return part.mime_type == "text/html"


def _root(related: Part) -> Part:
    """The root of a multipart/related: the part that `start` names, or the first text (RFC 2387)."""
    start = related.content_type.parameters.get("start", "").strip() if related.content_type else ""
    parts = related.children
    named = (part for part in parts if start and part.fields.get("content-id", "").strip() == start)
    texts = (p for p in parts if (p.children or p.mime_type in _BODY_TYPES) and not p.is_attachment)
    return next(named, None) or next(texts, parts[0])


def _is_referred_to(part: Part) -> bool:
    """Is it embedded in the HTML (RFC 2387)?"""
    return not part.children and ("content-id" in part.fields or "content-location" in part.fields)


def _content(part: Part) -> bytes:
    """The decoded content. ASCII that was not base64, 8bit or binary gets LF, everything else is kept."""
    data = part.content
    if part.encoding in ("", "7bit", "quoted-printable") and data.isascii():
        return to_lf(data)
    return data


def body_text(part: Part) -> str:
    """Content as text, by its charset (see `charset`); what is falsely labelled base64 is shown as it is."""
    text = _decode(part, _content(part))
    if part.encoding == "base64" and _GARBLED.search(text) and not is_base64(part.body):
        return _decode(part, part.body)
    return text


def _decode(part: Part, data: bytes) -> str:
    label = part.charset
    if _is_html(part) and codec_of(label or "") is None:
        meta = _META_CHARSET.search(data, 0, META_BYTES)
        label = meta[1].decode("ascii") if meta else None
    return decode_text(data, label).removeprefix("\ufeff")


def _as_html(part: Part) -> str:
    text = body_text(part)
    return text if _is_html(part) else f'<div style="white-space: pre-wrap">{escape(text)}</div>'


def _attachments(files: Sequence[Part]) -> tuple[Attachment, ...]:
    """The files; those without a name get one that no other has."""
    names = {name for part in files if (name := part.filename)}
    numbers: Counter[str] = Counter()
    attachments = []
    for part in files:
        data = _content(part)
        name = part.filename
        if not name:
            made_up = name = made_up_name(part.mime_type, data)
            while name in names:
                numbers[made_up] += 1
                name = numbered(made_up, numbers[made_up] + 1)
            names.add(name)
        attachments.append(_attachment(part, name, data))
    return tuple(attachments)


def _attachment(part: Part, name: str, data: bytes) -> Attachment:
    content_type = part.content_type
    return Attachment(
        filename=name,
        content_type=content_type.value if content_type else None,
        full_content_type=str(content_type) if content_type else None,
        data=data,
    )


def headers_view(raw: bytes, charset: str | None = None) -> dict[str, list[str | None]]:
    """Lower-cased name -> decoded values, None for an empty one; standard fields first.

    `charset` is that of the text, in which 8-bit values may be too.
    """
    values_by_name: dict[str, list[bytes]] = {}
    for name, value in header_fields(raw):
        key = name.lower().replace("\0", "")
        if " " in key:
            continue  # a mailbox file's `From ` line
        if key in _SINGLE:
            values_by_name[key] = [value]
        else:
            values_by_name.setdefault(key, []).append(value)
    return {
        key: [_view(key, decode_undeclared(value, charset)) for value in values]
        for key, values in sorted(values_by_name.items(), key=lambda item: _RANKS.get(item[0], len(_RANKS)))
    }


def _view(key: str, text: str) -> str | None:
    if not text:
        return None
    return _VIEWS.get(key, decode_header)(text)


def _addresses(text: str) -> str:
    try:
        mailboxes = parse_mailboxes(text)
    except ValueError:
        return decode_header(text)
    return ", ".join(join_groups(mailboxes, _mailbox, _phrase))


def _mailbox(mailbox: Mailbox) -> str:
    address = decode_header(mailbox.address)
    if mailbox.name:
        return f"{_phrase(mailbox.name)} <{address}>"
    comments = decode_header(" ".join(mailbox.comments))
    return f"{address} ({comments})" if comments else address


def _phrase(name: str) -> str:
    return quote_phrase(decode_header(name))


def _date(text: str) -> str:
    at = parse_date(text)
    return format_date(at) if at else decode_header(text)


def _received(text: str) -> str:
    info, semicolon, date = text.rpartition(";")
    return f"{info}; {_date(date.strip())}" if semicolon else text


def _message_ids(text: str) -> str:
    return " ".join(MESSAGE_ID.findall(text)) or decode_header(text)


def _mime_version(text: str) -> str:
    match = _VERSION.match(text)
    return f"{match[1]}.{match[2]}" if match else text


def _content_type(text: str) -> str:
    parsed = parse_content_type(text)
    return str(parsed) if parsed else decode_header(text)


def _disposition(text: str) -> str:
    return str(parse_header_value(text))


_VIEWS: dict[str, Callable[[str], str]] = {
    **dict.fromkeys([*ADDRESS_FIELDS, "bcc"], _addresses),
    **dict.fromkeys(DATE_FIELDS, _date),
    **dict.fromkeys([*MESSAGE_ID_FIELDS, "message-id"], _message_ids),
    "received": _received,
    "mime-version": _mime_version,
    "content-type": _content_type,
    "content-disposition": _disposition,
    "content-transfer-encoding": str.lower,
}
