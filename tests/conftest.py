"""What all tests share."""

from __future__ import annotations

import functools
import gc
import inspect
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
# They start servers and daemons of their own, and wait for them most of the time.
DAEMONS = {"interop", "security", "story", "end_to_end", "test_readme.py"}
# They measure a server or flood it, as do tests that read a clock: one at a time, on a quiet machine.
MEASURING = {
    "security/test_floods.py",
    "security/test_load.py",
    "security/test_login.py",
    "security/test_memory.py",
    "test_benchmarks.py",
}
# They try many inputs each, start many processes, or let much time pass.
SLOW = {
    "fuzz",
    "story",
    "anymail_postal/test_time.py",
    "postal_server/admin/test_filters.py",
    "postal_server/runtime/test_process.py",
    "postal_server/test_cli.py",
}
TOGETHER = {"story"}  # the chapters of one story: in one process, in their order

CLOCKS = {"process_time", "perf_counter"}


@functools.cache
def bounds_time(function: Any) -> bool:
    """Does this test read a clock, by itself or by a function of its module?"""
    names = set(function.__code__.co_names)
    codes = [getattr(function.__globals__.get(name), "__code__", None) for name in names]
    return bool(CLOCKS & names) or any(CLOCKS & set(code.co_names) for code in codes if code)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places: dict[Path, tuple[str, str]] = {}
    for item in items:
        if item.path not in places:
            path = item.path.relative_to(HERE)
            places[item.path] = path.parts[0], path.as_posix()
        top, place = places[item.path]
        if item.get_closest_marker("drill"):
            item.add_marker(pytest.mark.serial)
        function = inspect.unwrap(getattr(item, "function", pytest_collection_modifyitems))
        if top == "faults":
            item.add_marker(pytest.mark.serial)
            item.add_marker(pytest.mark.faults)
        elif place in MEASURING or bounds_time(function):
            item.add_marker(pytest.mark.serial)
        elif top in DAEMONS:
            item.add_marker(pytest.mark.serial)
            item.add_marker(pytest.mark.daemons)
            item.add_marker(pytest.mark.xdist_group(top if top in TOGETHER else place))
        is_property = getattr(getattr(item, "function", None), "is_hypothesis_test", False)
        if is_property or place in SLOW or top in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> None:
    """Let the collector pass over what earlier modules left: tests that bound time would pay for it."""
    gc.collect()
    gc.freeze()
