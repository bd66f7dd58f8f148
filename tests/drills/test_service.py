"""`postal-server service install` on a Debian that systemd runs: ports, limits, certificates, restarts.

What takes no machine of its own is in `tests/postal_server/installation/test_service.py`: that the units are
valid, hardened, and not written over what a person changed.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.certificates import write_certificate
from tests.installed import build_wheel
from tests.readme import ROOT

from .booted import Booted, booted
from .debian import bare

pytestmark = pytest.mark.drill

SERVER = "postal-server --config /var/lib/postal/postal.yml"
LIVE = "/etc/letsencrypt/live/postal.example.com"
HOOK = "/etc/letsencrypt/renewal-hooks/deploy/postal"
CONFIGURATION = """\
version: 2
postal: {web_hostname: postal.example.com, smtp_hostname: mx.postal.example.com}
smtp_server: {tls_enabled: true, submission_port: 587, implicit_tls_port: 465}
"""
SECONDS = 60.0  # long, for a busy machine
PATIENCE = 10.0  # seconds; twice the RestartSec of the units
SUBMIT = """\
import smtplib, ssl, sys
trust = ssl.create_default_context()
trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
for port in 25, 587, 465:
    if port == 465:
        client = smtplib.SMTP_SSL("::1", port, context=trust, timeout=10)
    else:
        client = smtplib.SMTP("127.0.0.1", port, timeout=10)
        client.starttls(context=trust)
    client.login("example/main", sys.argv[1])
    client.sendmail("me@example.com", f"{port}@example.net", "From: me@example.com\\r\\n\\r\\nHello")
    client.quit()
