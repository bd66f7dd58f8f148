"""Names of clients: looked up once, in the background, never waited for long."""

from __future__ import annotations

import asyncio
import threading
import time

from postal_server.api import client_name
from postal_server.api.client_name import ClientNames
from tests.each import each

ADDRESS = "93.184.215.14"


def test_name_is_found_and_kept() -> None:
    asked: list[str] = []

    def look_up(address: str) -> str:
        asked.append(address)
        return "mail.example.com"

    names = ClientNames(look_up)
    assert [names(ADDRESS), names(ADDRESS)] == ["mail.example.com"] * 2
    assert asked == [ADDRESS]
    names.close()


def test_slow_look_up_is_not_waited_for() -> None:
    release = threading.Event()

    def look_up(address: str) -> str:
        release.wait(5)
        return "mail.example.com"

    names = ClientNames(look_up)
    started = time.monotonic()
    assert names(ADDRESS) is None
    assert names(ADDRESS) is None
    assert time.monotonic() - started < 1
    release.set()
    deadline = time.monotonic() + 5
    while names(ADDRESS) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert names(ADDRESS) == "mail.example.com"
    names.close()


@each("address", ["127.0.0.1", "10.1.2.3", "::1", "fe80::1", "", "nonsense"])
def test_private_addresses_are_not_asked_about(address) -> None:
    def look_up(address: str) -> str:
        raise AssertionError(address)

    assert ClientNames(look_up)(address) is None


def test_name_is_asked_for_again_after_an_hour() -> None:
    now = [0.0]
    answers = iter(["old.example.com", "new.example.com"])
    names = ClientNames(lambda address: next(answers), clock=lambda: now[0])
    assert names(ADDRESS) == "old.example.com"
    now[0] += client_name.KEPT_SECONDS + 1
    assert names(ADDRESS) == "new.example.com"
    names.close()


def test_failed_look_up_is_no_name(caplog) -> None:
    def look_up(address: str) -> str:
        raise OSError("no network")

    names = ClientNames(look_up)
    assert [names(ADDRESS), names(ADDRESS)] == [None, None]
    assert asyncio.run(names.find("93.184.215.15")) is None
    assert caplog.text == ""
    names.close()


def test_event_loop_gets_the_same_names() -> None:
    names = ClientNames(lambda address: "mail.example.com")
    assert asyncio.run(names.find(ADDRESS)) == "mail.example.com"
    names.close()


def test_slow_look_up_keeps_no_event_loop_waiting() -> None:
    release = threading.Event()
    names = ClientNames(lambda address: "late" if release.wait(5) else None)

    async def find() -> tuple[list[str | None], float]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        found = await asyncio.gather(*[names.find(ADDRESS) for _ in range(3)])
        return found, loop.time() - started

    found, seconds = asyncio.run(find())
    assert found == [None] * 3
    assert seconds < 1
    release.set()
    names.close()


def test_only_so_many_names_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(client_name, "MAX_NAMES", 2)
    names = ClientNames(lambda address: f"{address}.example.com")
    for number in range(1, 5):
        names(f"93.184.215.{number}")
    assert len(names._known) == 2
    names.close()


def test_only_so_many_look_ups_run(monkeypatch) -> None:
    monkeypatch.setattr(client_name, "MAX_LOOKUPS", 1)
    release = threading.Event()
    asked: list[str] = []

    def look_up(address: str) -> None:
        asked.append(address)
        release.wait(5)

    names = ClientNames(look_up)
    names(ADDRESS)
    names("93.184.215.15")
    assert asked == [ADDRESS]
    release.set()
    names.close()
