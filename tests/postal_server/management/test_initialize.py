"""`postal-server initialize` as a process: what it makes, what it refuses, and what a failure leaves."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import psycopg
import pytest
import yaml

from postal_server import conf
from postal_server.testing import free_ports
from tests import commands, postgresql
from tests.certificates import write_certificate
from tests.interop.daemons import may_mount

from ..installation.development import write_configuration

pytestmark = pytest.mark.slow
HOST = "postal.example.com"
PRODUCTION = ["--production", "--hostname", HOST, "--domain", "example.com"]
URL = "https://user:pass@www.example.com/anymail/postal/"
DATABASE = "sqlite:///$config-file-root/mail.sqlite3\n"  # as somebody types it
WITHOUT_OTHER_PORTS = {
    "SMTP_SERVER_SUBMISSION_PORT": "0",
    "SMTP_SERVER_IMPLICIT_TLS_PORT": "0",
    "WORKER_DEFAULT_HEALTH_SERVER_PORT": "0",
}


def words(*options):
    return [sys.executable, "-m", "postal_server", "initialize", *options]


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "POSTAL_"))}
    return {**kept, **WITHOUT_OTHER_PORTS, "PYTHONPATH": os.getcwd(), **more}


def initialize(folder, *options, given="", **environ):
    """The status and what was said, on both outputs."""
    done = commands.run("initialize", *options, folder=folder, environ=environment(**environ), given=given)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def ports():
    """Options for ports that are free: those of a mail server are not ours to have."""
    web, smtp = free_ports(2)
    return ["--web-port", str(web), "--smtp-port", str(smtp)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder that production was set up in, and what was said."""
    folder = tmp_path_factory.mktemp("production") / "postal"
    folder.mkdir(0o700)
    options = [*PRODUCTION, *ports(), "--webhook", f"{URL}tracking/", "--inbound", f"{URL}inbound/"]
    options += ["--database", "-"]
    status, said = initialize(folder, *options, given=DATABASE)
    assert status == 0, said
    return folder, options, said


@pytest.fixture
def installation(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "postal")


def test_production_is_made_by_options_alone(made):
    folder, _, said = made
    config = conf.load(folder / "postal.yml", {})
    assert config.delivery.mode == "mx"
    assert config.warnings == ()
    assert "  from_address: postal@example.com\n" in (folder / "postal.yml").read_text()
    assert config.storage.url == DATABASE.strip()
    assert f"made {folder / 'postal.yml'}\n" in said
    assert "It may send from addresses at example.com only; mail is sent (delivery.mode: mx)." in said
    assert "  route reply@example.com to https://www.example.com/anymail/postal/inbound/\n" in said
    assert f'"POSTAL_API_URL": "https://{HOST}",' in said
    assert '"WEBHOOK_SECRET": "user:pass",' in said
    assert '"POSTAL_REPLY_DOMAIN": "example.com",' in said
    assert re.search(r"^example\.com\. +IN MX    10 postal\.example\.com\.$", said, re.MULTILINE)
    assert f"an administrator for https://{HOST}/admin/" in said
    assert "localhost" not in said
    next_steps = said[said.index("Next:\n") :].splitlines()
    assert len(next_steps) == 4


def test_the_same_again_changes_nothing_and_says_so(made, installation):
    before = {path.name: path.read_bytes() for path in installation.iterdir() if path.suffix != ".sqlite3"}
    status, said = initialize(installation, *made[1], given=DATABASE)
    assert status == 0
    assert "There was nothing to change." in said
    assert "API key" not in said
    after = {path.name: path.read_bytes() for path in installation.iterdir() if path.suffix != ".sqlite3"}
    assert after == before


def test_mended_options_have_their_way(installation):
    with (installation / "postal.yml").open("a") as file:
        file.write("# mine\n")
    status, said = initialize(
        installation, "--hostname", "mail.example.com", "--domain", "example.org", "--webhook", f"{URL}other/"
    )
    assert status == 0, said
    assert "postal.web_hostname: mail.example.com instead of postal.example.com" in said
    assert "  domain example.org\n" in said
    assert "  webhook https://www.example.com/anymail/postal/other/, beside" in said
    assert "dns.return_path_domain stays rp.postal.example.com" in said
    assert (installation / "postal.yml").read_text().endswith("# mine\n")
    assert (
        yaml.safe_load((installation / "postal.yml").read_text())["postal"]["web_hostname"]
        == "mail.example.com"
    )


