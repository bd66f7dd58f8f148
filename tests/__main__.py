"""`python -m tests`: all tests but the drills: first in parallel, then those of each lane (`lanes.py`).

Arguments are those of pytest: files, folders, `-k name`. The status is 0 if all that they choose passed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from .lanes import DAEMONS, FAULTS, MEASURING, paths


def run(*words: str) -> int:
    """The status of a run of pytest."""
    return subprocess.run(command(*words), check=False).returncode


def run_together(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """The statuses of two runs at a time. What the second one prints follows on what the first one prints."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command(*second), stdout=output, stderr=output)
        try:
            statuses = [run(*first), process.wait()]
        finally:
            process.terminate()
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return statuses


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *words]


def verdict(statuses: Sequence[int]) -> int:
    """The first status that tells of a failure.

    A part of which no test was chosen does not count, unless none was at all.
    """
    ran = [status for status in statuses if status != pytest.ExitCode.NO_TESTS_COLLECTED]
    if not ran:
        return pytest.ExitCode.NO_TESTS_COLLECTED
    return next((status for status in ran if status), pytest.ExitCode.OK)


def names_files(words: Sequence[str]) -> bool:
    """Do these arguments choose files or folders? Otherwise each lane collects its own, which is quicker."""
    return any(Path(word.partition("::")[0]).exists() for word in words)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", dest="marks", default="")
    given, others = parser.parse_known_args(arguments)

    def chosen(part: str, places: set[str] | None = None) -> list[str]:
        found = paths(places) if places and not names_files(others) else []
        return ["-m", f"({given.marks}) and {part}" if given.marks else part, *others, *found]

    statuses = [run("-n", "auto", *chosen("not serial and not drill"))]
    if statuses[0] != pytest.ExitCode.INTERRUPTED:
        daemons = ["-n", "auto", "--dist", "loadgroup", *chosen("daemons and not drill", DAEMONS)]
        statuses += run_together(daemons, chosen("faults and not drill", FAULTS))
    if pytest.ExitCode.INTERRUPTED not in statuses:
        measuring = chosen("serial and not daemons and not faults and not drill", MEASURING)
        statuses.append(run(*measuring))
    return verdict(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
