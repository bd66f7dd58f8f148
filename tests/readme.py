"""What the tests of README and documentation read: Markdown pages, their code and their commands."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block of a page: its language, its text, and the line it begins on."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def all_blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(page, found[2], textwrap.dedent(found[3]), text.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(text)
    ]


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of a page in one language, in order."""
    return [block for block in all_blocks(page) if block.language == language]


def commands_of(block: Block) -> list[str]:
    """The commands that a block shows, as they are typed: lines that begin with `$`."""
    return [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]


def command_lines(page: Path) -> list[str]:
    """Each command that a page shows."""
    return [line for block in blocks(page, "console") for line in commands_of(block)]


def commands(page: Path) -> list[list[str]]:
    """The words of each command that a page shows."""
    return [shlex.split(line, comments=True) for line in command_lines(page)]


def rows(page: Path, first: str) -> list[list[str]]:
    """The rows of those tables of a page whose first heading is `first`, as cells."""
    found: list[list[str]] = []
    heading: list[str] | None = None
    for line in page.read_text("utf-8").splitlines():
        if not line.startswith("|"):
            heading = None
            continue
        cells = [cell.strip() for cell in line.rstrip()[1:-1].split("|")]
        if heading is None:
            heading = cells
        elif heading[0] == first and set(cells[0]) != {"-"}:
            found.append(cells)
    return found
