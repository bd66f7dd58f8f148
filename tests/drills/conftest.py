"""Prints what drills have to tell, at the end, where it is not lost among the tests' own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .transcript import Transcript

TRANSCRIPTS: list[Transcript] = []


@pytest.fixture(scope="module")
def transcribe() -> Callable[[str], Transcript]:
    """Begin a transcript, which is printed however the test ends."""

    def begin(title: str) -> Transcript:
        TRANSCRIPTS.append(Transcript(title))
        return TRANSCRIPTS[-1]

    return begin


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for transcript in TRANSCRIPTS:
        terminalreporter.write_line(f"\n{transcript}\n")