"""
CERTIFICATES = """\
import smtplib, ssl
trust = ssl.create_default_context()
trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
client = smtplib.SMTP("127.0.0.1", 587, timeout=10)
client.starttls(context=trust)
print(ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(binary_form=True)))
print(ssl.get_server_certificate(("127.0.0.1", 465)))
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """A machine on which the server has been installed, and is a service."""
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    with bare() as debian:
        for path in (wheel, ROOT / "constraints.txt"):
            shutil.copy(path, debian.path("root"))
        debian.run("apt-get", "update", "--quiet")
        debian.run("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "python3-venv")
        debian.run("python3", "-m", "venv", "/opt/postal")
        pip = "/opt/postal/bin/pip", "install", "--quiet"
        debian.run(*pip, "--require-hashes", "--requirement", "/root/constraints.txt")
        debian.run(*pip, "--no-deps", f"/root/{wheel.name}")
        debian.path("usr/local/bin/postal-server").symlink_to("/opt/postal/bin/postal-server")
        with booted(debian) as machine:
            machine.run(
                "useradd --system --home-dir /var/lib/postal --shell /usr/sbin/nologin postal; "
                "install --directory --owner=postal --group=postal --mode=0700 /var/lib/postal"
            )
            machine.run("runuser -u postal -- tee /var/lib/postal/postal.yml", given=CONFIGURATION)
            said = machine.run(f"runuser -u postal -- {SERVER} initialize --domain example.com")
            [key] = re.findall(r"SMTP key +(\S+)", said)
            (debian.path("root") / "smtp-key").write_text(key)
            machine.run(f"{SERVER} service install --certbot && systemctl daemon-reload")
            yield machine


@pytest.fixture(params=["postal-server.service", "postal.target"])
def started(machine: Booted, request: pytest.FixtureRequest) -> Iterator[str]:
    """One process for all, and a process for each role; the services that run then."""
    machine.run(f"systemctl start {request.param}")
    running = machine.run("systemctl list-units --plain --no-legend --state=running 'postal*.service'")
    yield " ".join(line.split()[0] for line in running.splitlines())
    machine.run(f"systemctl stop {request.param} 'postal*.service'")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"not within {SECONDS:.0f} s: {what}"
        time.sleep(0.1)


def caught(machine: Booted) -> int:
    """How many mails have been delivered."""
    with sqlite3.connect(machine.debian.path("var/lib/postal/postal.sqlite3")) as database:
        [(count,)] = database.execute("SELECT count(*) FROM postal_server_caughtmail")
    database.close()
    return int(count)


def submit(machine: Booted) -> None:
    machine.run('python3 - "$(cat /root/smtp-key)"', given=SUBMIT)


def test_mail_comes_in_on_every_port_and_is_delivered(machine, started):
    before = caught(machine)
    submit(machine)
    wait_until(lambda: caught(machine) == before + 3, "three deliveries")


def test_units_have_the_processes_that_they_promise(started):
    roles = {"postal-smtp.service", "postal-web.service", "postal-worker@1.service"}
    assert set(started.split()) in ({"postal-server.service"}, roles)


def test_services_are_not_root_and_can_do_little(machine, started):
    machine.run(f"systemd-analyze security --threshold=30 --no-pager {started}")
    for name in started.split():
        pid = machine.run(f"systemctl show --property=MainPID --value {name}").strip()
        status = dict(
            line.split(":\t", 1)
            for line in machine.run(f"cat /proc/{pid}/status").splitlines()
            if ":\t" in line
        )
        assert "0" not in status["Uid"].split()
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        needs_low_ports = name in ("postal-server.service", "postal-smtp.service")
        capabilities = {int(status[f"Cap{kind}"], 16) for kind in ("Eff", "Prm", "Bnd", "Amb")}
        assert capabilities == {1 << 10 if needs_low_ports else 0}  # CAP_NET_BIND_SERVICE
        inside = f"nsenter --target {pid} --mount --root"
        for folder in ("/etc", "/usr", "/opt/postal", "/var/log"):
            assert "Read-only file system" in machine.done(f"{inside} touch {folder}/new").stdout
        assert machine.run(f"{inside} ls /root /home") == "/home:\n\n/root:\n"
        machine.run(f"{inside} ls /var/lib/postal/postal.yml")


def test_a_process_that_died_is_started_again(machine, started):
    name = started.split()[0]
    machine.run(f"systemctl kill --signal=KILL {name}")
    again = {"ActiveState=active", "NRestarts=1"}
    wait_until(lambda: again <= set(machine.run(f"systemctl show {name}").splitlines()), "a new process")


def test_one_way_to_run_takes_over_once_the_other_has_stopped(machine):
    """They have the same ports."""
    roles = "postal-web", "postal-smtp", "postal-worker@1"
    ways = {"postal-server": ["postal-server"], "postal.target": roles}
    try:
        machine.run("systemctl start postal-server")
        for way, other in (("postal.target", "postal-server"), ("postal-server", "postal.target")):
            machine.run(f"systemctl start {way}")
            stopped = max(moment(machine, name, "InactiveEnter") for name in ways[other])
            assert all(moment(machine, name, "ExecMainStart") > stopped for name in ways[way])
            assert all(machine.done(f"systemctl is-active {name}").returncode for name in ways[other])
    finally:
        machine.run("systemctl stop postal-server postal.target 'postal-*'")


def moment(machine: Booted, name: str, event: str) -> int:
    """When this happened to a unit, in microseconds."""
    return int(machine.run(f"systemctl show --property={event}TimestampMonotonic --value {name}"))


def test_renewed_certificates_of_root_reach_the_server(machine, started):
    live = machine.debian.path(LIVE)
    live.mkdir(parents=True, exist_ok=True)
    for folder in ("/etc/letsencrypt/live", LIVE):
        machine.debian.path(folder).chmod(0o700)
    issued = issue(live, "mx.postal.example.com")
    assert "Permission denied" in machine.done(f"runuser -u postal -- cat {LIVE}/privkey.pem").stdout
    said = machine.run(f"RENEWED_LINEAGE={LIVE} RENEWED_DOMAINS=mx.postal.example.com {HOOK}")
    assert said == f"/var/lib/postal/smtp.cert: the certificate of {LIVE}.\n"
    wait_until(lambda: machine.run("python3 -", given=CERTIFICATES).count(issued) == 2, "the new certificate")
    assert (
        machine.run("stat --dereference --format=%U:%a /var/lib/postal/smtp.{cert,key}") == "postal:600\n" * 2
    )
    assert "has the certificate of" in machine.run(f"RENEWED_LINEAGE={LIVE} {HOOK}")
    assert "Cannot load the certificate" not in machine.journal("'postal-*'")


def issue(folder: Path, name: str) -> str:
    """A new certificate, as certbot leaves it."""
    certificate, key = write_certificate(folder, name)
    certificate.rename(folder / "fullchain.pem")
    key.rename(folder / "privkey.pem").chmod(0o600)
    return (folder / "fullchain.pem").read_text()


def test_certificates_for_other_hosts_are_left_out(machine):
    folder = machine.debian.path("/etc/letsencrypt/live/www.example.com")
    folder.mkdir(parents=True, exist_ok=True)
    issue(folder, "www.example.com")
    before = machine.run("cat /var/lib/postal/smtp.cert")
    said = machine.run(f"RENEWED_LINEAGE=/etc/letsencrypt/live/www.example.com {HOOK}")
    assert "not for mx.postal.example.com" in said
    assert machine.run("cat /var/lib/postal/smtp.cert") == before


def test_a_lineage_that_is_not_there_is_an_error(machine):
    done = machine.done(f"RENEWED_LINEAGE=/nowhere {HOOK}")
    assert done.returncode == 1
    assert "/nowhere/fullchain.pem" in done.stdout


def test_a_certificate_that_only_root_may_read_is_named_in_the_journal(machine):
    live = machine.debian.path(LIVE)
    live.mkdir(parents=True, exist_ok=True)
    machine.debian.path("/etc/letsencrypt/live").chmod(0o700)
    issue(live, "mx.postal.example.com")
    drop_in = textwrap.dedent(f"""\
        [Service]
        Environment=SMTP_SERVER_TLS_CERTIFICATE_PATH={LIVE}/fullchain.pem
        Environment=SMTP_SERVER_TLS_PRIVATE_KEY_PATH={LIVE}/privkey.pem
    """)
    folder = "/etc/systemd/system/postal-smtp.service.d"
    machine.run(f"mkdir {folder}; cat >{folder}/certbot.conf; systemctl daemon-reload", given=drop_in)
    try:
        assert machine.done("systemctl start postal-smtp").returncode
        said = machine.journal("postal-smtp")
        assert f"this user may not read {LIVE}/fullchain.pem and {LIVE}/privkey.pem" in said
        assert "`postal-server service install --certbot` keeps them current." in said
    finally:
        machine.run(f"systemctl stop postal-smtp; rm -r {folder}; systemctl daemon-reload")


def test_a_wrong_configuration_is_a_failed_service_that_is_not_started_again(machine):
    folder = "/etc/systemd/system/postal-web.service.d"
    wrong = "[Service]\nEnvironment=DELIVERY_MODE=nowhere\n"
    machine.run(f"mkdir {folder}; cat >{folder}/wrong.conf; systemctl daemon-reload", given=wrong)
    try:
        assert machine.done("systemctl start postal-web").returncode
        time.sleep(PATIENCE)
        assert {"ActiveState=failed", "ExecMainStatus=78", "NRestarts=0"} <= state(machine, "postal-web")
        assert "postal-web.service" in machine.run("systemctl --failed --no-legend")
        assert "postal-server: delivery.mode: 'nowhere'" in machine.journal("postal-web")
    finally:
        machine.run(f"rm -r {folder}; systemctl daemon-reload")
    machine.run("systemctl start postal-web && systemctl stop postal-web")


def test_what_may_come_to_be_is_tried_again_until_it_does(machine):
    """Here the port, which another program has for longer than systemd counts starts."""
    listen = "import socket, time; one = socket.create_server(('127.0.0.1', 5000)); time.sleep(600)"
    machine.run(f'systemd-run --quiet --unit=other python3 -c "{listen}"')
    wait_until(lambda: "127.0.0.1:5000" in machine.run("ss --listening --tcp --numeric"), "the other program")
    try:
        machine.run("systemctl start --no-block postal-web")
        wait_until(lambda: "NRestarts=3" in state(machine, "postal-web"), "three more starts")
    finally:
        machine.run("systemctl stop other")
    wait_until(lambda: "ActiveState=active" in state(machine, "postal-web"), "the start that succeeds")
    machine.run("systemctl stop postal-web")


def state(machine: Booted, name: str) -> set[str]:
    return set(machine.run(f"systemctl show {name}").splitlines())


def test_installing_again_changes_nothing_and_keeps_what_was_changed(machine):
    said = machine.run(f"{SERVER} service install --certbot")
    assert "wrote" not in said
    unit = "/etc/systemd/system/postal-web.service"
    machine.run(f"sed --in-place s/PrivateUsers=yes/Nice=5/ {unit}")
    done = machine.done(f"{SERVER} service install")
    assert done.returncode == 1
    assert f"was changed by hand, and stays: {unit}" in done.stdout
    assert "Not written, because changed by hand: postal-web.service." in done.stdout
    assert "Nice=5" in machine.run(f"cat {unit}")
    assert f"wrote {unit}" in machine.run(f"rm {unit}; {SERVER} service install; systemctl daemon-reload")


def test_errors_of_the_command_are_one_line(machine):
    for command, said in {
        f"runuser -u postal -- {SERVER} service install": "Only root may install a service.",
        f"{SERVER} service install --user nobody-there": "--user: there is no user nobody-there.",
        "postal-server --config /root/none.yml service install": "/root/none.yml: there is no such",
    }.items():
        done = machine.done(command)
        assert done.returncode == 1
        [line] = done.stdout.splitlines()
        assert line.startswith(f"postal-server: {said}")
