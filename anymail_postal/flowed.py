"""Join the lines of text in format=flowed (RFC 3676)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

SIGNATURE = "-- "  # the line before a signature, which is never joined (section 4.3)


def join_lines(text: str, *, delsp: bool = False) -> str:
    """The text with one line for each paragraph, and LF line endings. Quoted lines begin with their ">".

    With `delsp`, the space that marks a line as flowed is not part of the text.
    """
    lines = [_read(line) for line in text.split("\n")]
    joined: list[str] = []
    for depth, group in groupby(lines, key=lambda line: line[0]):
        marks = ">" * depth
        for paragraph in _paragraphs([content for _, content in group], delsp):
            joined.append(f"{marks} {paragraph}" if marks and paragraph else marks + paragraph)
    return "\n".join(joined)


def _read(line: str) -> tuple[int, str]:
    """The quote depth of a line, and its content without the stuffed space."""
    content = line.lstrip(">")
    return len(line) - len(content), content.removeprefix(" ")


def _paragraphs(lines: list[str], delsp: bool) -> Iterator[str]:
    """The paragraphs in lines of one quote depth."""
    pieces: list[str] = []
    for line in lines:
        if line in ("", SIGNATURE) and pieces:  # some programs leave the space before an empty line
            yield "".join(pieces)
            pieces = []
        is_broken = line.endswith(" ") and line != SIGNATURE
        pieces.append(line[:-1] if is_broken and delsp else line)
        if not is_broken:
            yield "".join(pieces)
            pieces = []
    if pieces:
        yield "".join(pieces)
