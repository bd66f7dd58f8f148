"""What all tests share."""

from __future__ import annotations

import gc
import inspect
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
# They start daemons, kill processes, or measure a server: one at a time, on a quiet machine, as are tests
# that read a clock (coverage would slow them down).
SERIAL = {"faults", "interop", "security", "story", "end_to_end", "test_benchmarks.py", "test_readme.py"}
# They try many inputs each, start many processes, or let much time pass.
SLOW = {
    "fuzz",
    "anymail_postal/test_time.py",
    "postal_server/admin/test_filters.py",
    "postal_server/runtime/test_process.py",
    "postal_server/test_cli.py",
}


CLOCKS = {"process_time", "perf_counter"}


def bounds_time(function: Any) -> bool:
    """Does this test read a clock, by itself or by a function of its module?"""
    names = set(function.__code__.co_names)
    codes = [getattr(function.__globals__.get(name), "__code__", None) for name in names]
    return bool(CLOCKS & names) or any(CLOCKS & set(code.co_names) for code in codes if code)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(HERE)
        function = inspect.unwrap(getattr(item, "function", pytest_collection_modifyitems))
        if path.parts[0] in SERIAL or bounds_time(function):
            item.add_marker(pytest.mark.serial)
            if path.parts[0] == "faults":
                item.add_marker(pytest.mark.faults)
        is_property = getattr(getattr(item, "function", None), "is_hypothesis_test", False)
        if is_property or path.as_posix() in SLOW or path.parts[0] in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> None:
    """Let the collector pass over what earlier modules left: tests that bound time would pay for it."""
    gc.collect()
    gc.freeze()
