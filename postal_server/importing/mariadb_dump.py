"""Rows of a MariaDB or MySQL dump, as `mariadb-dump` writes them, read statement by statement.

Source: the MariaDB reference on literals: strings in single quotes with backslash escapes or doubled quotes,
`NULL`, numbers, `0x` and `x''` for bytes.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from postal_server.errors import HostileInput

Value = str | bytes | int | float | None
Row = dict[str, Value]

MAX_STATEMENT_CHARACTERS = 256 * 1024 * 1024
CREATE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?`([^`]+)`")
COLUMN = re.compile(r"^\s*`([^`]+)` ", re.MULTILINE)
INSERT = re.compile(
    r"(?:INSERT|REPLACE)(?: IGNORE)? INTO `([^`]+)`\s*(?:\(([^)]*)\))?\s*VALUES\s*", re.DOTALL
)
TOKEN = re.compile(
    r"\s*(?:(?P<string>(?:_binary )?'(?:[^'\\]|\\.|'')*')|(?P<null>NULL)"
    r"|(?P<hex>0x[0-9A-Fa-f]*|x'[0-9A-Fa-f]*')|(?P<number>[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)|(?P<mark>[(),;]))",
    re.DOTALL,
)
ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
END_OF_STATEMENT = re.compile(r";\s*$")


@dataclass(frozen=True)
class Dump:
    """A dump file, gzipped or not."""

    path: Path

    def rows(self, tables: Collection[str]) -> Iterator[tuple[str, Row]]:
        """(table, row) of `tables`. Raises `HostileInput` or `OSError`."""
        opened = gzip.open if self.path.suffix == ".gz" else open
        try:
            with opened(self.path, "rt", encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
                yield from rows(lines, tables)
        except (EOFError, zlib.error) as error:
            raise HostileInput(f"{self.path}: {error}.") from error


def rows(lines: Iterable[str], tables: Collection[str]) -> Iterator[tuple[str, Row]]:
    """The rows of `tables` in the order of the dump, as (table, {column: value}).

    Raises `HostileInput` where a statement of these tables cannot be read.
    """
    columns: dict[str, list[str]] = {}
    for statement in _statements(lines):
        created = CREATE.match(statement)
        if created:
            columns[created[1]] = COLUMN.findall(statement)
            continue
        inserted = INSERT.match(statement)
        if inserted and inserted[1] in tables:
            named = [name.strip(" `") for name in (inserted[2] or "").split(",") if name.strip()]
            for values in _tuples(statement, inserted.end()):
                yield inserted[1], _row(inserted[1], named or columns.get(inserted[1], []), values)


def _statements(lines: Iterable[str]) -> Iterator[str]:
    """Statements that begin a line with CREATE TABLE, INSERT or REPLACE; everything else is passed over."""
    parts: list[str] = []
    size = 0
    for line in lines:
        if not parts and not line.startswith(("CREATE TABLE", "INSERT ", "REPLACE ")):
            continue
        parts.append(line)
        size += len(line)
        if size > MAX_STATEMENT_CHARACTERS:
            raise HostileInput(
                f"A statement of the dump is over {MAX_STATEMENT_CHARACTERS:,} characters long."
            )
        if END_OF_STATEMENT.search(line) and _is_closed("".join(parts)):
            yield "".join(parts)
            parts, size = [], 0
    if parts:
        raise HostileInput("The dump ends within a statement.")


def _is_closed(text: str) -> bool:
    """Is the final semicolon outside of a string?"""
    return not re.sub(r"'(?:[^'\\]|\\.|'')*'", "", text, flags=re.DOTALL).count("'")


def _tuples(statement: str, position: int) -> Iterator[list[Value]]:
    values: list[Value] = []
    while position < len(statement):
        token = TOKEN.match(statement, position)
        if token is None:
            if statement[position:].strip():
                raise HostileInput(
                    f"The dump has something unreadable: {statement[position : position + 40]!r}"
                )
            return
        position = token.end()
        if token["mark"] == "(":
            values = []
        elif token["mark"] == ")":
            yield values
        elif token["mark"] is None:
            values.append(_value(token))


def _value(token: re.Match[str]) -> Value:
    try:
        return _literal(token)
    except ValueError as error:  # half a byte, two points in a number, more digits than Python reads
        raise HostileInput(f"The dump has something unreadable: {token[0][:40]!r}") from error


def _literal(token: re.Match[str]) -> Value:
    if token["null"]:
        return None
    if token["hex"]:
        return bytes.fromhex(token["hex"].removeprefix("0x").removeprefix("x").strip("'"))
    if token["number"]:
        text = token["number"]
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    text = token["string"]
    is_binary = text.startswith("_binary ")
    inner = text.removeprefix("_binary ")[1:-1]
    plain = re.sub(r"\\(.)|''", _unescape, inner, flags=re.DOTALL)
    return plain.encode("utf-8", "surrogateescape") if is_binary else plain


def _unescape(match: re.Match[str]) -> str:
    return "'" if match[0] == "''" else ESCAPES.get(match[1], match[1])


def _row(table: str, columns: list[str], values: list[Value]) -> Row:
    if len(columns) != len(values):
        raise HostileInput(f"{table}: a row has {len(values)} values for {len(columns)} columns.")
    return dict(zip(columns, values, strict=True))
