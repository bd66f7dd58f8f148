"""When what an operator says of addresses is not to be believed: suddenly many of them are bad.

Receivers have refused good addresses for hours (Gmail on 14 and 15 December 2020). Whoever took that at its
word had to clear the list by hand afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SLOT = timedelta(minutes=10)  # that answers are counted by
LEAST_BLAMED = 20
LEAST_SHARE = 0.15
RISE = 3  # times the share of the day before
NORMAL_FOR = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Tally:
    """Answers of an operator, and how many of them blamed the address."""

    answers: int = 0
    blamed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.answers + other.answers, self.blamed + other.blamed)

    @property
    def share(self) -> float:
        return self.blamed / self.answers if self.answers else 0.0

    @property
    def is_high(self) -> bool:
        return self.blamed >= LEAST_BLAMED and self.share >= LEAST_SHARE


def slot_of(now: datetime) -> datetime:
    """The start of the ten minutes that a time is in."""
    return now.replace(minute=now.minute - now.minute % 10, second=0, microsecond=0)


def is_storm(hour: Tally, day_before: Tally) -> bool:
    """Do the answers of the last hour differ that much from those of the day before it?"""
    return hour.is_high and day_before.share * RISE < hour.share
