"""The command around an import: which files it reads, and what it says of others."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from postal_server import conf
from postal_server.models import Server

DUMPS = Path(__file__).resolve().parents[2] / "vectors" / "database"
MAIN = DUMPS / "postal.sql.gz"
SUPPRESSIONS = DUMPS / "postal-server-1-suppressions.sql.gz"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def configuration(monkeypatch, recorded_config):
    monkeypatch.setattr(conf, "config", lambda: recorded_config)


def test_dry_run_shows_and_the_import_does(capsys):
    call_command("import_postal", str(MAIN), messages=[str(SUPPRESSIONS)], dry_run=True)
    shown = capsys.readouterr().out
    assert shown.startswith("Would import:")
    assert not Server.objects.exists()
    call_command("import_postal", str(MAIN), messages=[str(SUPPRESSIONS)])
    done = capsys.readouterr().out
    assert done.startswith("Imported:")
    assert done.splitlines()[1:] == shown.splitlines()[1:]
    assert Server.objects.count() == 6


def test_plain_dumps_are_read_too(tmp_path, capsys):
    plain = tmp_path / "postal.sql"
    plain.write_bytes(gzip.decompress(MAIN.read_bytes()))
    call_command("import_postal", str(plain))
    assert Server.objects.count() == 6


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.sql", b"", "nothing in it"),
        ("cut.sql", b"CREATE TABLE `servers` (\n", "ends within a statement"),
        ("cut.sql.gz", gzip.compress(b"x" * 1000)[:20], "Compressed file ended"),
        ("damaged.sql.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0" + b"\xff" * 50, "Error -3"),
        ("plain.sql.gz", b"no gzip", "Not a gzipped file"),
    ],
)
def test_what_is_no_dump_is_said_in_a_line(name, content, said, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CommandError, match=said):
        call_command("import_postal", str(path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Give a dump"),
        ([str(MAIN), "--live"], "Give a dump"),
        ([str(MAIN), "--messages", "list.sql"], "as ID=FILE"),
        (["missing.sql"], "missing.sql"),
        ([str(SUPPRESSIONS)], "nothing in it"),
    ],
)
def test_wrong_use_is_named(words, said):
    with pytest.raises(CommandError, match=said):
        call_command("import_postal", *words)
