"""Times in headers (RFC 5322 section 3.3)."""

from __future__ import annotations

import email.utils
import functools
from datetime import datetime, timedelta, timezone

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_date(at: datetime) -> str:
    """`at`, an aware time, as in a Date header, with its own offset (RFC 5322 section 3.3).

    By hand: `strftime` names days and months in the process's language.
    """
    return _formatted(at.replace(microsecond=0, tzinfo=None), at.utcoffset() or timedelta())


@functools.lru_cache(maxsize=16)  # the mails of a second have theirs in common
def _formatted(at: datetime, offset: timedelta) -> str:
    zone = at.replace(tzinfo=timezone(offset)).strftime("%z")[:5]
    return f"{_DAYS[at.weekday()]}, {at:%d} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S} {zone}"


def parse_date(text: str) -> datetime | None:
    """The time that a Date header names, aware, or None. `-0000` counts as UTC."""
    try:
        at = email.utils.parsedate_to_datetime(text)
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
        format_date(at)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at
