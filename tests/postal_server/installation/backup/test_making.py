"""What a back-up of a SQLite installation has in it, and that there is none unless it is whole."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import tarfile
from pathlib import Path

import pytest

from postal_server import conf
from postal_server.errors import BackupError
from postal_server.installation.backup import making

from .conftest import NOW, nothing, postal_server, query, tree

FILES = {"postal.yml", "signing.key", "secret.key", "smtp.cert", "smtp.key"}


def unpacked(archive: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
    return folder


def manifest(archive: Path) -> dict:
    with tarfile.open(archive) as tar:
        return json.load(tar.extractfile("manifest.json"))


def test_all_that_an_installation_needs_is_in_it_as_it_was(back_up, installation, tmp_path):
    found = tree(unpacked(back_up(), tmp_path / "found"))
    assert set(found) == {"manifest.json", "database.sqlite3", *FILES}
    assert {name: found[name] for name in FILES} == {name: tree(installation)[name] for name in FILES}


def test_it_is_for_its_owner_only_and_nothing_else_is_left(back_up):
    path = back_up()
    assert path.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in path.parent.iterdir()} == {path.name, "postal"}


def test_the_manifest_counts_what_is_in_it(back_up, installation):
    told = manifest(back_up())
    database = installation / "postal.sqlite3"
    assert told["rows"]["postal_server_credential"] == 2
    assert told["rows"]["postal_server_worker"] == 0
    assert told["made_at"] == "2026-12-01T03:15:00+00:00"
    assert told["root"] == str(installation)
    assert len(told["migrations"]) == query(database, "SELECT COUNT(*) FROM django_migrations")[0][0]


def test_what_is_committed_but_only_in_the_log_is_in_it(back_up, installation, tmp_path):
    """The database's own file does not have it yet, as long as somebody reads an older state."""
    database = installation / "postal.sqlite3"
    with (
        contextlib.closing(sqlite3.connect(database, isolation_level=None)) as reader,
        contextlib.closing(sqlite3.connect(database)) as writer,
    ):
        reader.execute("PRAGMA journal_mode=WAL")
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM postal_server_counter").fetchone()
        with writer:
            writer.execute("INSERT INTO postal_server_counter (name, value) VALUES ('only in the log', 7)")
        assert b"only in the log" not in database.read_bytes()
        archive = back_up()
    found = unpacked(archive, tmp_path / "found") / "database.sqlite3"
    assert query(found, "SELECT value FROM postal_server_counter WHERE name = 'only in the log'") == [(7,)]


def test_workers_of_now_are_not_in_it_so_that_what_they_hold_is_free_at_once(back_up, installation, tmp_path):
    query(
        installation / "postal.sqlite3",
        "INSERT INTO postal_server_worker (host, pid, beat, seen, started_at) VALUES ('h', 1, 2, '{}', ?)",
        str(NOW),
    )
    found = unpacked(back_up(), tmp_path / "found") / "database.sqlite3"
    assert query(found, "SELECT COUNT(*) FROM postal_server_worker") == [(0,)]
    assert query(installation / "postal.sqlite3", "SELECT COUNT(*) FROM postal_server_worker") == [(1,)]


def test_a_secret_from_the_environment_is_in_it_and_the_names_of_all_variables(back_up, tmp_path):
    archive = back_up(RAILS_SECRET_KEY="from the environment", WEB_SERVER_DEFAULT_PORT="5001")
    assert (unpacked(archive, tmp_path / "found") / "secret.key").read_text() == "from the environment"


def test_the_certificate_can_be_left_out(back_up):
    names = {each["name"] for each in manifest(back_up(with_certificate=False))["members"]}
    assert names == {"database.sqlite3", *FILES} - {"smtp.cert", "smtp.key"}


def test_a_file_that_is_there_is_not_overwritten(back_up):
    path = back_up()
    content = path.read_bytes()
    with pytest.raises(BackupError, match="is there already"):
        back_up()
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_is_named(back_up, tmp_path):
    with pytest.raises(
        BackupError, match=rf"x\.tar\.gz: cannot be made, as there is no folder {tmp_path}/missing\."
    ):
        back_up("missing/x.tar.gz")


def test_what_cannot_be_backed_up_is_named(installation, tmp_path):
    config = conf.load(installation / "postal.yml", {})
    (installation / "smtp.key").unlink()
    with pytest.raises(BackupError, match=r"smtp\.key: cannot be read .* --without-certificate"):
        making.make(config, str(tmp_path / "x"), NOW, environ={}, with_certificate=True, report=nothing)
    (installation / "postal.sqlite3").unlink()
    with pytest.raises(BackupError, match=r"postal\.sqlite3: there is no such database"):
        making.make(config, str(tmp_path / "x"), NOW, environ={}, with_certificate=False, report=nothing)
    (installation / "postal.sqlite3").write_bytes(b"x" * 5000)
    with pytest.raises(BackupError, match=r"postal\.sqlite3: file is not a database"):
        making.make(config, str(tmp_path / "x"), NOW, environ={}, with_certificate=False, report=nothing)
    assert not (tmp_path / "x").exists()


def test_on_a_full_disk_there_is_no_file_and_one_line_that_says_so(installation, tmp_path):
    query(installation / "postal.sqlite3", "CREATE TABLE large AS SELECT randomblob(3000000) AS x")
    out = tmp_path / "out"
    out.mkdir()
    done = postal_server(
        "--config", str(installation / "postal.yml"), "backup", "out/x.tar.gz",
        folder=tmp_path, max_file_bytes=2_000_000,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert os.listdir(out) == []


def test_no_secret_is_printed(installation, tmp_path):
    config = str(installation / "postal.yml")
    made = postal_server("--config", config, "backup", "x.tar.gz", folder=tmp_path)
    verified = postal_server("backup", "--verify", "x.tar.gz", folder=tmp_path)
    restored = postal_server("restore", "x.tar.gz", "--to", "there", folder=tmp_path)
    said = "".join(each.stdout + each.stderr for each in (made, verified, restored))
    assert [each.returncode for each in (made, verified, restored)] == [0, 0, 0], said
    secret = (installation / "secret.key").read_text()
    assert secret not in said
    assert "PRIVATE KEY" not in said
