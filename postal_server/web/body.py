"""The body of a request: written by the event loop, read by a thread (`wsgi.input`)."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

MAX_BUFFERED_BYTES = 64 * 1024  # of one request, before reading from the client is paused


class RequestBody(io.RawIOBase):
    """What was received of a body and is not read yet. A read blocks until there is more.

    `on_drained` is called in the reading thread when no more than `MAX_BUFFERED_BYTES` are left.
    """

    def __init__(self, on_drained: Callable[[], None]) -> None:
        self._on_room = on_drained
        self._data = bytearray()
        self._changed = threading.Condition()
        self.is_complete = False
        self.is_truncated = False  # the rest will not come
        self.is_discarded = False  # the rest will not be read

    # The event loop

    def feed(self, data: bytes) -> None:
        if self.is_discarded:
            return
        with self._changed:
            self._data += data
            self._changed.notify()

    def complete(self) -> None:
        with self._changed:
            self.is_complete = True
            self._changed.notify()

    def truncate_input(self) -> None:
        """The connection ended within the body: reads fail once its data are used up."""
        with self._changed:
            self.is_truncated = not self.is_complete
            self._changed.notify()

    def discard(self) -> None:
        """Drop the data, and those that are still to come: they will not be read."""
        self.is_discarded = True
        self._data.clear()

    @property
    def buffered_bytes(self) -> int:
        """How many bytes were received and not read."""
        return len(self._data)

    def take_all(self) -> bytes:
        """All the data of a complete body."""
        data = bytes(self._data)
        self._data.clear()
        return data

    # The thread

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """As of any raw stream; 0 at the end. Raises `ConnectionError` for a truncated body."""
        with self._changed:
            self._changed.wait_for(lambda: self._data or self.is_complete or self.is_truncated)
            if self.is_truncated and not self._data:
                raise ConnectionError("the body did not come")
            was_full = self.buffered_bytes > MAX_BUFFERED_BYTES
            size = min(len(buffer), len(self._data))
            buffer[:size] = self._data[:size]
            del self._data[:size]
        if was_full and self.buffered_bytes <= MAX_BUFFERED_BYTES:
            self._on_room()
        return size
