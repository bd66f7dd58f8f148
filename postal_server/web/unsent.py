"""Limits the memory of responses that clients have not read yet. The slowest reader gives way."""

from __future__ import annotations

from typing import Protocol

MAX_UNSENT_BYTES = 64 * 1024 * 1024  # of all responses together
GRACE_SECONDS = 2.0  # for a client to begin to read, as long as another has had that time


class Reader(Protocol):
    """A client that is to read a response."""

    @property
    def unsent_bytes(self) -> int:
        """How much of it is not sent yet."""

    def give_up(self) -> None:
        """Drop the response, and with it the connection."""


class UnsentResponses:
    """The responses that clients are slow to read, for one event loop. Times are seconds of its clock.

    A single response may be of any size.
    """

    def __init__(self, max_bytes: int = MAX_UNSENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._waiting: dict[Reader, tuple[float, int]] = {}  # since when, and how many bytes there were

    def add(self, reader: Reader, now: float) -> None:
        """`reader` did not read its response at once; the slowest readers make room for it."""
        self._waiting[reader] = now, reader.unsent_bytes
        while len(self._waiting) > 1 and self.held_bytes > self._max_bytes:
            others = [each for each in self._waiting if each is not reader]
            slowest = min(others, key=lambda each: self._speed(each, now))
            self.remove(slowest)
            slowest.give_up()

    def remove(self, reader: Reader) -> None:
        """`reader` has read enough, or is gone."""
        self._waiting.pop(reader, None)

    @property
    def held_bytes(self) -> int:
        """How many bytes are unsent now."""
        return sum(each.unsent_bytes for each in self._waiting)

    def _speed(self, reader: Reader, now: float) -> tuple[bool, float]:
        """Sorts readers, the slowest first: bytes per second, after all those that have just begun."""
        since, size_bytes = self._waiting[reader]
        seconds = now - since
        return seconds < GRACE_SECONDS, (size_bytes - reader.unsent_bytes) / max(seconds, 0.001)
