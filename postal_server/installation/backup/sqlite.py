"""A SQLite database: its copy while the server writes, what is in a copy, and its place."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from postal_server.engine.database import SQLITE_TIMEOUT, beside
from postal_server.errors import BackupError
from postal_server.models import Counter, Link, Worker

from .archive import Report
from .contents import Contents, Gap

PAGES_AT_ONCE = 1024  # 4 MB: a few milliseconds between two looks at the terminal
OTHER_DISK = "Give a FILE on another disk, or for `-` set TMPDIR to a folder there."
# Where SQLite locks its files; every process that has one open in WAL mode holds a byte of these.
SHARED_LOCK = (0x40000000, 512)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a file that exists. Raises `BackupError` if it is no database."""
    try:
        with contextlib.closing(
            sqlite3.connect(
                f"file:{quote(str(path))}?mode=rw", uri=True, timeout=SQLITE_TIMEOUT, isolation_level=None
            )
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        raise BackupError(f"{path}: {error}.") from error


def copy(source: Path, target: Path, report: Report) -> Contents:
    """Copy the database of a server that may be writing: all that was committed when this begins.

    The read transaction keeps one state of the database, so that the copy need not begin again whenever
    somebody writes. Meanwhile the write-ahead log grows by what is written.
    """
    if not source.is_file():
        raise BackupError(f"{source}: there is no such database (storage.url).")
    target.touch(0o600)
    with _reading(source) as connection, contextlib.closing(sqlite3.connect(target)) as copied:
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()  # the state is that of now
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        require_room(target.parent.parent, pages * page_bytes, OTHER_DISK)  # who asks knows no hidden folder

        def progress(status: int, remaining: int, total: int) -> None:
            report("copying", (total - remaining) * page_bytes, total * page_bytes)

        copied.execute("PRAGMA synchronous=OFF")  # a copy that the machine does not survive is made again
        connection.backup(copied, pages=PAGES_AT_ONCE, progress=progress)
        connection.execute("COMMIT")
    with _reading(target) as copied:
        copied.execute("PRAGMA synchronous=OFF")
        copied.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        # Workers of now are none of the restored server's; without them, what they had claimed is free.
        copied.execute(f"DELETE FROM {Worker._meta.db_table}")  # noqa: S608 - our own names
    return contents(target)


def require_room(folder: Path, size: int, otherwise: str = "") -> None:
    """Raise `BackupError` unless a file of this size fits; `otherwise` is what to do then."""
    free = shutil.disk_usage(folder).free
    if free < size:
        figures = f"{size / 1e6:,.1f} MB are needed, and {free / 1e6:,.1f} MB are free."
        raise BackupError(f"{folder}: {figures} {otherwise}".strip())


def contents(path: Path) -> Contents:
    """What a database consists of."""
    with _reading(path) as connection:
        tables = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
                "ORDER BY name"
            )
        ]
        if "django_migrations" not in tables:
            raise BackupError(f"{path}: it has no tables of postal-server. Run `postal-server initialize`.")
        rows = {
            name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]  # noqa: S608
            for name in tables
        }
        migrations = [
            f"{app}.{name}"
            for app, name in connection.execute("SELECT app, name FROM django_migrations ORDER BY id")
        ]
        last = connection.execute(
            f"SELECT value FROM {Counter._meta.db_table} WHERE name = 'message_id'"  # noqa: S608
        ).fetchone()
        return Contents(sqlite3.sqlite_version, tuple(migrations), rows, last[0] if last else 0)


def problems(path: Path) -> list[str]:
    """What SQLite finds wrong with a database; reads all of it."""
    with _reading(path) as connection:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check(5)")]
        found += [
            f"table {table}: row {row} refers to a row of {parent} that is not there"
            for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check")
        ]
    return [text for text in found if text != "ok"][:5]


def encrypted_keys(path: Path) -> list[str]:
    """The SMTP keys as they are stored."""
    with _reading(path) as connection:
        return [
            key
            for (key,) in connection.execute(
                "SELECT key_encrypted FROM postal_server_credential WHERE key_encrypted != ''"
            )
        ]


def skip_ids(path: Path, gap: Gap) -> int:
    """Go on above the ids of messages and links that may have been given since; the last message's id."""
    with _reading(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            f"INSERT INTO {Counter._meta.db_table} (name, value) VALUES ('message_id', ?) "  # noqa: S608
            "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [gap],
        )
        sequence = (gap, Link._meta.db_table)
        if not connection.execute(
            "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ?", sequence
        ).rowcount:
            connection.execute("INSERT INTO sqlite_sequence (seq, name) VALUES (?, ?)", sequence)
        connection.execute("COMMIT")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return contents(path).last_message_id


@contextlib.contextmanager
def open_alone(path: Path) -> Iterator[None]:
    """Lock the file as SQLite does for its only user. Raises `BackupError` if a process has it open."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        start, length = SHARED_LOCK
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except OSError as error:
            raise BackupError(
                f"{path}: a process has this database open. Stop postal-server first."
            ) from error
        yield
    finally:
        os.close(descriptor)


def leftovers(path: Path) -> list[Path]:
    """What SQLite keeps beside the file while it is open, or after a crash: its log, and an index."""
    return [found for suffix in ("wal", "shm") if (found := beside(path, suffix)).exists()]
