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
    missing; of several that are not, which receivers refuse, the last one stays. What is put in stands at the
    offset `at`, the start of a line.
    """
    ids, dates = head.get("message-id", ()), head.get("date", ())
    message_id, date = _last(ids, is_message_id), _last(dates, is_date)
    identifier = new_id() if message_id is None else bare_message_id(message_id) or ""
    added = b""
    if message_id is None or len(ids) > 1:
        raw = remove_header(raw, "Message-ID") if ids else raw
        added = f"Message-ID: {message_id or f'<{identifier}>'}\r\n".encode()
    if date is None or len(dates) > 1:
        raw = remove_header(raw, "Date") if dates else raw
        added += f"Date: {date or format_date(now)}\r\n".encode()
    # A large mail is copied once, not twice.
    return (b"".join((raw[:at], added, memoryview(raw)[at:])) if added else raw), identifier


def _last(values: Sequence[str], is_good: Callable[[str], bool]) -> str | None:
    return next((value for value in reversed(values) if is_good(value)), None)


def is_message_id(value: str) -> bool:
    """Is this a Message-ID with both of its sides (RFC 5322 section 3.6.4)?"""
    inner, closed, _ = value.partition("<")[2].partition(">")
    left, _, right = inner.strip().rpartition("@")
    return bool(closed and left and right) and value.isascii() and len(inner.split()) == 1


def is_date(value: str) -> bool:
    """Does this name a time?"""
    return _USUAL_DATE.match(value) is not None or (value.isascii() and parse_date(value) is not None)