REFUSED = {
    "no host": (["--production"], 2, "--hostname is missing: "),
    "a host of development": (["--staging", "--hostname", "localhost"], 2, "--hostname: 'localhost'"),
    "a wrong domain": (["--domain", "not a domain"], 2, "--domain: 'not a domain' is not a domain such as"),
    "a wrong URL": (["--webhook", "htp:/foo"], 2, "--webhook: 'htp:/foo' is not a URL such as https://"),
    "a wrong relay": ([*PRODUCTION, "--relay", "smtp://u:secret@h:x"], 2, "--relay: 'h:x' is not a host"),
    "a wrong database": ([*PRODUCTION, "--database", "mysql://u:secret@h/n"], 2, "--database: 'mysql://h/n'"),
    "a relay of another protocol": (
        [*PRODUCTION, "--relay", "http://u:secret@h"],
        2,
        "--relay: 'http://h' is not a relay such as smtp://",
    ),
    "no name of a certificate": (
        [*PRODUCTION, "--certificate", "", "--key", ""],
        2,
        "--certificate: the name",
    ),
    "a port twice": (
        [*PRODUCTION, "--smtp-port", "5999", "--web-port", "5999"],
        1,
        "Port 5999 is wanted twice.",
    ),
    "a key alone": ([*PRODUCTION, "--key", "/x"], 2, "--key needs --certificate"),
    "a certificate that is not there": (
        [*PRODUCTION, "--certificate", "live/fullchain.pem", "--key", "live/privkey.pem"],
        1,
        f"fullchain.pem: there is no such file. `sudo certbot certonly --standalone --domain {HOST}` makes",
    ),
    "a database that does not answer": (
        [*PRODUCTION, "--database", "postgresql://u:secret@127.0.0.1:1/n"],
        1,
        "storage.url: the database cannot be used: connection failed: ",
    ),
    "no domain": (["--production", "--hostname", HOST], 2, "--domain is missing: "),  # known once Django is
}
SEVERAL = """
import contextlib, io, json, sys
from postal_server import cli
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            status = cli.main(words)
        except SystemExit as end:
            status = end.code
    print(json.dumps([status, said.getvalue()]))
"""


def test_what_is_refused_leaves_nothing(tmp_path):
    free = ports()
    commands = [["initialize", *free, *options] for options, _, _ in REFUSED.values()]
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(commands)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    ends = map(json.loads, done.stdout.splitlines())
    for (name, (_, status, wanted)), (found, said) in zip(REFUSED.items(), ends, strict=True):
        assert (found, wanted in said) == (status, True), f"{name}: {found} {said}"
        assert "secret" not in said, name
    assert list(tmp_path.iterdir()) == []


def test_an_outdated_database_is_only_changed_once_nothing_is_refused(installation):
    database = installation / "mail.sqlite3"
    _execute(database, "DELETE FROM django_migrations WHERE app = 'auth' AND name LIKE '0012%'")
    _execute(database, "UPDATE postal_server_webhook SET enabled = 0")
    before = snapshot(installation)
    options = ["--webhook", f"{URL}tracking/", "--domain", "example.org"]
    status, said = initialize(installation, *options)
    assert status == 1
    assert said.endswith("/anymail/postal/tracking/ is switched off. Use the administration.\n")
    assert snapshot(installation) == before
    assert not _execute(database, LAST_OF_AUTH)
    _execute(database, "UPDATE postal_server_webhook SET enabled = 1")
    status, said = initialize(installation, *options)
    assert status == 0, said
    assert _execute(database, LAST_OF_AUTH)


