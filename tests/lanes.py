"""Where tests are that want more of a machine than a processor: each folder and module in its lane.

`tests/conftest.py` marks them with the name of their lane; `python -m tests` collects each lane by itself.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
LANES = {
    # They start servers of ours, and wait for them most of the time.
    "daemons": {
        "end_to_end",
        "postal_server/engine/test_postgresql.py",
        "postal_server/installation/backup/test_postgresql.py",
        "security/test_advisories.py",
        "security/test_api.py",
        "security/test_memory.py",
        "security/test_smtp.py",
        "security/test_ssrf.py",
        "story",
        "test_backups.py",
        "test_benchmarks.py",
        "test_readme.py",
    },
    # They start other people's programs as well.
    "interop": {"interop"},
    # They wait for clocks and processes most of the time.
    "faults": {"faults"},
    # They measure a server or flood it: one at a time, on a quiet machine.
    "measuring": {
        "postal_server/engine/test_database_loss.py",
        "security/test_floods.py",
        "security/test_load.py",
        "security/test_login.py",
        "security/test_memory_of_ways.py",
        "test_compare.py",
    },
}
TOGETHER = {"story"}  # the chapters of one story: in one process, in their order
APART = {"story/test_9_production.py"}  # but for the chapter that begins anew
# What is begun first, or nothing would run beside the end of it.
LONGEST = [
    "story",
    "story/test_9_production.py",
    "test_readme.py",
    "end_to_end/test_suppression.py",
    "test_backups.py",
]


def is_in(places: set[str], place: str) -> bool:
    """Is a module, named from `tests/`, one of these, or in one of these folders?"""
    return place in places or any(place.startswith(f"{folder}/") for folder in places)


def group_of(place: str) -> str:
    """Whose tests share what is costly to set up, in one process: a module's, or those of a whole folder."""
    folder = place.partition("/")[0]
    return folder if folder in TOGETHER and place not in APART else place


def paths(places: set[str]) -> list[str]:
    return sorted(str(HERE / place) for place in places)
