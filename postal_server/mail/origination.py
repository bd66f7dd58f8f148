"""The fields of origination that every message needs, put in where a client left them out.

Source: RFC 5322 section 3.6 (Date; Message-ID, which large receivers insist on), RFC 6409 section 8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from .date import format_date, parse_date
from .header import bare_message_id, remove_header

_USUAL_DATE = re.compile(  # not so much as a check: it spares most mail the reading
    r"(?:[A-Z][a-z]{2}, )?(?:0?[1-9]|[12]\d) [A-Z][a-z]{2} \d{4} [01]\d:[0-5]\d:[0-5]\d [+-]\d{4}\Z", re.ASCII
)


def complete(
    raw: bytes, head: Mapping[str, Sequence[str]], *, at: int, new_id: Callable[[], str], now: datetime
) -> tuple[bytes, str]:
    """`raw` with a Message-ID and a Date, and that Message-ID without its brackets.

    `head` has the values of each field by its lower-case name. One that is empty or malformed counts as
    missing. What is missing is put in at the offset `at`, the start of a line.
    """
    added = b""
    ids, dates = head.get("message-id", ()), head.get("date", ())
    if ids and is_message_id(ids[-1]):
        identifier = bare_message_id(ids[-1]) or ""
    else:
        raw = remove_header(raw, "Message-ID") if ids else raw
        identifier = new_id()
        added = f"Message-ID: <{identifier}>\r\n".encode()
    if not (dates and is_date(dates[-1])):
        raw = remove_header(raw, "Date") if dates else raw
        added += f"Date: {format_date(now)}\r\n".encode()
    # A large mail is copied once, not twice.
    return (b"".join((raw[:at], added, memoryview(raw)[at:])) if added else raw), identifier


def is_message_id(value: str) -> bool:
    """Is this a Message-ID with both of its sides (RFC 5322 section 3.6.4)?"""
    inner, closed, _ = value.partition("<")[2].partition(">")
    left, _, right = inner.strip().rpartition("@")
    return bool(closed and left and right) and value.isascii() and not any(map(str.isspace, inner.strip()))


def is_date(value: str) -> bool:
    """Does this name a time?"""
    return _USUAL_DATE.match(value) is not None or (value.isascii() and parse_date(value) is not None)
