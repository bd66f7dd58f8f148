"""Who has a port, found on real sockets and processes."""

from __future__ import annotations

import codecs
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from postal_server import conf
from postal_server.installation import ports
from postal_server.installation.checks import taken_ports
from postal_server.installation.ports import Port
from tests.each import each
from tests.interop.daemons import as_root

NOBODY = 65534

LISTEN = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def config(tmp_path):
    return conf.parse({}, {}, tmp_path, tmp_path / "postal.yml")


@contextlib.contextmanager
def program(*words, cwd, python=(sys.executable,)):
    """A process with these words on its command line, which listens; its id and port."""
    process = subprocess.Popen(
        [*python, "-c", LISTEN, *words],
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != conf.PATH_VARIABLE},
    )
    try:
        yield process.pid, int(process.stdout.readline())
    finally:
        process.communicate("")


def web(number):
    return Port("127.0.0.1", number, "web_server.default_port", "--web-port")


@each(
    "smtp, web, is_clash",
    [
        (("127.0.0.1", 5000), ("127.0.0.1", 5000), True),
        (("::", 5000), ("127.0.0.1", 5000), True),
        (("127.0.0.2", 5000), ("127.0.0.1", 5000), False),
        (("127.0.0.1", 2525), ("127.0.0.1", 5000), False),
    ],
)
def test_two_of_ours_cannot_have_the_same_port(smtp, web, is_clash, tmp_path):
    groups = {
        name: {"default_bind_address": host, "default_port": number}
        for name, (host, number) in {"smtp_server": smtp, "web_server": web}.items()
    }
    found = list(ports.clashes(conf.parse(groups, {}, tmp_path)))
    assert len(found) == is_clash
    for text in found:
        assert text.startswith("Port 5000 is wanted twice. ")
        assert "--smtp-port" in text
        assert "--web-port" in text


def test_nobody_has_a_free_port(config):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
    assert ports.holder(web(number), config) is None


def test_a_port_is_free_for_one_address_if_another_is_taken(config):
    with socket.create_server(("127.0.0.2", 0)) as listener:
        assert ports.holder(web(listener.getsockname()[1]), config) is None


def test_a_program_is_named_with_its_number(config, tmp_path):
    with program("--password=secret", cwd=tmp_path) as (pid, number):
        holder = ports.holder(web(number), config)
    assert holder.description == f"{sys.executable} (process {pid})"
    assert not holder.is_this_server


@pytest.mark.parametrize(
    ("words", "is_this"),
    [
        (["postal-server", "run"], True),
        (["postal-server", "--config", "postal.yml", "run"], True),
        (["postal-server", "--config=./postal.yml", "run"], True),
        (["postal-server", "--config", "other.yml", "run"], False),
        (["another-server", "run"], False),
    ],
)
def test_a_process_of_this_installation_is_recognized(config, tmp_path, words, is_this):
    with program(*words, cwd=tmp_path) as (_, number):
        assert ports.holder(web(number), config).is_this_server is is_this


def test_a_service_with_a_capability_is_recognized_by_its_user(config, tmp_path):
    """As systemd starts it: only root may see its sockets then."""
    as_root()
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is no Python that every user may run")
    capability = "+net_bind_service"
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    user += [f"--inh-caps={capability}", f"--ambient-caps={capability}", python]
    with program("postal-server", "--config", str(config.path), "run", cwd="/", python=user) as (_, number):
        codecs.lookup("ascii")  # which is imported late, from a folder that may be root's
        os.seteuid(NOBODY)
        try:
            holder = ports.holder(web(number), config)
        finally:
            os.seteuid(0)
    assert holder.is_this_server


def test_a_mail_server_of_another_user_is_known_by_its_banner():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet():
            peer, _ = listener.accept()
            peer.sendall(b"220 mail.example.com ESMTP Postfix\x1b\r\n")
            peer.close()

        thread = threading.Thread(target=greet)
        thread.start()
        number = listener.getsockname()[1]
        assert ports.banner(Port("127.0.0.1", number, "smtp_server.default_port")) == (
            "220 mail.example.com ESMTP Postfix"
        )
        thread.join()


def test_the_ports_of_an_installation(tmp_path):
    def keys(**groups):
        return {port.key for port in ports.wanted(conf.parse(groups, {}, tmp_path))}

    always = {"smtp_server.default_port", "web_server.default_port", "worker.default_health_server_port"}
    assert keys(delivery={"mode": "mx"}) == always
    assert keys() == always | {"delivery.catch_port"}
    assert keys(delivery={"catch_host": "localhost"}) == always | {"delivery.catch_port"}
    assert keys(delivery={"catch_host": "smtp"}) == always  # a port of another container
    for key in ("submission_port", "implicit_tls_port"):
        assert keys(delivery={"mode": "mx"}, smtp_server={key: 465}) == always | {f"smtp_server.{key}"}


def test_what_is_said_names_the_key_and_the_option(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        groups = {
            "delivery": {"mode": "mx"},
            "smtp_server": {"default_bind_address": "127.0.0.1", "default_port": number},
            "web_server": {"default_port": 0},
            "worker": {"default_health_server_port": number},
        }
        taken = taken_ports(conf.parse(groups, {}, tmp_path, tmp_path / "postal.yml"))
    [smtp], [health] = taken.in_the_way, taken.of_health_servers
    assert smtp.startswith(f"Port {number} is taken by ")
    assert f"(process {os.getpid()})" in smtp
    assert smtp.endswith("choose another port with the key smtp_server.default_port or --smtp-port here.")
    assert health.endswith("choose another port with the key worker.default_health_server_port.")
    assert not taken.is_running
