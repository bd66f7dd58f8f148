from __future__ import annotations

import threading
import time

import pytest

from postal_server.engine import directory as directories
from postal_server.engine.directory import DirectoryKeeper, touch, version
from postal_server.models import Organization, Server
from postal_server.services.shared.directory import Directory


@pytest.fixture
def keeper(database):
    reads = []

    def read() -> Directory:
        reads.append(1)
        return Directory(version=version())

    keeper = DirectoryKeeper(read)
    keeper.reads = reads
    yield keeper
    keeper.stop()


def test_saving_and_deleting_configuration_counts(database):
    before = version()
    organization = Organization.objects.create(name="x", permalink="x")
    server = Server.objects.create(organization=organization, name="y", permalink="y")
    assert version() == before + 2
    server.delete()
    assert version() > before + 2


def test_a_change_without_signals_is_announced_by_touch(database):
    before = version()
    touch()
    assert version() == before + 1


def test_the_directory_is_read_again_only_when_it_has_changed(keeper):
    first = keeper.refresh()
    assert keeper.refresh() is first
    touch()
    assert keeper.refresh() is not first
    assert len(keeper.reads) == 2


def test_current_follows_within_a_second_and_needs_no_database(keeper):
    keeper.start()
    known = keeper.current().version
    touch()
    ends_at = time.monotonic() + 3
    while keeper.current().version == known and time.monotonic() < ends_at:
        time.sleep(0.02)
    assert keeper.current().version == known + 1


def test_the_latest_follows_at_once(keeper):
    keeper.refresh()
    touch()
    assert keeper.latest().version == keeper.current().version == version()


def test_current_before_the_start_is_a_mistake(keeper):
    with pytest.raises(AssertionError):
        keeper.current()


def test_a_directory_that_cannot_be_read_leaves_the_last_one(database, monkeypatch):
    monkeypatch.setattr(directories, "CHECK_INTERVAL", 0.02)
    failed = threading.Event()

    def read() -> Directory:
        if known:
            failed.set()
            raise ValueError("a row that cannot be understood")
        known.append(1)
        return Directory(version=version())

    known: list[int] = []
    keeper = DirectoryKeeper(read)
    keeper.start()
    first = keeper.current()
    touch()
    assert failed.wait(5)
    assert keeper.current() is first
    assert keeper.latest() is first
    keeper.stop()
