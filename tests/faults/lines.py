"""What the processes of a test remember: files of lines, whose fields are separated by tabs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO


class Lines:
    """Appends to a file; a line is there for others once `add` has returned."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("a", encoding="utf-8", buffering=1)

    def add(self, *fields: str) -> None:
        """Append a line: the time (monotonic, the same in all processes), then `fields`."""
        told = "\t".join(" ".join(field.split()) for field in fields)
        self._file.write(f"{time.monotonic():.3f}\t{told}\n")


def read(path: Path) -> list[tuple[float, list[str]]]:
    """The whole lines so far, as (time, fields)."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text("utf-8").rpartition("\n")
    rows = [line.split("\t") for line in whole.splitlines()]
    return [(float(at), fields) for at, *fields in rows]
