"""Give the space of deleted rows in a SQLite file back to the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from postal_server.engine.database import SQLITE_TIMEOUT, FairWriteLock
from postal_server.errors import BackupError

# How often SQLite lets Python look for Ctrl-C, in its own instructions.
INSTRUCTIONS = 100_000
READERS_MS = 1000  # to wait for those who read


@dataclass(frozen=True)
class Space:
    """The bytes of a database's file, and those of them that hold nothing."""

    size: int
    unused: int

    @property
    def needed(self) -> int:
        """Bytes on the disk for `vacuum`: what is in use is copied, and the copy goes through the log."""
        return 2 * (self.size - self.unused)


def space(path: Path) -> Space:
    """Raises `BackupError` if the file is no database."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=SQLITE_TIMEOUT)) as connection:
            pages, unused, page_bytes = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
    except sqlite3.Error as error:
        raise BackupError(f"{path}: {error}.") from error
    return Space(pages * page_bytes, unused * page_bytes)


def vacuum(path: Path) -> bool:
    """Write the database anew without what is unused, in one transaction; is the file smaller already?

    It is not where somebody still reads the former state, such as a back-up: it is when they are done.

    Processes of the server that write wait for their turn as long as it lasts. Raises `BackupError`; then the
    database is as before.
    """
    needed, free = space(path).needed, shutil.disk_usage(path.parent).free
    if free < needed:
        raise BackupError(
            f"{path.parent}: {needed / 1e6:,.1f} MB are needed for a while; {free / 1e6:,.1f} MB are free."
        )
    os.environ["SQLITE_TMPDIR"] = str(path.parent)  # /tmp may well be too small
    gate = FairWriteLock(path)
    try:
        with (
            gate.turn(),
            contextlib.closing(
                sqlite3.connect(path, timeout=SQLITE_TIMEOUT, isolation_level=None)
            ) as connection,
        ):
            connection.set_progress_handler(lambda: 0, INSTRUCTIONS)
            connection.execute("VACUUM")
            connection.execute(f"PRAGMA busy_timeout = {READERS_MS}")  # nobody can write while it waits
            is_busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not is_busy
    except sqlite3.Error as error:
        raise BackupError(f"{path}: {error}. The database is as it was.") from error
    finally:
        gate.close()
