"""What a back-up's database consists of, whichever database it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

Gap = int
# Ids that are left out for each second since the back-up, more than an installation gives over hours and
# days, and at least: messages that were accepted after it are not in it, but their tokens are out.
IDS_PER_SECOND = 1000
LEAST_GAP = 1_000_000


@dataclass(frozen=True)
class Contents:
    """The database's version, the migrations applied (`app.name`), and how many rows each table has."""

    version: str
    migrations: tuple[str, ...]
    rows: Mapping[str, int]
    last_message_id: int


def gap_after(made_at: datetime, now: datetime) -> Gap:
    """How many ids may have been given since a back-up was made."""
    return max(LEAST_GAP, int((now - made_at).total_seconds()) * IDS_PER_SECOND)
