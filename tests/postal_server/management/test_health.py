"""`postal-server health`: what a process says of itself, as an exit status."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import subprocess
import sys

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from postal_server import conf
from postal_server.runtime.health import HealthServer

PORT_KEYS = {
    "run": "WORKER_DEFAULT_HEALTH_SERVER_PORT",
    "worker": "HEALTH_SERVER_PORT",
    "smtp": "SMTP_SERVER_DEFAULT_HEALTH_SERVER_PORT",
    "web": "PORT",
}


@pytest.fixture
def configured(tmp_path, monkeypatch):
    def set(name: str, port: int) -> None:
        monkeypatch.setenv(PORT_KEYS[name], str(port))
        config = conf.parse({}, os.environ, tmp_path)
        monkeypatch.setattr(conf, "config", lambda: config)

    return set


def ask(name: str) -> str:
    """What the command prints. Raises `CommandError`."""
    out = io.StringIO()
    call_command("health", *([] if name == "run" else [name]), stdout=out)
    return out.getvalue()


def told(configured, name: str, problem: str) -> str:
    """What the command prints while a process answers with this problem."""

    async def main() -> str:
        server = HealthServer(name, "127.0.0.1", 0, lambda: problem)
        await server.start()
        configured(name, server.port)
        try:
            return await asyncio.to_thread(ask, name)
        finally:
            await server.stop()

    return asyncio.run(main())


@pytest.mark.parametrize("name", PORT_KEYS)
def test_it_asks_the_port_of_each_process(configured, name):
    assert told(configured, name, "") == f"{name} is ready\n"


def test_a_process_that_is_not_ready_says_why(configured):
    with pytest.raises(CommandError, match=r"^worker is not ready: the database is away \(503\)$"):
        told(configured, "worker", "the database is away")


def test_a_process_that_does_not_answer_is_named_with_its_port_and_key(configured):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        configured("smtp", port)
        key = "smtp_server.default_health_server_port"
        with pytest.raises(CommandError, match=rf"^smtp does not answer at 127\.0\.0\.1:{port} \({key}\): "):
            ask("smtp")


def test_what_listens_there_but_speaks_no_http_is_no_answer(configured):
    with socket.create_server(("127.0.0.1", 0)) as other:
        configured("web", other.getsockname()[1])

        async def main() -> None:
            asking = asyncio.create_task(asyncio.to_thread(ask, "web"))
            peer, _ = await asyncio.to_thread(other.accept)
            peer.sendall(b"220 mx.example.com ESMTP\r\n")
            peer.close()
            await asking

        with pytest.raises(CommandError, match=r"^web does not answer at "):
            asyncio.run(main())


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_process_that_listens_on_all_addresses_is_asked_on_loopback(configured, monkeypatch, address):
    monkeypatch.setenv("HEALTH_SERVER_BIND_ADDRESS", address)
    assert told(configured, "worker", "") == "worker is ready\n"


def test_without_a_port_it_says_which_key_takes_it_away(configured):
    configured("worker", 0)
    with pytest.raises(CommandError, match=r"^HEALTH_SERVER_PORT is 0, so worker has no port"):
        ask("worker")


def test_it_loads_no_models(tmp_path):
    """It is called every few seconds, beside the process that does the work."""
    code = (
        "import sys; from postal_server import cli; cli.main(['health'])\n"
        "print('postal_server.models' in sys.modules, 'django.core.management' in sys.modules)"
    )
    environ = {**os.environ, "PYTHONPATH": os.getcwd(), PORT_KEYS["run"]: "1"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False True\n", done.stderr
