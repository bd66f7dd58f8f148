"""The targets by name.

A target takes bytes, gives them to parsers, and raises what is a finding: any exception but those a parser
documents, or a broken promise (`assert`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

CORPUS = Path(__file__).resolve().parent.parent / "corpus"

Run = Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    """`seeds` are valid inputs to begin with, `words` are texts that the format gives a meaning to."""

    name: str
    run: Run
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()

    @property
    def corpus(self) -> Path:
        return CORPUS / self.name

    def inputs(self) -> Iterator[bytes]:
        """The seeds, then the kept inputs in a fixed order."""
        yield from self.seeds
        for file in sorted(self.corpus.iterdir()) if self.corpus.is_dir() else ():
            yield file.read_bytes()


TARGETS: dict[str, Target] = {}


def target(seeds: Sequence[bytes], words: Sequence[bytes] = ()) -> Callable[[Run], Run]:
    """Make a function a target, which has its name."""

    def register(run: Run) -> Run:
        TARGETS[run.__name__] = Target(run.__name__, run, tuple(seeds), tuple(words))
        return run

    return register


def pieces(data: bytes) -> Iterator[bytes]:
    """`data` cut into pieces, always the same way: what a slow network does. They have a few bytes each.

    Those of long data are larger, so that there are no more than some 2000: enough for square work to show.
    """
    size = max(1 + len(data) % 7, len(data) // 2000)
    for start in range(0, len(data), size):
        yield data[start : start + size]


from . import edges, library, mail  # noqa: E402, F401 - they register themselves
