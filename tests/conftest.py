"""What all tests share."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# They start daemons, kill processes, or measure a server: one at a time, on a quiet machine.
SERIAL = {"faults", "interop", "security", "story", "end_to_end", "test_benchmarks.py", "test_readme.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(HERE).parts[0] in SERIAL:
            item.add_marker(pytest.mark.serial)


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> None:
    """Let the collector pass over what earlier modules left: tests that bound time would pay for it."""
    gc.collect()
    gc.freeze()
