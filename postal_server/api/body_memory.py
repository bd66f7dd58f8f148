"""Limits the memory of request bodies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from postal_server.errors import Busy

MAX_BYTES = 256 * 1024 * 1024  # of all bodies together; reading one costs some four times its size


class BodyMemoryBudget:
    """Counts the bytes of bodies that are being read or worked on, in all threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._lock = threading.Lock()

    @contextmanager
    def take(self, size_bytes: int) -> Iterator[None]:
        """Memory for the time of the block; a single body may be of any size. Raises `Busy`."""
        with self._lock:
            if self._used and self._used + size_bytes > self._max_bytes:
                raise Busy("Too many large requests at a time.")
            self._used += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._used -= size_bytes
