"""A page of the documentation as somebody works through it: its commands and files, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.readme import Block, all_blocks, commands_of

# The first line of a block that is a file, or a part of one, names it: `# /etc/nftables.conf`.
FILE = re.compile(r"^# (/\S+)\n")
HEADING = re.compile(r"^##+ (.+)$")


@dataclass(frozen=True)
class Command:
    text: str


@dataclass(frozen=True)
class File:
    path: str
    text: str


@dataclass(frozen=True)
class Other:
    """A block that is neither: an example, or what something prints."""

    text: str


Step = Command | File | Other


@dataclass(frozen=True)
class Section:
    title: str
    steps: tuple[Step, ...]


def sections(page: Path) -> list[Section]:
    """The sections of a page, in order, by the nearest heading."""
    steps: dict[str, list[Step]] = {}
    found = {block.line: block for block in all_blocks(page)}
    title, is_code = "", False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if block := found.get(number):
            steps.setdefault(title, []).extend(_steps(block))
        is_code ^= line.lstrip().startswith("```")
        if not is_code and (heading := HEADING.match(line)):
            title = heading[1]
            steps.setdefault(title, [])
    return [Section(title, tuple(each)) for title, each in steps.items()]


def _steps(block: Block) -> list[Step]:
    if block.language == "console":
        return [Command(line) for line in commands_of(block)]
    if found := FILE.match(block.text):
        return [File(found[1], block.text)]
    return [Other(block.text)]
