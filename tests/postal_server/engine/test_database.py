from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from django.db import connection

from postal_server import conf
from postal_server.engine import database as databases
from postal_server.engine import lease
from postal_server.engine.disk import BALLAST_BYTES, Disk
from postal_server.errors import ConfigurationError
from postal_server.installation.running import nobody_uses
from tests.each import each
from tests.interop.daemons import as_root


def settings(url: str) -> dict:
    return databases.settings(conf.parse({"storage": {"url": url}}, {}, Path("/etc/postal")))


def test_sqlite_by_default_beside_the_configuration():
    config = conf.parse({}, {}, Path("/etc/postal"))
    assert databases.settings(config)["NAME"] == "/etc/postal/postal.sqlite3"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://ann:p%40ss@db.example:5433/mail?sslmode=require",
            {"NAME": "mail", "USER": "ann", "PASSWORD": "p@ss", "HOST": "db.example", "PORT": "5433"},
        ),
        ("postgresql:///mail?host=/run/postgresql", {"NAME": "mail", "HOST": "/run/postgresql", "PORT": ""}),
    ],
)
def test_postgresql(url, expected):
    found = settings(url)
    assert {key: found[key] for key in expected} == expected
    assert found["OPTIONS"]["server_side_binding"] is True
    assert found["OPTIONS"].get("sslmode") == ("require" if "sslmode" in url else None)


def test_the_url_may_leave_out_what_a_pooler_refuses():
    assert settings("postgresql://ann@db.example/mail?options=")["OPTIONS"]["options"] == ""


@each("url", ["", "mysql://x/y", "sqlite:///", "postgresql://host", "postgresql://host:99999/x"])
def test_a_wrong_url_is_named(url):
    with pytest.raises(ConfigurationError, match=r"storage\.url"):
        settings(url)


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("secure_delete", 0)]
)
def test_sqlite_is_durable_and_quick(database, pragma, value):
    if database != "sqlite":
        pytest.skip("a setting of SQLite")
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {pragma}")
        assert cursor.fetchone() == (value,)


def test_postgresql_stores_texts_apart_and_leaves_room_in_queue_pages(database):
    if database != "postgresql":
        pytest.skip("a setting of PostgreSQL")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute "
            "WHERE attrelid = 'postal_server_body'::regclass AND attname = 'raw'"
        )
        assert cursor.fetchone() == ("e",)
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'postal_server_queuedmessage'")
        assert "fillfactor=70" in cursor.fetchone()[0]


@pytest.mark.parametrize("setting", ["idle_in_transaction_session_timeout", "tcp_user_timeout"])
def test_postgresql_gives_up_a_machine_that_was_cut_off_before_its_lease_ends(database, setting):
    if database != "postgresql":
        pytest.skip("a setting of PostgreSQL")
    if setting == "tcp_user_timeout":
        seconds = connection.settings_dict["OPTIONS"][setting] / 1000
    else:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXTRACT(EPOCH FROM current_setting('{setting}')::interval)")
            (seconds,) = cursor.fetchone()
    assert 0 < seconds < lease.DEAD_AFTER


def test_writers_in_several_processes_take_turns(tmp_path):
    """Four processes add one to a number in a file, each in its turn: no addition is lost, none starves."""
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from postal_server.engine.database import FairWriteLock
        path = Path({str(tmp_path)!r}) / "postal.sqlite3"
        number = path.with_name("number")
        gate = FairWriteLock(path)
        for _ in range(200):
            with gate.turn():
                number.write_text(str(int(number.read_text()) + 1))
        gate.close()
    """)
    (tmp_path / "number").write_text("0")
    root = Path(__file__).resolve().parents[3]
    processes = [subprocess.Popen([sys.executable, "-c", script], cwd=root) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert (tmp_path / "number").read_text() == "800"


def test_locks_that_root_makes_are_those_of_the_owner_of_the_database(tmp_path):
    """A service could not open them after a command of root."""
    as_root()
    path = tmp_path / "x"
    path.touch()
    os.chown(path, 65534, 65534)
    databases.FairWriteLock(path).close()
    with nobody_uses(path):
        pass
    locks = [each for each in tmp_path.iterdir() if each != path]
    assert len(locks) == 3
    assert {each.stat().st_uid for each in locks} == {65534}
    assert {each.stat().st_mode & 0o777 for each in locks} == {0o600}


def test_a_turn_ends_with_its_block_even_after_an_error(tmp_path):
    gate = databases.FairWriteLock(tmp_path / "x")
    with pytest.raises(ZeroDivisionError), gate.turn():
        raise ZeroDivisionError
    with gate.turn():
        pass
    gate.close()


def test_the_disk_has_room_above_its_floor(tmp_path):
    path = tmp_path / "postal.sqlite3"
    assert Disk(path, 0).has_room()
    assert not Disk(path, 1 << 60).has_room()


def test_a_ballast_that_cannot_be_taken_is_tried_again(tmp_path, monkeypatch):
    disk = Disk(tmp_path / "postal.sqlite3", 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", _full)
        with pytest.raises(OSError, match="space"):
            disk.take_ballast()
    disk.take_ballast()
    [ballast] = tmp_path.iterdir()
    assert ballast.stat().st_size == BALLAST_BYTES


def _full(*args) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_ballast_is_taken_and_thrown_off(tmp_path):
    disk = Disk(tmp_path / "postal.sqlite3", 0)
    disk.take_ballast()
    [ballast] = tmp_path.iterdir()
    assert ballast.stat().st_blocks * 512 >= BALLAST_BYTES
    disk.drop_ballast()
    disk.drop_ballast()
    assert list(tmp_path.iterdir()) == []


def test_no_ballast_below_the_floor(tmp_path):
    Disk(tmp_path / "postal.sqlite3", 1 << 60).take_ballast()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'anymail-postal\[server,postgres\]'"):
        settings("postgresql://ann@db.example/mail")
