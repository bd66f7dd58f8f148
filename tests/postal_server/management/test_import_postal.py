"""The command around an import: which files it reads, and what it says of others."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from postal_server import conf
from postal_server.management.commands import import_postal
from postal_server.models import Server
from tests.fakes import FakeResolver

DUMPS = Path(__file__).resolve().parents[2] / "vectors" / "database"
MAIN = DUMPS / "postal.sql.gz"
SUPPRESSIONS = DUMPS / "postal-server-1-suppressions.sql.gz"

ZONE = {
    "example.test": {"MX": ["mx1.example.test", "mx2.example.test", "mx3.example.test"]},
    "mx1.example.test": {"A": ["10.0.0.1"]},
    "mx2.example.test": {"A": ["10.0.0.2", "8.8.8.8"]},
    "mx3.example.test": {"AAAA": ["fd00::1"]},
}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def configuration(monkeypatch, recorded_config):
    monkeypatch.setattr(conf, "config", lambda: recorded_config)
    monkeypatch.setattr(import_postal, "resolver", lambda config: FakeResolver(ZONE))


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
        ("empty.sql", b"", "No data of a main database"),
        ("cut.sql", b"CREATE TABLE `servers` (\n", "ends within a statement"),
        ("cut.sql.gz", gzip.compress(b"x" * 1000, mtime=0)[:20], "Compressed file ended"),
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
        ([str(SUPPRESSIONS)], "No data of a main database"),
    ],
)
def test_wrong_use_is_named(words, said):
    with pytest.raises(CommandError, match=said):
        call_command("import_postal", *words)


def test_mail_hosts_without_a_public_address_are_named(capsys, monkeypatch, recorded_config):
    """Those of domains that the installation sends to. A host that has a public one as well is used."""
    call_command("import_postal", str(MAIN), dry_run=True)
    said = [line for line in capsys.readouterr().out.splitlines() if "delivery.allowed_destinations" in line]
    assert [line.partition(";")[0] for line in said] == [
        f"! mail to example.test: its host {host} has no public address and would be passed over"
        for host in ("mx1.example.test", "mx3.example.test")
    ]
    allowed = replace(recorded_config.delivery, allowed_destinations=("10.0.0.0/8", "mx3.example.test"))
    monkeypatch.setattr(conf, "config", lambda: replace(recorded_config, delivery=allowed))
    call_command("import_postal", str(MAIN), dry_run=True)
    assert "delivery.allowed_destinations" not in capsys.readouterr().out


def test_mail_hosts_do_not_matter_where_all_mail_goes_to_relays(capsys, monkeypatch, recorded_config):
    relayed = replace(recorded_config.postal, smtp_relays=("smtp://10.0.0.1",))
    monkeypatch.setattr(conf, "config", lambda: replace(recorded_config, postal=relayed))
    call_command("import_postal", str(MAIN), dry_run=True)
    assert "delivery.allowed_destinations" not in capsys.readouterr().out
