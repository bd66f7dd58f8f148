from __future__ import annotations

from postal_server.engine import sources
from postal_server.engine.sources import LocalSources, is_local
from postal_server.services.shared import ip_pool
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import Source, SourceEntry
from tests.each import each
from tests.fakes import NOW

HERE, THERE = Source("127.0.0.1", "", "a.example"), Source("192.0.2.77", "", "b.example")


def directory(version=1, **entries) -> Directory:
    found = {
        number: SourceEntry(number, 1, source, 100) for number, source in enumerate(entries.values(), start=1)
    }
    return Directory(version, sources=found)


@each(
    "source, here",
    [
        (HERE, True),
        (THERE, False),
        (Source("127.0.0.1", "2001:db8::77"), False),
        (Source(ipv6="2001:db8::77"), False),
    ],
)
def test_an_address_that_can_be_bound_is_here(source, here):
    assert is_local(source) is here


def test_mail_that_is_bound_to_an_address_of_another_machine_is_left_to_it():
    local = LocalSources(lambda: directory(here=HERE, there=THERE), use_pools=True)
    assert local(NOW) == {0: None, 1: None}


def test_without_pools_there_is_one_source():
    local = LocalSources(lambda: directory(here=HERE), use_pools=False)
    assert local(NOW) == {0: None}


def test_addresses_are_looked_for_again_when_the_directory_changes(monkeypatch):
    asked = []
    monkeypatch.setattr(sources, "is_local", lambda source: asked.append(source) or True)
    current = directory(here=HERE)
    local = LocalSources(lambda: current, use_pools=True)
    local(NOW)
    local(NOW)
    assert asked == [HERE]
    current = directory(2, here=HERE, there=THERE)
    assert local(NOW) == {0: None, 1: None, 2: None}


def test_what_new_addresses_may_still_send_is_reported(monkeypatch):
    monkeypatch.setattr(ip_pool, "left_today", lambda entries, now: {entry.id: 50 for entry in entries})
    local = LocalSources(lambda: directory(here=HERE), use_pools=True)
    assert local(NOW) == {0: None, 1: 50}


def test_an_address_that_came_or_went_is_noticed_within_a_minute(monkeypatch):
    here = {HERE}
    now = [1000.0]
    monkeypatch.setattr(sources, "is_local", lambda source: source in here)
    local = LocalSources(lambda: directory(here=HERE, there=THERE), use_pools=True, clock=lambda: now[0])
    assert local(NOW) == {0: None, 1: None}
    here.add(THERE)
    here.remove(HERE)
    now[0] += 59
    assert local(NOW) == {0: None, 1: None}
    now[0] += 1
    assert local(NOW) == {0: None, 2: None}


@each("number, address", [(0, ""), (1, "127.0.0.1"), (2, "2001:db8::77"), (3, "192.0.2.77"), (9, "")])
def test_the_address_of_a_source(number, address):
    six, both = Source(ipv6="2001:db8::77"), Source("192.0.2.77", "2001:db8::77")
    local = LocalSources(lambda: directory(here=HERE, six=six, both=both), use_pools=True)
    assert local.address_of(number) == address
