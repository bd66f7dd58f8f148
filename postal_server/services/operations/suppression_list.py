"""The suppression list as people write it: addresses, and lists as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from postal_server.conf import Config
from postal_server.errors import HostileInput
from postal_server.mail.address_list import recipients_in
from postal_server.models import Suppression
from postal_server.rules.suppression import BY_PERSON
from postal_server.services.results.suppression_entries import default_keep_until, given_entry

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

COLUMNS = ("server_id", "address", "reason", "created_at", "keep_until")


def write_csv(suppressions: Iterable[Suppression], file: SupportsWrite[str]) -> int:
    """Write them as CSV with a header line, times as ISO 8601; how many there were."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in suppressions:
        count += 1
        keep_until = row.keep_until.isoformat() if row.keep_until else ""
        writer.writerow((row.server_id, row.address, row.text, row.created_at.isoformat(), keep_until))
    return count


def read_csv(lines: Iterable[str], server_id: int, config: Config, now: datetime) -> Iterator[Suppression]:
    """What `write_csv` wrote, for `server_id`, or one address a line. Raises `HostileInput` with the line.

    What is missing is filled in as for an address that is added now.
    """
    columns: Sequence[str] = ("address", "reason")
    reader = csv.reader(lines)
    for line in _csv_lines(reader):
        if reader.line_num == 1 and "address" in line:
            columns = line
            continue
        if not any(line):
            continue
        values = dict(zip(columns, (cell.strip() for cell in line), strict=False))
        try:
            yield _suppression(values, server_id, config, now)
        except ValueError as error:
            raise HostileInput(f"line {reader.line_num}: {error}") from error


def _csv_lines(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise HostileInput(f"not CSV: {error}") from error


def address_in(text: str) -> str:
    """The address in `Name <address>`. Raises ValueError unless there is exactly one."""
    try:
        [found] = recipients_in(text)
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is not an address") from error
    return found.address


def _suppression(values: Mapping[str, str], server_id: int, config: Config, now: datetime) -> Suppression:
    address = address_in(values.get("address", ""))
    created_at, keep_until = (
        datetime.fromisoformat(values[name]) if values.get(name) else None
        for name in ("created_at", "keep_until")
    )
    if any(time is not None and time.tzinfo is None for time in (created_at, keep_until)):
        raise ValueError("a time needs its offset from UTC")
    return given_entry(
        (server_id, address),
        created_at or now,
        keep_until=keep_until or default_keep_until(config, now),
        text=values.get("reason", "").replace("\0", "") or BY_PERSON,
    )
