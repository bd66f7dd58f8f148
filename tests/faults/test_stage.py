"""What the tests of faults rely on."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from pathlib import Path

import pytest

from tests import postgresql
from tests.faults import load, namespace
from tests.faults.conftest import require_postgresql
from tests.faults.stage import Command, Stage
from tests.faults.test_kill import PROCESSES, victims
from tests.interop import daemons

ASLEEP = ("timeit", "-n", "1", "-r", "1", "import time; time.sleep(60)")


def state(pid: int) -> str:
    """One letter, as `ps` has it."""
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]


def test_a_worker_is_asked_what_it_holds_before_others_can_take_it(tmp_path, monkeypatch):
    stage = Stage(tmp_path)
    worker = stage.processes["worker-1"] = Command(ASLEEP, tmp_path / "log")
    seen = []

    def held_by(pid: int) -> list[str]:
        seen.append(state(pid))
        return ["a@d1.example"]

    monkeypatch.setattr(stage, "held_by", held_by)
    stage.kill("worker-1")
    assert seen == ["T"], "it lives, so that nobody frees its rows, and it does nothing"
    assert stage.in_flight == {"a@d1.example": 1}
    assert not Path(f"/proc/{worker.pid}").exists()


def test_every_process_is_among_the_victims_of_each_round():
    found = victims(8, random.Random(1))
    assert set(found[:4]) == set(found[4:]) == set(PROCESSES)
    assert found[:4] != found[4:]


def test_a_load_that_fails_fails_the_test(tmp_path):
    stage = Stage(tmp_path)
    stage._load = Command(ASLEEP, tmp_path / "log")
    with pytest.raises(AssertionError, match="the load failed"):
        stage.end_load()


def test_a_server_that_does_not_take_a_connection_up_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(load, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = silent.getsockname()
        order = load.Order(place, place, "", "", "faults.test", ["d1.example"])
        started = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(asyncio.wait_for(load.Client(order, load.SMTP).submit("a@d1.example"), 5))
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
@pytest.mark.parametrize("tool", ["ip", "PostgreSQL"])
def test_without_a_tool_tests_fail_on_ci_and_are_skipped_elsewhere(monkeypatch, tool, ci, outcome):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(daemons, "PLACES", "/nowhere")
    monkeypatch.setattr(postgresql, "binaries", lambda: None)
    with pytest.raises(outcome, match=f"{tool} is not installed"):
        namespace.require() if tool == "ip" else require_postgresql()


def test_without_root_tests_are_skipped_on_ci_too(monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception, match="root"):
        namespace.require()
