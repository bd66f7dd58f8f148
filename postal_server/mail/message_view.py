"""A stored message as the API and the inbound payload show it (contract 1.11 and 4.5)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from .address_list import Mailbox, join_groups, parse_mailboxes, quote_phrase
from .compose import (
    ADDRESS_FIELDS,
    DATE_FIELDS,
    FIELD_ORDER,
    MESSAGE_ID,
    MESSAGE_ID_FIELDS,
    REPEATABLE_FIELDS,
)
from .date import format_date, parse_date
from .header import decode_header, decode_text, header_fields
from .mime import Part, parse, parse_content_type, parse_header_value
from .transfer import to_lf

# Keys of `headers` come in this order; all others follow as they stand in the message.
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

_VERSION = re.compile(r"\s*(\d+)\s*\.\s*(\d+)", re.ASCII)


@dataclass(frozen=True)
class Attachment:
    """A part with a file name, or an attached message. `data` is decoded.

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
    """What the API shows of a message. A body is None where there is no such part.

    `is_undeclared`: the plain body had no Content-Type, so its bytes were passed on unconverted by
    Postal. Then Postal's reply rules do not find umlauts, and bytes that are not UTF-8 (U+FFFD here)
    keep it from posting JSON.
    """

    plain_body: str | None
    html_body: str | None
    attachments: tuple[Attachment, ...]
    headers: dict[str, list[str | None]]
    is_undeclared: bool = False


def parts(raw: bytes) -> MessageParts:
    """The parts of a stored message. Never raises; see `mime` for how much structure is looked at."""
    root = parse(raw)
    plain = html = None
    attachments: list[Attachment] = []
    if root.is_multipart:
        for part in root.walk():
            if part.children or part is root:
                continue
            if part.filename or part.mime_type == "message/rfc822":
                attachments.append(_attachment(part))
            elif part.mime_type == "text/plain":
                plain = plain or part
            elif part.mime_type == "text/html":
                html = html or part
    else:
        plain = root if root.mime_type == "text/plain" else None
        html = root if root.mime_type == "text/html" else None
    return MessageParts(
        plain_body=body_text(plain) if plain else None,
        html_body=body_text(html) if html else None,
        attachments=tuple(attachments),
        headers=headers_view(raw),
        is_undeclared=plain is not None and plain.content_type is None,
    )


def _content(part: Part) -> bytes:
    """The decoded content. ASCII that was not base64, 8bit or binary gets LF, everything else is kept."""
    data = part.content
    if part.encoding in ("", "7bit", "quoted-printable") and data.isascii():
        return to_lf(data)
    return data


def body_text(part: Part) -> str:
    """Content as text: by its charset; without one, bytes that are not ASCII are U+FFFD."""
    data = _content(part)
    if part.content_type is None:
        return data.decode("utf-8", "replace")
    return decode_text(data, part.charset) if part.charset else data.decode("ascii", "replace")


def _attachment(part: Part) -> Attachment:
    data = _content(part)
    content_type = part.content_type
    return Attachment(
        filename=part.filename or _made_up_name(data),
        content_type=content_type.value if content_type else None,
        full_content_type=str(content_type) if content_type else None,
        data=data,
    )


def _made_up_name(data: bytes) -> str:
    """A number for an attached message without a name. Unlike Postal's it is the same at each reading."""
    return f"{int(hashlib.sha256(data).hexdigest()[:12], 16)}.eml"


def headers_view(raw: bytes) -> dict[str, list[str | None]]:
    """Lower-cased name -> decoded values, None for an empty one; standard fields first."""
    found: dict[str, list[str | None]] = {}
    for name, value in header_fields(raw):
        key = name.lower()
        text = _view(key, value.decode("utf-8", "replace"))
        if key in _SINGLE:
            found[key] = [text]
        else:
            found.setdefault(key, []).append(text)
    return dict(sorted(found.items(), key=lambda item: _RANKS.get(item[0], len(_RANKS))))


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
