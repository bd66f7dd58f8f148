"""Where the rows of an import come from, and how Postal writes times into them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Protocol

Row = Mapping[str, Any]


class Source(Protocol):
    """A database of Postal's: a dump of it, or the live one."""

    def rows(self, tables: Collection[str]) -> Iterable[tuple[str, Row]]:
        """(table, row) of these tables, in any order. Raises `HostileInput` or `OSError`."""


class Columns(dict[str, Any]):
    """A row. A column that the Postal of its time did not have yet is None."""

    def __missing__(self, name: str) -> None:
        return None


def utc(value: Any) -> datetime | None:
    """A DATETIME of Postal's, which are all UTC."""
    if value is None or isinstance(value, datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=timezone.utc)
    return datetime.fromisoformat(str(value)).replace(tzinfo=timezone.utc)


def from_epoch(value: Any) -> datetime:
    """Seconds since 1970, as Postal's message databases keep times."""
    return datetime.fromtimestamp(float(value or 0), timezone.utc)
