"""What all tests share."""

from __future__ import annotations

import functools
import gc
import inspect
import signal
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from .lanes import HERE, LANES, is_in

# A busy machine is no failure: what must be fast says so itself. `make drills` tries more.
hypothesis.settings.register_profile("suite", max_examples=25, deadline=None)
hypothesis.settings.register_profile("long", max_examples=500, deadline=None)
hypothesis.settings.load_profile("suite")

# A shell has what it runs in the background ignore SIGINT; so would each process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# They try many inputs each, start many processes, or let much time pass. So do tests that read a clock: it is
# that of their own process, so that others may run meanwhile, but not under coverage.
SLOW = {
    "fuzz",
    "story",
    "anymail_postal/test_time.py",
    "test_compose.py",
}
# Slow as well, but what they prove depends on the versions of Python and Django.
VERSIONS = {
    "anymail_postal/store/test_admin.py",
    "anymail_postal/test_backend_both.py",
    "anymail_postal/test_backend_recorded.py",
    "anymail_postal/test_backend_server.py",
    "anymail_postal/test_project.py",
    "anymail_postal/test_reply_corpus.py",
    "postal_server/admin",
    "postal_server/api/test_recorded.py",
    "postal_server/control",
    "postal_server/engine/test_worker.py",
    "postal_server/importing",
    "postal_server/installation/backup/test_archive.py",
    "postal_server/installation/backup/test_making.py",
    "postal_server/installation/backup/test_restoring.py",
    "postal_server/installation/test_vacuum.py",
    "postal_server/management/test_initialize.py",
    "postal_server/runtime/test_process.py",
    "postal_server/smtpd/test_recorded.py",
    "postal_server/test_cli.py",
    "postal_server/test_settings.py",
    "postal_server/transports/http/test_pool.py",
    "postal_server/transports/smtp/test_connect.py",
    "postal_server/transports/smtp/test_pool.py",
    "postal_server/transports/smtp/test_session.py",
    "postal_server/web/test_administration.py",
    "postal_server/web/test_server.py",
    "postal_server/web/test_streaming.py",
}
CLOCK = "process_time"
# What is collected stays to the end: to look whether it can go costs more than all that goes meanwhile.
gc.disable()


@functools.cache
def bounds_time(function: Any) -> bool:
    """Does this test read the clock of its process, by itself or by a function of its module?"""
    names = set(function.__code__.co_names)
    codes = [getattr(function.__globals__.get(name), "__code__", None) for name in names]
    return CLOCK in names or any(CLOCK in code.co_names for code in codes if code)


@functools.cache
def lane_marks(path: Path) -> list[pytest.MarkDecorator]:
    """What marks all tests of a module as those of its lane."""
    place = path.relative_to(HERE).as_posix()
    marks = [getattr(pytest.mark, lane) for lane, places in LANES.items() if is_in(places, place)]
    return [*marks, pytest.mark.serial] if marks else []


@functools.cache
def speed_marks(path: Path) -> list[pytest.MarkDecorator]:
    place = path.relative_to(HERE).as_posix()
    if is_in(VERSIONS, place):
        return [pytest.mark.slow, pytest.mark.versions]
    return [pytest.mark.slow] if is_in(SLOW, place) else []


def uses_database(item: pytest.Item) -> bool:
    """Does this test use the database of the settings, rather than none or one of its own?"""
    return bool(item.get_closest_marker("django_db")) or "django_db_setup" in item.fixturenames


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if uses_database(item):
            item.add_marker(pytest.mark.database)
        if item.get_closest_marker("serial"):
            raise pytest.UsageError(f"{item.nodeid}: tests/lanes.py has no lane for it")
        marks = lane_marks(item.path)
        if not marks and item.get_closest_marker("drill"):
            marks = [pytest.mark.serial]
        function = inspect.unwrap(getattr(item, "function", pytest_collection_modifyitems))
        is_property = getattr(getattr(item, "function", None), "is_hypothesis_test", False)
        is_slow = is_property or bounds_time(function)
        for mark in [*marks, *([pytest.mark.slow] if is_slow else speed_marks(item.path))]:
            item.add_marker(mark)


@pytest.hookimpl(optionalhook=True)  # pytest-xdist may be switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "loadgroup":
        return None
    from .scheduling import LaneScheduling

    return LaneScheduling(config, log)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> None:
    """Let the collector pass over what earlier modules left: tests that bound time would pay for it."""
    gc.collect()
    gc.freeze()
