"""Does an installation run? Each of its processes holds a lock on a file beside the SQLite database.

The locks of SQLite itself do not tell: a process may well have no connection for a moment.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from postal_server.engine.database import open_lock
from postal_server.errors import BackupError, NotNow


@contextlib.contextmanager
def in_use(database: Path | None) -> Iterator[None]:
    """Hold the lock of a process that runs, unless the database is no file.

    Raises `NotNow` while a restore replaces the database.
    """
    if database is None:
        yield
        return
    with _locked(database, fcntl.LOCK_SH) as is_locked:
        if not is_locked:
            raise NotNow(f"{database}: a restore is under way. Start again when it is done.")
        yield


@contextlib.contextmanager
def nobody_uses(database: Path) -> Iterator[None]:
    """Keep processes from starting. Raises `BackupError` if one runs."""
    with _locked(database, fcntl.LOCK_EX) as is_locked:
        if not is_locked:
            raise BackupError(f"{database}: postal-server is running with it. Stop it first.")
        yield


@contextlib.contextmanager
def _locked(database: Path, kind: int) -> Iterator[bool]:
    """Was the lock free? It ends with the block, and with the process."""
    file = open_lock(database, "processes")
    try:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)
