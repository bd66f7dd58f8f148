"""The disk of a SQLite installation: a floor of free space for accepting, and a ballast for recording.

Accepting stops before the disk is full. Should it get full all the same, the ballast is thrown off: what was
sent can still be recorded, and nothing is sent twice for want of a few pages.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from .database import beside

logger = logging.getLogger(__name__)

BALLAST_BYTES = 8 * 1024 * 1024
CHECK_INTERVAL = 1.0  # seconds


class Disk:
    """The disk that holds the database file `database`; `floor_bytes` stay free when mail is accepted."""

    def __init__(self, database: Path, floor_bytes: int) -> None:
        self._folder = database.parent
        self._ballast = beside(database, "ballast")
        self._floor_bytes = floor_bytes
        self._checked_at = float("-inf")
        self._has_room = True

    def free_bytes(self) -> int:
        usage = os.statvfs(self._folder)
        return usage.f_bavail * usage.f_frsize

    def has_room(self) -> bool:
        """May mail be accepted? Looks at most once a second."""
        now = time.monotonic()
        if now - self._checked_at >= CHECK_INTERVAL:
            self._checked_at = now
            self._has_room = self.free_bytes() >= self._floor_bytes
            if not self._has_room:
                logger.error("Less than %d MB free on the disk of the database", self._floor_bytes >> 20)
        return self._has_room

    def take_ballast(self) -> None:
        """Reserve the ballast, where there is room for it."""
        if not self._ballast.exists() and self.free_bytes() > self._floor_bytes + BALLAST_BYTES:
            try:
                with self._ballast.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
            except OSError:
                self._ballast.unlink(missing_ok=True)  # an empty one would pass for a reserve
                raise

    def drop_ballast(self) -> None:
        """Give the reserve back to the database."""
        if self._ballast.exists():
            logger.error("The disk is full: giving up the ballast so that results can be recorded")
            self._ballast.unlink(missing_ok=True)
