"""Progress of long work, for people who watch and for logs."""

from __future__ import annotations

import time
from collections.abc import Callable


class Progress:
    """Says how far the work is, at most every `seconds`, and once at its end."""

    def __init__(
        self,
        write: Callable[[str], object],
        what: str,
        total: int,
        *,
        seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._what, self._total = write, what, total
        self._seconds, self._clock = seconds, clock
        self._said_at = clock()
        self.done = 0

    def step(self, count: int = 1) -> None:
        """Count work that is done."""
        self.done += count
        if self._clock() - self._said_at >= self._seconds:
            self._said_at = self._clock()
            self._write(f"{self._what}: {self.done} of {self._total}")

    def finish(self) -> None:
        """Say the final count."""
        self._write(f"{self._what}: {self.done}")
