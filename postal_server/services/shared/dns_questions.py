"""What services ask DNS, and what they get: what asks is handed to them as an `Ask`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A name and a record type (`TXT`, `MX`, `CNAME`)."""

    name: str
    kind: str


# The records of each question: none where there are none, None where a name server failed.
Answers = Mapping[Question, Sequence[str] | None]
Ask = Callable[[Sequence[Question]], Answers]