def test_a_person_is_asked_before_an_outdated_database_is_changed(installation):
    _execute(
        installation / "mail.sqlite3",
        "DELETE FROM django_migrations WHERE app = 'auth' AND name LIKE '0012%'",
    )
    before = snapshot(installation)
    status, said = initialize_at_a_terminal(installation, "--domain", "example.org", answer="n")
    assert status == 1
    assert "  the database: tables of an earlier version are brought up to date" in said
    assert "  domain example.org" in said
    assert "Nothing was changed." in said
    assert snapshot(installation) == before


def initialize_at_a_terminal(folder, *options, answer):
    """The status and what was said, where a person answers the one question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        words(*options), cwd=folder, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n\x04".encode())  # and there is nobody for another question
    said = b""
    with contextlib.suppress(OSError):  # the other side has closed it
        while part := os.read(ours, 4096):
            said += part
    os.close(ours)
    return process.wait(60), said.decode()


LAST_OF_AUTH = "SELECT 1 FROM django_migrations WHERE app = 'auth' AND name LIKE '0012%'"


def _execute(database, sql):
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(sql).fetchall()


def test_what_is_made_and_cannot_be_printed_is_told(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            words(),
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode != 0
    assert "postal-server: All is made, but cannot be printed (No space left on device)." in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "postal.yml").exists()


def test_a_key_that_is_no_file_is_not_replaced(tmp_path):
    (tmp_path / "secret.key").symlink_to(tmp_path / "nowhere")
    status, said = initialize(tmp_path)
    assert status == 1
    assert (
        f"{tmp_path}/secret.key: was made by somebody else meanwhile, or is a link that leads nowhere."
        in said
    )
    assert not (tmp_path / "postal.yml").exists()


def test_a_port_that_another_program_has_is_refused_with_its_name(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = str(listener.getsockname()[1])
        status, said = initialize(tmp_path, *PRODUCTION, "--smtp-port", number, "--web-port", ports()[1])
    assert status == 1
    assert f"Port {number} is taken by " in said
    assert f" (process {os.getpid()}). Stop that program, or choose another port with" in said
    assert "the key smtp_server.default_port or --smtp-port here" in said
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_of_a_server_that_sends_gets_no_localhost(tmp_path):
    path = tmp_path / "postal.yml"
    write_configuration(path)
    text = path.read_text().replace("mode: catch", "mode: mx").replace("postal.sqlite3", "other.sqlite3")
    path.write_text(text)
    status, said = initialize(tmp_path)
    assert (status, "--domain is missing" in said) == (2, True)
    assert list(tmp_path.iterdir()) == [path]
    status, said = initialize(tmp_path, "--domain", "example.com")
    assert status == 0
    assert "Made mail server example/main with domain example.com." in said
    assert path.read_text() == text


def test_a_certificate_is_taken_and_its_key_has_to_fit(installation, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        write_certificate(folder, HOST)
    wrong = ["--certificate", str(one / "smtp.cert"), "--key", str(other / "smtp.key")]
    status, said = initialize(installation, *wrong)
    assert (status, f"{other / 'smtp.key'}: is not the key of" in said) == (1, True)
    status, said = initialize(
        installation, "--certificate", str(one / "smtp.cert"), "--key", str(one / "smtp.key")
    )
    assert status == 0
    assert conf.load(installation / "postal.yml", {}).smtp_server.tls_private_key_path == str(
        one / "smtp.key"
    )


def test_a_file_that_cannot_be_replaced_leaves_the_database_as_well(installation, tmp_path):
    """As where only the file is mounted into a container."""
    may_mount()
    shutil.copy(installation / "postal.yml", tmp_path / "mounted.yml")
    before = snapshot(installation)
    script = f'mount --bind "{tmp_path}/mounted.yml" postal.yml && exec "$@"'
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            *words("--mx", "--web-port", "5999", "--domain", "b.test"),
        ],
        cwd=installation,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "postal.yml: cannot be replaced (Device or resource busy). If the file is mounted" in done.stderr
    assert snapshot(installation) == before
    with contextlib.closing(sqlite3.connect(installation / "mail.sqlite3")) as connection:
        domains = connection.execute("SELECT name FROM postal_server_domain").fetchall()
    assert domains == [("example.com",)]


def test_production_after_development_is_about_domains_that_others_can_look_up(tmp_path):
    (tmp_path / "postal.yml").write_text("version: 2\ndelivery: {mode: catch, mod: mx}\n")
    _, said = initialize(tmp_path)
    assert "Note: delivery.mod: unknown key, ignored. Did you mean mode?" in said
    status, said = initialize(tmp_path, *PRODUCTION, *ports())
    assert status == 0, said
    assert "example.com.  " in said
    assert "localhost.  " not in said
    assert 'DEFAULT_FROM_EMAIL = "hello@example.com"' in said


def snapshot(folder):
    """All files of an installation but those that SQLite keeps while it works."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm"))
    }


