"""The import from a live MariaDB, as a Postal installation has it."""

from __future__ import annotations

import getpass
import gzip
import socket
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from postal_server import conf
from postal_server.models import Credential, Domain, Server, Suppression

from .daemons import program, running

DUMPS = Path(__file__).resolve().parents[1] / "vectors" / "database"
USER, PASSWORD = "postal", 'it\'s a "secret"'

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    """The port of a server with the databases of the recorded installation."""
    pytest.importorskip("pymysql")
    folder = tmp_path_factory.mktemp("mariadb")
    data, log = folder / "data", folder / "log.txt"
    shared = ["--no-defaults", f"--datadir={data}", f"--user={getpass.getuser()}"]
    subprocess.run(
        [
            program("mariadb-install-db"),
            *shared,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        check=True,
        capture_output=True,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}"]
    listen = [f"--port={port}", "--bind-address=127.0.0.1"]
    with running([program("mariadbd"), *shared, *paths, *listen], port, log, {}):
        fill(port)
        yield port


def fill(port: int) -> None:
    import pymysql

    root = pymysql.connect(host="127.0.0.1", port=port, user="root")
    names = ["postal", *(f"postal-server-{number}" for number in range(1, 7))]
    with root, root.cursor() as cursor:
        cursor.execute("CREATE USER %s@'127.0.0.1' IDENTIFIED BY %s", (USER, PASSWORD))
        for name in names:
            cursor.execute(f"CREATE DATABASE `{name}`")
            cursor.execute(f"GRANT SELECT ON `{name}`.* TO %s@'127.0.0.1'", (USER,))
    load(port, "postal", "postal.sql.gz")
    load(port, "postal-server-1", "postal-server-1-suppressions.sql.gz")


def load(port: int, database: str, dump: str) -> None:
    subprocess.run(
        [program("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={port}", "--user=root", database],
        input=gzip.decompress((DUMPS / dump).read_bytes()),
        check=True,
    )


@pytest.fixture
def configure(mariadb, monkeypatch, tmp_path):
    """Point `main_db` and `message_db` at the server, as an administrator's `postal.yml` does."""

    def call(**values: str) -> None:
        given = {"host": "127.0.0.1", "port": mariadb, "username": USER, "password": PASSWORD, **values}
        document = {"main_db": given, "message_db": given, "rails": {"secret_key": "s" * 40}}
        config = conf.parse(document, {}, tmp_path)
        monkeypatch.setattr(conf, "config", lambda: config)

    return call


def test_a_live_installation_is_taken_over_as_its_dumps_are(configure, capsys):
    configure()
    call_command("import_postal", live=True)
    live = capsys.readouterr().out
    assert live.startswith("Imported:")
    assert Server.objects.count() == 6
    assert Suppression.objects.get().address == "rcpt-550.5.1.1-no_such_user@dest.example"
    before = sorted(Domain.objects.values_list("name", "verified_at", "dkim_private_key"))
    call_command("import_postal", str(DUMPS / "postal.sql.gz"))
    again = capsys.readouterr().out
    assert all(" 0 new " in line for line in again.splitlines() if line.endswith(" known"))
    assert sorted(Domain.objects.values_list("name", "verified_at", "dkim_private_key")) == before
    assert Credential.objects.count() == 9


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"password": "wrong"}, "Access denied"),
        ({"database": "nothing"}, "nothing on 127.0.0.1"),
        ({"database_name_prefix": "other"}, "other-server-1 on 127.0.0.1"),
    ],
    ids=["wrong password", "no such database", "no message databases"],
)
def test_what_cannot_be_read_is_said_in_a_line(configure, values, said):
    configure(**values)
    with pytest.raises(CommandError, match=said):
        call_command("import_postal", live=True)
