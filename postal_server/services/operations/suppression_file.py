"""Suppression lists as files: CSV and JSON lines, read and written line by line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TextIO

from postal_server.errors import HostileInput
from postal_server.models import Suppression
from postal_server.rules.suppression import Reason

from .suppression_formats import (
    COLUMNS,
    NEVER,
    SES_REASONS,
    SES_WITHOUT_HEADER,
    SHOWN_CHARACTERS,
    WITHOUT_HEADER,
    BadValue,
    Cells,
    Format,
    Given,
    plain_name,
    required_format,
)

LINE_CHARACTERS = 200_000  # what is beyond is cut: above the bound of Python's CSV for a value
PLAIN_COLUMNS = ("address", "reason")  # of CSV without a header line


@dataclass(frozen=True)
class BadLine:
    """A line that is not taken. `column` is empty where it is about the whole line."""

    number: int
    column: str
    why: str
    text: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.column}{': ' if self.column else ''}{self.why}"


Item = Given | BadLine


# Reading


def read(file: TextIO, reason: Reason | None = None) -> Iterator[Item]:
    """The entries of a list, and between them the lines that have none.

    JSON lines begin with `{`; anything else is CSV, with or without a header line. `reason` is that of all
    entries, instead of what the list says. Raises `HostileInput` for a list whose columns are not known.
    """
    lines = _lines(file)
    start, first = next(((n, line) for n, line in enumerate(lines, 1) if line.strip()), (1, ""))
    if first.lstrip().startswith("["):
        raise HostileInput("a JSON array: write one entry a line, as `jq -c '.[]'` does")
    read_lines = _read_json if first.lstrip().startswith("{") else _read_csv
    yield from read_lines(chain([first] if first else [], lines), start, reason)


def _lines(file: TextIO) -> Iterator[str]:
    """The lines of a file, each of a bounded length."""
    while line := file.readline(LINE_CHARACTERS):
        rest = line
        while len(rest) == LINE_CHARACTERS and rest[-1] != "\n":
            rest = file.readline(LINE_CHARACTERS)
        yield line


def _read_csv(lines: Iterator[str], start: int, reason: Reason | None) -> Iterator[Item]:
    known: Format | None = None
    names: Sequence[str] = ()
    for number, row in _csv_rows(lines, start):
        if isinstance(row, BadLine):
            yield row
            continue
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if known is None:
            known, names = _format_of_first(cells, reason)
            if known.columns:
                continue  # it was the header line
        values = dict(zip(names, cells, strict=False))
        yield _given(number, values, ",".join(row), known, reason)


def _csv_rows(lines: Iterator[str], start: int) -> Iterator[tuple[int, list[str] | BadLine]]:
    """Each row with the number of its first line; quoted values may have line breaks."""
    reader = csv.reader(lines)
    while True:
        first = start + reader.line_num
        try:
            yield first, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = start + reader.line_num - 1
            upto = f", up to line {last}" if last > first else ""
            yield first, BadLine(first, "", f"not CSV: {error}{upto}", "")


def _format_of_first(cells: Sequence[str], reason: Reason | None) -> tuple[Format, Sequence[str]]:
    """The format of a list by its first line, and the names of its columns."""
    if "@" not in "".join(cells):
        names = [plain_name(cell) for cell in cells]
        return required_format(names, reason), names
    if len(cells) == 2 and cells[1] in SES_REASONS:
        return SES_WITHOUT_HEADER, ("emailaddress", "reason")
    return WITHOUT_HEADER, PLAIN_COLUMNS


def _read_json(lines: Iterable[str], start: int, reason: Reason | None) -> Iterator[Item]:
    known: Format | None = None
    names: tuple[str, ...] = ()
    for number, line in enumerate(lines, start):
        if not line.strip():
            continue
        try:
            values = _json_cells(line)
            if known is None or names != tuple(values):
                known, names = required_format(tuple(values), reason), tuple(values)
        except ValueError as error:
            if isinstance(error, HostileInput) and known is None:
                raise
            yield BadLine(number, "", str(error), line)
            continue
        yield _given(number, values, line, known, reason)


def _json_cells(line: str) -> Cells:
    """The values of a JSON object as CSV would have them. Raises ValueError."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    cells = {plain_name(name): _cell(value) for name, value in found.items()}
    if "keepuntil" in cells and cells["keepuntil"] == "":
        cells["keepuntil"] = NEVER
    return cells


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else str(value)


def _given(number: int, cells: Cells, line: str, known: Format, reason: Reason | None) -> Given | BadLine:
    if not "".join(cells.values()).isascii():
        for name, value in cells.items():
            if not _is_unicode(value):
                return BadLine(number, name, f"{value[:SHOWN_CHARACTERS]!r} is not UTF-8", line)
    try:
        given = known.read(cells)
    except BadValue as error:
        return BadLine(number, error.column, error.why, line)
    return given if reason is None else given._replace(reason=reason)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# Writing


def record(entry: Suppression, servers: Mapping[int, str]) -> dict[str, Any]:
    """An entry as JSON has it; `servers` are the names of mail servers by their ids."""
    return {
        "server": servers.get(entry.server_id, str(entry.server_id)),
        "address": entry.address,
        "reason": entry.reason,
        "text": entry.text,
        "scope": entry.scope,
        "created_at": entry.created_at.isoformat(),
        "keep_until": entry.keep_until.isoformat() if entry.keep_until else None,
        "times": entry.times,
        "state": entry.state,
        "ended_at": entry.ended_at.isoformat() if entry.ended_at else None,
        "code": entry.code,
        "rule": entry.rule,
        "answer": entry.answer,
    }


def csv_lines(entries: Iterable[Suppression], servers: Mapping[int, str]) -> Iterator[str]:
    """Entries as CSV, the header line first; an entry without end is kept until `never`."""
    line = _Line()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(COLUMNS)
    yield line.text
    for entry in entries:
        values = record(entry, servers)
        values["keep_until"] = values["keep_until"] or NEVER
        writer.writerow(values.values())
        yield line.text


def json_lines(entries: Iterable[Suppression], servers: Mapping[int, str]) -> Iterator[str]:
    """Entries as JSON, one a line."""
    for entry in entries:
        yield json.dumps(record(entry, servers), ensure_ascii=False) + "\n"


class _Line:
    """A file of the last line that was written."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


WRITERS = {"csv": csv_lines, "jsonl": json_lines}