def test_an_interruption_in_the_middle_leaves_what_was_there(installation):
    before = snapshot(installation)
    with (installation / "mail.sqlite3-write").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a server that writes
        process = subprocess.Popen(
            words("--hostname", "mail.example.com", "--domain", "example.org"),
            cwd=installation,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        end = time.monotonic() + 30
        while not list(installation.glob(".postal.yml.*")) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert snapshot(installation) == before


def initialize_without_room(folder, *options):
    """As a process of its own, which coverage does not measure, as it would have no room either."""

    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    done = subprocess.run(
        words(*options),
        cwd=folder,
        env=environment(COVERAGE_PROCESS_CONFIG=""),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        preexec_fn=no_room,
    )
    return done.returncode, done.stdout


def test_a_full_disk_leaves_what_was_there(installation, tmp_path):
    before = snapshot(installation)
    status, said = initialize_without_room(installation, "--hostname", "mail.example.com")
    assert (status, said.count("\n")) == (1, 1)
    assert snapshot(installation) == before
    new = tmp_path / "new"
    new.mkdir()
    status, said = initialize_without_room(new)
    assert status == 1
    assert re.fullmatch(r"postal-server: .*: cannot be made \(File too large\)\.\n", said)
    assert list(new.iterdir()) == []


@contextlib.contextmanager
def cluster():
    """A PostgreSQL of this test, or a skip where none is installed."""
    if postgresql.binaries() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    with postgresql.cluster() as server:
        yield server


@pytest.mark.postgresql
def test_production_on_postgresql(tmp_path):
    folder = tmp_path / "postal"
    folder.mkdir()
    options = [*PRODUCTION, *ports()]
    with cluster() as server:
        status, said = initialize(folder, *options, "--database", server.url_of("nothing"))
        assert status == 1
        assert (
            'database "nothing" does not exist. `sudo -u postgres createdb --owner USER NAME` makes' in said
        )
        assert list(folder.iterdir()) == []
        status, said = initialize(folder, *options, "--database", server.url)
        assert status == 0, said
        assert "Made mail server example/main with domain example.com." in said
        assert not (folder / "postal.sqlite3").exists()
        status, said = initialize(folder, *options, "--database", server.url)
        assert (status, "There was nothing to change." in said) == (0, True)
        before = snapshot(folder)
        status, said = initialize_while_it_goes(server, folder)
        assert status == 1
        assert "storage.url: the database cannot be used: " in said
        assert snapshot(folder) == before
        server.start()
        status, said = initialize(folder, "--hostname", "mail.example.com", "--domain", "example.org")
        assert status == 0
        assert "  domain example.org\n" in said


def initialize_while_it_goes(server, folder):
    """A database that stops while the command waits to write to it."""
    with psycopg.connect(server.url) as connection:
        connection.execute("LOCK TABLE postal_server_domain IN SHARE MODE")
        process = subprocess.Popen(
            words("--hostname", "mail.example.com", "--domain", "example.org"),
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        end = time.monotonic() + 30
        while connection.execute(waiting).fetchone() == (0,) and time.monotonic() < end:
            time.sleep(0.05)
        server.stop()
        said, _ = process.communicate(timeout=60)
        assert "Traceback" not in said
        with contextlib.suppress(psycopg.Error):
            connection.rollback()
    return process.returncode, said


def test_help_says_how_passwords_stay_secret(tmp_path):
    status, said = initialize(tmp_path, "--help")
    assert status == 0
    assert "STORAGE_URL" in said
    assert "list of processes" in " ".join(said.split())
