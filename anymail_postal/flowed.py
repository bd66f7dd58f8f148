"""Text in format=flowed: lines that were broken only for old programs (RFC 3676)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

SIGNATURE = "-- "  # begins a signature, and is a line of its own (section 4.3)


def join_lines(text: str, *, delsp: bool = False) -> str:
    """The text with its paragraphs in one line each, LF line ends; quoted ones begin with their ">".

    With `delsp` the blank that marks a line as broken is none of the text.
    """
    lines = [_read(line) for line in text.split("\n")]
    joined: list[str] = []
    for depth, group in groupby(lines, key=lambda line: line[0]):
        marks = ">" * depth
        for paragraph in _paragraphs([content for _, content in group], delsp):
            joined.append(f"{marks} {paragraph}" if marks and paragraph else marks + paragraph)
    return "\n".join(joined)


def _read(line: str) -> tuple[int, str]:
    """How deep a line is quoted, and its content without the blank that was stuffed in."""
    content = line.lstrip(">")
    return len(line) - len(content), content.removeprefix(" ")


def _paragraphs(lines: list[str], delsp: bool) -> Iterator[str]:
    """The paragraphs of lines that are quoted equally deep."""
    pieces: list[str] = []
    for line in lines:
        if line in ("", SIGNATURE) and pieces:  # some programs leave the blank before an empty line
            yield "".join(pieces)
            pieces = []
        is_broken = line.endswith(" ") and line != SIGNATURE
        pieces.append(line[:-1] if is_broken and delsp else line)
        if not is_broken:
            yield "".join(pieces)
            pieces = []
    if pieces:
        yield "".join(pieces)
