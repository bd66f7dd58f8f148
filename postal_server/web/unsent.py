"""How much of answers is in memory until clients have read it. Who reads slowest gives way."""

from __future__ import annotations

from typing import Protocol

MAX_UNSENT_BYTES = 64 * 1024 * 1024  # of all answers together
GRACE_SECONDS = 2.0  # seconds for a client to begin to read, while there is one that had them


class Reader(Protocol):
    """Who is to read an answer."""

    @property
    def unsent_bytes(self) -> int:
        """How much of it still waits."""

    def give_up(self) -> None:
        """Drop the answer, and with it the connection."""


class UnsentResponses:
    """The answers that clients are slow to read, for one event loop. Times are seconds of its clock.

    One answer alone always has room.
    """

    def __init__(self, max_bytes: int = MAX_UNSENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._waiting: dict[Reader, tuple[float, int]] = {}  # since when, and how many bytes there were

    def add(self, reader: Reader, now: float) -> None:
        """`reader` did not take its answer at once; those that read slowest make room for it."""
        self._waiting[reader] = now, reader.unsent_bytes
        while len(self._waiting) > 1 and self.held_bytes > self._max_bytes:
            others = [each for each in self._waiting if each is not reader]
            slowest = min(others, key=lambda each: self._speed(each, now))
            self.remove(slowest)
            slowest.give_up()

    def remove(self, reader: Reader) -> None:
        """It has read enough, or is gone."""
        self._waiting.pop(reader, None)

    @property
    def held_bytes(self) -> int:
        """How much waits now."""
        return sum(each.unsent_bytes for each in self._waiting)

    def _speed(self, reader: Reader, now: float) -> tuple[bool, float]:
        """For an order: who has just begun comes behind all others, then who read most bytes a second."""
        since, size_bytes = self._waiting[reader]
        seconds = now - since
        return seconds < GRACE_SECONDS, (size_bytes - reader.unsent_bytes) / max(seconds, 0.001)
