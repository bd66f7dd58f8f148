"""`python -m tests.fuzz.keep [TARGET ...]`: take a few inputs of the last runs into the corpus.

Of those in `.fuzz`, the fewest that together reach every line that the seeds and the corpus do not.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from .__main__ import WORK
from .targets import TARGETS, Target

MAX_BYTES = 1000
MAX_INPUTS = 25
ROOT = str(Path(__file__).resolve().parents[2])
PACKAGES = (f"{ROOT}/postal_server/", f"{ROOT}/anymail_postal/")

Lines = set[tuple[str, int, int]]  # file, line before, line


def reached(target: Target, data: bytes) -> Lines:
    """The steps from line to line of our packages that an input makes."""
    steps: Lines = set()

    def follow(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGES):
            return None
        last = frame.f_lineno

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            steps.add((name, last, frame.f_lineno))
            last = frame.f_lineno
            return step

        return step

    sys.settrace(follow)
    try:
        target.run(data)
    finally:
        sys.settrace(None)
    return steps


def choose(target: Target) -> list[bytes]:
    """The inputs to keep, those that add most first."""
    known: Lines = set()
    for data in target.inputs():
        known |= reached(target, data)
    found = [file.read_bytes() for file in sorted((WORK / target.name).iterdir())]
    new = {data: reached(target, data) - known for data in found if len(data) <= MAX_BYTES}
    kept: list[bytes] = []
    while new and len(kept) < MAX_INPUTS:
        best = max(new, key=lambda data: (len(new[data]), -len(data)))
        if not new[best]:
            break
        kept.append(best)
        steps = new.pop(best)
        new = {data: own - steps for data, own in new.items()}
    return kept


def main() -> None:
    for name in sys.argv[1:] or TARGETS:
        target = TARGETS[name]
        if not (WORK / name).is_dir():
            continue
        kept = choose(target)
        target.corpus.mkdir(parents=True, exist_ok=True)
        for data in kept:
            (target.corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        print(f"{name}: {len(kept)} inputs")


if __name__ == "__main__":
    main()
