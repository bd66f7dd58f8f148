"""Real processes: ready, alive, stopped, killed; and in which order parts start and stop."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from postal_server import conf
from postal_server.runtime.process import Process, ProcessSpec, tell_systemd
from postal_server.runtime.role import Role

ROOT = Path(__file__).resolve().parents[3]
SECONDS_TO_STOP = 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("DJANGO_SETTINGS_MODULE", "TEST_DATABASE")}
    return {**inherited, "POSTAL_CONFIG_FILE_PATH": str(folder / "postal.yml"), "PYTHONPATH": str(ROOT)}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "postal_server", *words]


@pytest.fixture(scope="module")
def new_installation(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("new")
    (folder / "postal.yml").write_text("version: 2\n")
    subprocess.run(
        command("initialize"), env=environment(folder), check=True, capture_output=True, timeout=60
    )
    return folder


@pytest.fixture
def installation(new_installation, tmp_path) -> Path:
    """One of `initialize`, copied, with ports of its own."""
    shutil.copytree(new_installation, tmp_path, dirs_exist_ok=True)
    (tmp_path / "postal.yml").write_text(
        "version: 2\n"
        f"web_server: {{default_port: {free_port()}}}\n"
        f"smtp_server: {{default_port: {free_port()}, default_bind_address: 127.0.0.1}}\n"
        f"delivery: {{catch_port: {free_port()}}}\n"
        f"worker: {{default_health_server_port: {free_port()}}}\n"
    )
    return tmp_path


@pytest.fixture
def start(installation) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a process and wait until it says that it is ready."""
    started: list[subprocess.Popen] = []

    def run(role: str, **environ: str) -> subprocess.Popen:
        ready = installation / "ready"
        ready.unlink(missing_ok=True)
        process = subprocess.Popen(
            command(role, "--ready-file", str(ready)),
            env=environment(installation) | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        ends_at = time.monotonic() + 30
        while not ready.exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < ends_at, "not ready"
            time.sleep(0.02)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()
        process.stderr.close()


def readiness(installation: Path) -> dict:
    return json.loads((installation / "ready").read_text("utf-8"))


def workers(installation: Path) -> list[int]:
    with sqlite3.connect(installation / "postal.sqlite3") as database:
        rows = database.execute("SELECT id FROM postal_server_worker").fetchall()
    database.close()
    return [pk for (pk,) in rows]


def health(installation: Path, path: str) -> tuple[int, str]:
    text = (installation / "postal.yml").read_text()
    port = text.rpartition("default_health_server_port: ")[2].strip("}\n")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def systemd() -> Iterator[socket.socket]:
    """Where systemd listens for what services say of themselves."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        yield sock


def test_systemd_is_told_when_a_process_is_ready_and_when_it_stops(systemd, start):
    systemd.bind("")  # the kernel finds an abstract name
    process = start("web", NOTIFY_SOCKET="@" + systemd.getsockname()[1:].decode())
    assert systemd.recv(100) == b"READY=1"
    process.terminate()
    assert systemd.recv(100) == b"STOPPING=1"
    assert process.wait(SECONDS_TO_STOP * 2) == 0


def test_systemd_is_told_over_a_socket_of_the_file_system(systemd, tmp_path, monkeypatch):
    systemd.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    tell_systemd("READY=1")
    assert systemd.recv(100) == b"READY=1"


def test_a_process_goes_on_where_systemd_cannot_be_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    tell_systemd("READY=1")
    assert "gone cannot be told READY=1" in caplog.text


def test_a_process_says_when_it_is_ready_answers_for_its_health_and_stops(installation, start):
    process = start("run")
    ready = readiness(installation)
    assert ready["pid"] == process.pid
    assert set(ready["addresses"]) == {"smtp", "catch", "web"}
    assert health(installation, "/health") == (200, "OK")
    wait_until(lambda: health(installation, "/ready") == (200, "OK\ndelivery.mode: catch"))
    assert len(workers(installation)) == 1
    asked_at = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS_TO_STOP * 2) == 0
    assert time.monotonic() - asked_at < SECONDS_TO_STOP
    assert workers(installation) == []
    assert "is ready after" in (said := process.stdout.read())
    assert said.endswith("; all mail is caught (delivery.mode: catch)\n")
    assert "Ready: all mail is caught (delivery.mode: catch)" in process.stderr.read()


def test_a_container_gets_its_logs_as_json_on_standard_output_and_nothing_else(
    installation, start, monkeypatch
):
    monkeypatch.setenv("LOGGING_FORMAT", "json")
    monkeypatch.setenv("LOGGING_STREAM", "stdout")
    monkeypatch.setenv("DELIVERY_MODE", "allowlist")
    (installation / "listed").write_text("qa.example\n")
    monkeypatch.setenv("DELIVERY_ALLOWLIST_FILE", str(installation / "listed"))
    monkeypatch.setenv("DELIVERY_CATCH_PROT", "2599")
    process = start("smtp")
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=SECONDS_TO_STOP * 2)
    lines = [json.loads(line) for line in said.splitlines()]
    assert errors == ""
    messages = [line["message"] for line in lines]
    assert "DELIVERY_CATCH_PROT: has no effect. Did you mean DELIVERY_CATCH_PORT?" in messages
    [ready] = [message for message in messages if "is ready after" in message]
    assert ready.startswith("smtp is ready after")
    assert ready.endswith(
        "recipients in delivery.allowlist is sent, all other is caught (delivery.mode: allowlist)"
    )


def test_a_process_may_open_as_many_files_as_the_system_lets_it(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))  # what the process inherits
    try:
        process = start("smtp")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)


def test_a_second_instance_takes_over_at_once_after_a_kill(installation, start):
    first = start("worker")
    wait_until(lambda: len(workers(installation)) == 1)
    [dead] = workers(installation)
    first.kill()
    first.wait(10)
    process = start("worker")
    wait_until(lambda: dead not in workers(installation))
    assert len(workers(installation)) == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS_TO_STOP * 2) == 0


class FakeListener:
    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self._told = told

    async def start(self) -> list[tuple[str, int]]:
        await asyncio.sleep(0.01)  # others have their turn
        self._told.append(f"{self.name} listens")
        return []

    async def stop(self) -> None:
        self._told.append(f"{self.name} stops")


class FakeJournal:
    """Stops its process as soon as it starts."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def start(self) -> None:
        self._told.append("the journal starts")
        os.kill(os.getpid(), signal.SIGTERM)

    def stop(self, *_: float) -> None:
        self._told.append("the journal stops")


class FakeWorker:
    def __init__(self, told: list[str]) -> None:
        self._told = told

    def start(self) -> None:
        self._told.append("the worker starts")

    async def stop(self) -> None:
        self._told.append("the worker stops")


def test_the_worker_delivers_only_while_all_listen(tmp_path):
    """Among them is the catch: what finds it closed waits for minutes."""
    told: list[str] = []

    class WithFakes(Process):
        def _worker(self, core: object) -> FakeWorker:
            return FakeWorker(told)

    listeners = [lambda core, name=name: FakeListener(name, told) for name in ("smtp", "catch")]
    spec = ProcessSpec(frozenset([Role.SMTP, Role.WORKER]), listeners)
    core = SimpleNamespace(journal=FakeJournal(told))
    asyncio.run(WithFakes(conf.parse({}, {}, tmp_path), spec)._serve(core))
    begin, end = told[: len(told) // 2], told[len(told) // 2 :]
    assert begin == ["smtp listens", "catch listens", "the worker starts", "the journal starts"]
    assert end == ["the worker stops", "smtp stops", "catch stops", "the journal stops"]
