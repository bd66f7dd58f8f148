"""Progress of long work, for the terminal and logs."""

from __future__ import annotations

import time
from collections.abc import Callable


class Progress:
    """Reports the progress every `seconds` at most, and at the end."""

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
        self._reported_at = clock()
        self.done = 0

    def step(self, count: int = 1) -> None:
        """Add to the count of finished work."""
        self.done += count
        if self._clock() - self._reported_at >= self._seconds:
            self._reported_at = self._clock()
            self._write(f"{self._what}: {self.done} of {self._total}")

    def finish(self) -> None:
        """Report the final count."""
        self._write(f"{self._what}: {self.done}")
