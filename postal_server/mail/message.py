"""Messages as bytes: what their header says, and the lines that this server puts on top."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from .charset import decode_undeclared
from .date import format_date, parse_date
from .header import (
    decode_header,
    first,
    header_fields,
    header_values,
    last,
    message_id,
    prepend,
    remove_header,
    split_header,
    subject,
)
from .message_view import Attachment, MessageParts, parts
from .mime import parse

__all__ = [
    "Attachment",
    "MessageParts",
    "decode_field",
    "decode_header",
    "first",
    "format_date",
    "header_fields",
    "header_values",
    "last",
    "message_id",
    "parse_date",
    "parts",
    "prepend",
    "received_line",
    "remove_header",
    "split_header",
    "subject",
]

MAX_RECEIVED_PART = 255  # characters of a greeting or host name that a peer chose

MAX_FOR_CHARSET = 65_536  # bytes in which the first text is looked for

_NOT_PRINTABLE = re.compile(r"[^!-'*-~]")  # parentheses would close the comment


def decode_field(value: bytes, raw: bytes) -> str:
    """The value of a field of the message `raw`, its encoded words not decoded.

    8-bit text is UTF-8 if it is valid UTF-8, else in the charset of the first text in the message, as mail
    programs that put it there write both alike, else windows-1252.
    """
    try:
        return value.decode("utf-8").replace("\0", "")
    except UnicodeDecodeError:
        return decode_undeclared(value, parse(raw[:MAX_FOR_CHARSET], for_reading=True).text_charset)


def received_line(
    source: str, *, ip: str, rdns: str | None, by: str, via: str, at: datetime, private: bool = False
) -> bytes:
    """The Received field of a message that this server receives, one unfolded line with its CRLF.

    `source` is `api`, `web-ui` or the name an SMTP client greeted with; `via` is `HTTP` or `SMTP`; `rdns`
    the name of `ip` in DNS, if it has one. `private` leaves the client out. As Postal has it, an SMTP
    time ends in `-0000`, an API one in `+0000`, and SMTP puts the source's host in the same place.
    """
    date = format_date(at.astimezone(timezone.utc))
    if via == "SMTP":
        date = date[:-5] + "-0000"
    client = "" if private else f"from {_clean(source)} ({_clean(rdns or ip)} [{_clean(ip)}]) "
    return f"Received: {client}by {by} with {via}; {date}\r\n".encode()


def _clean(text: str) -> str:
    return _NOT_PRINTABLE.sub("?", text[:MAX_RECEIVED_PART])
