"""Progress of long work in bytes, for a person at a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

INTERVAL = 0.2  # seconds between two changes of the line


class Progress:
    """A line that changes, on a terminal alone; it is gone after the block."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._is_shown = bool(out.isatty())
        self._started_at = time.monotonic()
        self._reported_at = float("-inf")

    @property
    def seconds(self) -> float:
        """How long the work has taken so far."""
        return time.monotonic() - self._started_at

    def report(self, doing: str, done: int, expected: int | None) -> None:
        """Say how far the work is, in bytes, unless that was said a moment ago."""
        now = time.monotonic()
        if not self._is_shown or now - self._reported_at < INTERVAL:
            return
        self._reported_at = now
        share = f" of {expected / 1e6:,.0f} MB, {done / expected:.0%}" if expected else " MB"
        self._write(f"{doing}: {done / 1e6:,.0f}{share}")

    def _write(self, text: str) -> None:
        self._out.write(f"\r{text:<60}\r", ending="")
        self._out.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown:
            self._write("")
