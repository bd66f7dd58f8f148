"""A SQLite file that grew gets smaller, while others read and write."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from postal_server.engine.database import FairWriteLock
from postal_server.errors import BackupError
from postal_server.installation.vacuum import Space, space, vacuum

ROWS = 4000


@pytest.fixture
def database(tmp_path) -> Path:
    """A file of 4 MB, of which three quarters were deleted."""
    path = tmp_path / "postal.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        with connection:
            connection.execute("CREATE TABLE mail (id INTEGER PRIMARY KEY, raw BLOB)")
            connection.executemany("INSERT INTO mail (raw) VALUES (zeroblob(?))", [[1000]] * ROWS)
        with connection:
            connection.execute("DELETE FROM mail WHERE id % 4")
    return path


def count(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM mail").fetchone()[0])


def test_the_file_and_its_log_get_smaller_and_all_rows_stay(database):
    before = space(database)
    assert vacuum(database)
    after = space(database)
    assert after.unused == 0
    assert before.size / 6 < after.size < before.size / 3
    assert database.stat().st_size == after.size
    assert not database.with_name("postal.sqlite3-wal").exists()
    assert count(database) == ROWS // 4


def test_it_waits_for_its_turn_among_those_who_write(database):
    gate = FairWriteLock(database)
    work = threading.Thread(target=vacuum, args=[database])
    try:
        with gate.turn(), contextlib.closing(sqlite3.connect(database)) as connection, connection:
            work.start()
            work.join(0.3)
            assert work.is_alive()
            connection.execute("INSERT INTO mail (raw) VALUES ('late')")
        work.join(30)
        assert not work.is_alive()
    finally:
        gate.close()
    assert count(database) == ROWS // 4 + 1
    assert space(database).unused == 0


def test_a_back_up_under_way_is_not_waited_for(database):
    """Nobody could write meanwhile."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT COUNT(*) FROM mail").fetchone()
        size = database.stat().st_size
        started = time.monotonic()
        assert not vacuum(database)
        assert time.monotonic() - started < 15
        assert reader.execute("SELECT COUNT(*) FROM mail").fetchone() == before
        assert database.stat().st_size == size
    assert database.stat().st_size < size / 3


def test_what_is_no_database_is_named(tmp_path):
    path = tmp_path / "postal.sqlite3"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(BackupError, match=r"postal\.sqlite3: file is not a database"):
        vacuum(path)


def test_twice_what_is_used_is_needed_for_a_while():
    assert Space(size=100, unused=70).needed == 60
