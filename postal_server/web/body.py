"""The body of a request: gathered by the event loop, read by a thread (`wsgi.input`)."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

MAX_BUFFERED_BYTES = 64 * 1024  # of one request, before the client is held back


class RequestBody(io.RawIOBase):
    """What has come of a body, and has not been read. Reading waits for more.

    `on_room` is called, in the reading thread, once less waits than `MAX_BUFFERED_BYTES`.
    """

    def __init__(self, on_room: Callable[[], None]) -> None:
        self._on_room = on_room
        self._data = bytearray()
        self._changed = threading.Condition()
        self.is_complete = False
        self.is_truncated = False  # the rest will not come
        self.is_discarded = False  # nobody will read the rest

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
        """The connection ended within the body: who reads it is told."""
        with self._changed:
            self.is_truncated = not self.is_complete
            self._changed.notify()

    def discard(self) -> None:
        """Nobody will read it: let go of what has come, and of what will."""
        self.is_discarded = True
        self._data.clear()

    @property
    def buffered_bytes(self) -> int:
        """How many bytes have come and were not read."""
        return len(self._data)

    def take_all(self) -> bytes:
        """A body that is complete, at once."""
        data = bytes(self._data)
        self._data.clear()
        return data

    # The thread

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """As of any raw stream; 0 at the end. Raises `ConnectionError` for a body that breaks off."""
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
