"""Where tests are that want more of a machine than a processor: each folder and module in its lane.

`tests/conftest.py` marks them after these tables, and `make test` collects for a lane what is in it.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
# They start servers and daemons of their own, and wait for them most of the time.
DAEMONS = {
    "end_to_end",
    "interop",
    "security/test_advisories.py",
    "security/test_api.py",
    "security/test_memory.py",
    "security/test_smtp.py",
    "security/test_ssrf.py",
    "story",
    "test_benchmarks.py",
    "test_readme.py",
    "postal_server/engine/test_postgresql.py",
}
# They measure a server or flood it: one at a time, on a quiet machine.
MEASURING = {
    "security/test_floods.py",
    "security/test_load.py",
    "security/test_login.py",
    "postal_server/engine/test_database_loss.py",
}
# They wait for clocks and processes most of the time.
FAULTS = {"faults"}

TOGETHER = {"story"}  # the chapters of one story: in one process, in their order


def is_in(places: set[str], place: str) -> bool:
    """Is a module, named from `tests/`, one of these, or in one of these folders?"""
    return place in places or any(place.startswith(f"{folder}/") for folder in places)


def paths(places: set[str]) -> list[str]:
    return sorted(str(HERE / place) for place in places)
