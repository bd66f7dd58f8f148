"""`python -m tests`: all tests, first those that run in parallel, then those that want a quiet machine.

Arguments are those of pytest: files, folders, `-k name`. The status is 0 if all that they choose passed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

# Which tests, and how they are run: of the serial ones the faults in one process, all others in a second.
PARTS = {"not serial": ("-n", "auto"), "serial": ("-n", "2", "--dist", "loadgroup")}


def run(*words: str) -> int:
    """The status of a run of pytest."""
    return subprocess.run([sys.executable, "-m", "pytest", *words], env=environment(), check=False).returncode


def environment() -> dict[str, str]:
    """Ours, but that compiled code is kept: the tests start Python some hundred times."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def verdict(statuses: Sequence[int]) -> int:
    """The first status that tells of a failure.

    A part of which no test was chosen does not count, unless none was at all.
    """
    ran = [status for status in statuses if status != pytest.ExitCode.NO_TESTS_COLLECTED]
    if not ran:
        return pytest.ExitCode.NO_TESTS_COLLECTED
    return next((status for status in ran if status), pytest.ExitCode.OK)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", dest="marks", default="")
    given, others = parser.parse_known_args(arguments)
    statuses: list[int] = []
    for part, how in PARTS.items():
        marks = f"({given.marks}) and {part}" if given.marks else part
        statuses.append(run(*how, "-m", marks, *others))
        if statuses[-1] == pytest.ExitCode.INTERRUPTED:
            break
    return verdict(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
