"""`python -m tests.fuzz --seconds 600 [TARGET ...]`: fuzz each target for that long, one after the other.

With Atheris installed the search is guided by coverage, and inputs that reach something new are kept in
`.fuzz/<target>` for the next run; else hypothesis changes the kept inputs. What fails is written to the
target's corpus, where the test suite finds it until it is mended.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

from .search import search_for
from .targets import TARGETS, Target

MAX_INPUT_BYTES = 4096
INPUT_SECONDS = 10  # one input that takes longer is a finding
MEMORY_MB = 2048
WORK = Path(".fuzz")


def guided(target: Target, seconds: int) -> bool:
    """Run libFuzzer; false if it found something, which it has printed."""
    found, work = target.corpus, WORK / target.name
    found.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.inputs()):
        (work / f"seed-{number}").write_bytes(data)
    words = WORK / f"{target.name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in (*target.words, b"\r\n")), "ascii")
    command = [
        sys.executable, "-m", "tests.fuzz.coverage", target.name, str(work),
        f"-max_total_time={seconds}", f"-max_len={MAX_INPUT_BYTES}", f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={found}/", f"-dict={words}", "-print_final_stats=1",
    ]  # fmt: skip
    return subprocess.run(command, check=False).returncode == 0


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def by_hypothesis(target: Target, seconds: int) -> bool:
    try:
        print(f"{search_for(target, seconds):,} inputs", flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ()), sep="\n", flush=True)
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="all of them if none is named")
    given = parser.parse_args()
    fuzz = guided if importlib.util.find_spec("atheris") else by_hypothesis
    names, failed = given.targets or list(TARGETS), []
    for name in names:
        print(f"== {name} ({fuzz.__name__})", flush=True)
        if not fuzz(TARGETS[name], given.seconds):
            failed.append(name)
    print(
        f"== {len(given.targets or TARGETS) - len(failed)} targets without findings; with: {failed or 'none'}"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
