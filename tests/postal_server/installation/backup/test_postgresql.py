"""Back-ups of PostgreSQL: all or nothing, with the programs of the right version, and no password to be seen.

`tests/faults/test_backup.py` restores one elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import postgresql
from tests.interop.daemons import missing

from .conftest import environment, postal_server

CHANGED = "SELECT value FROM {}postal_server_counter WHERE name = 'later'"


@dataclass
class Installation:
    """An installation in a folder, with a back-up of it in the file `backup.tar.gz`."""

    folder: Path
    cluster: postgresql.Cluster

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return postal_server(*words, folder=self.folder, environ={"STORAGE_URL": self.cluster.url, **environ})

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "postal_server", *words],
            cwd=self.folder,
            env=environment(STORAGE_URL=self.cluster.url, SMTP_SERVER_DEFAULT_PORT="0"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def query(self, sql: str, database: str = "postal") -> list[Any]:
        with psycopg.connect(self.cluster.url_of(database)) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def tables(self) -> list[Any]:
        return self.query(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN "
            "('pg_catalog', 'information_schema') ORDER BY 1, 2"
        )

    def sessions(self) -> list[int]:
        """PostgreSQL's processes for this database; asked by way of another, to be in nobody's way."""
        rows = self.query("SELECT pid FROM pg_stat_activity WHERE datname = 'postal'", "postgres")
        return [pid for (pid,) in rows]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Iterator[Installation]:
    if postgresql.binaries() is None:
        missing("PostgreSQL is not installed")
    with postgresql.cluster() as cluster:
        found = Installation(tmp_path_factory.mktemp("postal"), cluster)
        for words in (["initialize"], ["backup", "backup.tar.gz"]):
            done = found.run(*words)
            assert done.returncode == 0, done.stderr
        yield found


def wait_until(holds: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_is_verified(installed):
    done = installed.run("backup", "--verify", "backup.tar.gz")
    assert done.returncode == 0, done.stderr
    assert "whole; its database and keys are in order" in done.stdout


@pytest.mark.parametrize(
    ("program", "said"),
    [
        pytest.param("", "pg_dump is not on the PATH: install PostgreSQL's client programs", id="missing"),
        pytest.param(
            "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n",
            "pg_dump on the PATH is version 9, and the server is version ",
            id="too old",
        ),
    ],
)
def test_a_program_that_is_missing_or_too_old_is_named_in_one_line(installed, tmp_path, program, said):
    if program:
        (tmp_path / "pg_dump").write_text(program)
        (tmp_path / "pg_dump").chmod(0o755)
    done = installed.run("backup", "new.tar.gz", PATH=str(tmp_path))
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (installed.folder / "new.tar.gz").exists()


def test_the_password_is_in_no_process_list_and_not_printed(installed, tmp_path):
    url = installed.cluster.url.replace("postal@", "postal:hidden-password@")
    with process_list() as seen:
        done = installed.run("backup", str(tmp_path / "new.tar.gz"), STORAGE_URL=url)
    assert done.returncode == 0, done.stderr
    assert [words for words in seen if "pg_dump" in words]
    assert not [words for words in seen if "hidden-password" in words]
    assert "hidden-password" not in done.stdout + done.stderr


@contextlib.contextmanager
def process_list() -> Iterator[set[str]]:
    """The words of all processes that there are in the time of the block."""
    seen: set[str] = set()
    is_done = threading.Event()

    def look() -> None:
        while not is_done.wait(0.005):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        is_done.set()
        watcher.join()


def test_a_restore_that_does_not_end_changes_nothing(installed):
    """The connection breaks, or the process dies, while the tables are loaded."""
    before, files = installed.tables(), sorted(os.listdir(installed.folder))

    def break_connection(process: subprocess.Popen[str]) -> None:
        installed.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postal'", "postgres"
        )

    for end in (break_connection, subprocess.Popen.kill):
        process = installed.start("restore", "backup.tar.gz", "--replace")
        try:
            wait_until(lambda: is_loading(installed), process)
            end(process)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode in (1, -9), said
        assert "Traceback" not in said
        limit = time.monotonic() + 30
        while installed.sessions():
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert installed.tables() == before
        drafts = {name for name in os.listdir(installed.folder) if name.startswith(".postal-server-")}
        assert set(os.listdir(installed.folder)) - drafts == set(files)
        assert not drafts or end is subprocess.Popen.kill


GONE_AT_THE_COMMIT = """
import contextlib, os, sys
import django, psycopg
os.environ["DJANGO_SETTINGS_MODULE"] = "postal_server.settings"
django.setup()
from postal_server import cli
from postal_server.installation.backup import restoring
swapped = restoring.swapped

@contextlib.contextmanager
def then_gone(*words):
    with swapped(*words) as kept, psycopg.connect(sys.argv[1], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postal'")
        yield kept

restoring.swapped = then_gone
sys.exit(cli.main(["restore", "backup.tar.gz", "--replace"]))
"""


def test_files_are_as_they_were_if_the_database_is_gone_at_the_commit(installed):
    tables, key = installed.tables(), installed.folder / "secret.key"
    secret = key.read_text()
    key.write_text("another")
    try:
        done = subprocess.run(
            [sys.executable, "-c", GONE_AT_THE_COMMIT, installed.cluster.url_of("postgres")],
            cwd=installed.folder,
            env=environment(STORAGE_URL=installed.cluster.url),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert "storage.url: " in done.stderr
        assert key.read_text() == "another"
        assert installed.tables() == tables
        left = os.listdir(installed.folder)
        assert not [name for name in left if "before-restore" in name or name == "restore.unfinished"]
    finally:
        key.write_text(secret)


def is_loading(installed: Installation) -> bool:
    """Has a transaction changed something?"""
    return bool(
        installed.query(
            "SELECT 1 FROM pg_stat_activity WHERE datname = 'postal' AND backend_xid IS NOT NULL", "postgres"
        )
    )


def test_tables_are_only_replaced_if_asked_and_if_nobody_is_connected(installed, tmp_path):
    installed.query("INSERT INTO postal_server_counter (name, value) VALUES ('later', 1)")
    done = installed.run("restore", "backup.tar.gz")
    assert done.returncode == 1
    assert "storage.url: a database with tables: is there already. With --replace" in done.stderr

    process = installed.start("worker", "--ready-file", str(tmp_path / "ready"))
    try:
        wait_until((tmp_path / "ready").exists, process)
        done = installed.run("restore", "backup.tar.gz", "--replace")
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert done.returncode == 1
    assert "somebody is connected to this database (from this machine)" in done.stderr
    assert installed.query(CHANGED.format("")) == [(1,)]

    done = installed.run("restore", "backup.tar.gz", "--replace")
    assert done.returncode == 0, done.stderr
    [schema] = [line.split()[3] for line in done.stdout.splitlines() if line.startswith("kept: the schema")]
    assert installed.query(CHANGED.format("")) == []
    assert installed.query(CHANGED.format(f"{schema}.")) == [(1,)]
    assert installed.query("SELECT last_value > 1000000 FROM postal_message_id") == [(True,)]

    # What is kept is in no later back-up.
    done = installed.run("backup", "later.tar.gz")
    assert done.returncode == 0, done.stderr
    later = installed.folder / "later.tar.gz"
    assert later.stat().st_size < (installed.folder / "backup.tar.gz").stat().st_size * 1.2
    done = installed.run("restore", "later.tar.gz", "--replace")
    later.unlink()
    assert done.returncode == 0, done.stderr
