"""What commands share that set up organizations, mail servers and what those have."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from postal_server.management.base import ServerCommand

YES_OR_NO = ("yes", "no")


class ValuesCommand(ServerCommand):
    """A command that shows rows, as tables or as JSON. `columns` are the values in the table."""

    columns: Sequence[str] = ()

    def print_rows(self, rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
        if as_json:
            return self.print_json(list(rows))
        lines = [[_text(row[name]) for name in self.columns] for row in rows]
        return self.print_table([name.replace("_", " ") for name in self.columns], lines)

    def print_row(self, row: Mapping[str, Any], *, as_json: bool) -> None:
        """One row: a line for each value that is set."""
        if as_json:
            return self.print_json(row)
        given = {name.replace("_", " "): _text(value) for name, value in row.items()}
        width = max(map(len, given))
        for name, text in given.items():
            if text:
                self.stdout.write(f"{name:<{width}}  {text}")
        return None


def add_options(
    parser: ArgumentParser, about: Mapping[str, str], flags: Mapping[str, str] | None = None
) -> None:
    """An option for each value: of texts in `about`, of yes or no in `flags`, each with its help."""
    for name, text in about.items():
        parser.add_argument(_option(name), metavar=name.rpartition("_")[2].upper(), help=text)
    for name, text in (flags or {}).items():
        parser.add_argument(_option(name), choices=YES_OR_NO, help=text)


def given(options: Mapping[str, Any], about: Iterable[str], flags: Iterable[str] = ()) -> dict[str, Any]:
    """The values whose options were given, by name. An empty text is None where that can be stored."""
    texts = {name: options[name] for name in about if options.get(name) is not None}
    return texts | {name: options[name] == "yes" for name in flags if options.get(name) is not None}


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    return f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "strftime") else str(value)
