"""`python -m tests`: all tests but those of the system and the drills, in parallel, then those with daemons.

With `--system` those with other people's programs, faults and floods, the last one by one; with `--all` both.
Arguments are those of pytest: files, folders, `-k name`. The status is 0 if all that they choose passed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from .lanes import LANES, paths

# Tests that wait for daemons leave much of a processor to others.
WAITING_AT_A_TIME = 2 * (os.cpu_count() or 1)


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
    parser.add_argument("--system", action="store_true")
    parser.add_argument("--all", action="store_true")
    given, others = parser.parse_known_args(arguments)

    def chosen(*lanes: str) -> list[str]:
        marks = f"({' or '.join(lanes) or 'not serial'}) and not drill"
        found = [] if names_files(others) else [path for lane in lanes for path in paths(LANES[lane])]
        return ["-m", f"({given.marks}) and {marks}" if given.marks else marks, *others, *found]

    def waiting(*lanes: str) -> list[str]:
        return ["-n", str(WAITING_AT_A_TIME), "--dist", "loadgroup", *chosen(*lanes)]

    statuses: list[int] = []
    if not given.system:
        statuses.append(run("-n", "auto", *chosen()))
    if pytest.ExitCode.INTERRUPTED in statuses:
        return verdict(statuses)
    if not given.system and not given.all:
        return verdict([*statuses, run(*waiting("daemons"))])
    lanes = ["interop"] if given.system else ["daemons", "interop"]
    statuses += run_together(waiting(*lanes), chosen("faults"))
    if pytest.ExitCode.INTERRUPTED not in statuses:
        statuses.append(run(*chosen("measuring")))
    return verdict(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
