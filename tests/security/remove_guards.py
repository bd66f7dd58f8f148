"""Remove each guard of the security cases, one at a time, and expect the tests of its case to notice.

Works on a copy of the checkout. A test that fails is what is expected; a guard that can go without one ends
it with status 1. The cases and their guards are in `tests/security/index.py`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from .index import ATTACKS, CASES, Case, Guard

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
SOME_FAILED = 1  # pytest's exit status; others say that it could not run the tests
PATIENCE = 600  # seconds for the tests of one case
FAILED = re.compile(r"^FAILED \S+?::(.+?)(?: - .*)?$", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.security.remove_guards",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="only cases with one of these words")
    words = [word.lower() for word in parser.parse_args().words]
    chosen = {
        name: case for name, case in CASES.items() if not words or any(word in name.lower() for word in words)
    }
    if not chosen:
        parser.error(f"no case has {' or '.join(words)} in its name")
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        tree = Path(folder) / "checkout"
        shutil.copytree(ROOT, tree, ignore=NOT_COPIED)
        unnoticed = [
            name
            for number, (name, case) in enumerate(chosen.items(), 1)
            if not is_held(case, tree, f"[{number}/{len(chosen)}] {name}")
        ]
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} cases are held by their tests.")
    for name in unnoticed:
        print(f"not held: {name}")
    return 1 if unnoticed else 0


def is_held(case: Case, tree: Path, title: str) -> bool:
    """Does a test of the case fail without its guard, without each of them where there are several?"""
    print(f"{title} ... ", end="", flush=True)
    began = time.monotonic()
    told = [what_fails(case, guard, tree) for guard in case.guards]
    print(f"{'red' if all(told) else 'GREEN'}, {time.monotonic() - began:.0f} s", flush=True)
    for guard, test in zip(case.guards, told, strict=True):
        if test:
            print(f"    {test}")
        else:
            print(f"    nothing fails without this in {guard.path}: {guard.code.strip()}")
    return all(told)


def what_fails(case: Case, guard: Guard, tree: Path) -> str:
    """The first of its tests that fails in `tree` without the guard, and not with it; empty if none does."""
    path = tree / guard.path
    text = path.read_text("utf-8")
    path.write_text(guard.removed_from(text), "utf-8")
    try:
        status, said = run_tests(case.tests, tree, "--cache-clear")
    finally:
        path.write_text(text, "utf-8")
    found = FAILED.search(said)
    if status == SOME_FAILED and found:
        files = {test.partition("::")[0] for test in case.tests}
        status, said = run_tests(files, tree, "--last-failed")
        if not status:
            return found[1]
    if status:
        print(f"\n{said[-3000:]}\npytest ended with {status}", file=sys.stderr)
    return ""


def run_tests(tests: Iterable[str], tree: Path, *options: str) -> tuple[int, str]:
    """Pytest's exit status and what it said; tests of a running server come last, as they take longest.

    All that they start imports the packages from `tree`. What hangs is ended with all its processes.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", *options]
    process = subprocess.Popen(
        [*command, *sorted(tests, key=lambda test: test.startswith(ATTACKS))],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return -signal.SIGKILL, f"no end after {PATIENCE} s"
        raise
    return process.returncode, said


if __name__ == "__main__":
    sys.exit(main())
