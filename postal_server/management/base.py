"""What the commands share: a short help, progress, tables, and one error for a database that is not ready."""

from __future__ import annotations

import getpass
import json
import os
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from unicodedata import category

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from postal_server import conf
from postal_server.engine.database import unusable, write_transaction
from postal_server.errors import ChangedMeanwhile, InvalidValues, NotAllowed, NotFound
from postal_server.models import Organization, Server
from postal_server.rules.access import Actor
from postal_server.services.operations.context import OperationContext
from postal_server.services.shared.loader import load

from .plain import PlainCommand

PROGRESS_INTERVAL = 2.0  # seconds between lines about the progress of long work
COLUMN_WIDTH = 60
UNPRINTABLE = ("Cc", "Cs")  # control characters, and bytes of file names that are not UTF-8


class ServerCommand(PlainCommand):
    """A command that works with the database."""

    needs_database = True

    def execute(self, *args: Any, **options: Any) -> Any:
        if self.needs_database:
            require_current_database()
        try:
            return super().execute(*args, **options)
        except InvalidValues as error:
            raise CommandError("\n".join(_as_options(error.problems))) from error
        except (NotAllowed, NotFound, ChangedMeanwhile) as error:
            raise CommandError(str(error)) from error

    @staticmethod
    def actions_of(parser: ArgumentParser, about: Mapping[str, str]) -> Iterator[tuple[str, ArgumentParser]]:
        """A parser for each action of the command; `about` is the help of each."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, text in about.items():
            yield name, actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    def watched(self, steps: Iterable[int], expected: int | None) -> int:
        """Run all steps of long work and report progress. Returns the number of items done.

        None: nobody knows how many are expected.
        """
        done, reported_at = 0, time.monotonic()
        for count in steps:
            done += count
            if time.monotonic() - reported_at >= PROGRESS_INTERVAL:
                reported_at = time.monotonic()
                self.stderr.write(f"{done:,}" if expected is None else f"{done:,} of {expected:,}")
        return done

    def print_json(self, value: Any) -> None:
        """Print for programs; times as ISO 8601."""
        self.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_json))

    def print_table(self, titles: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
        """Print columns as wide as their content, but no wider than 60 characters."""
        cells = [titles, *([_cell(value) for value in line] for line in lines)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self.stdout.write("  ".join(padded).rstrip())


def _as_options(problems: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A line for each sentence about a value, by the name of its option."""
    for name, texts in problems.items():
        option = f"--{name.replace('_', '-')}: " if name else ""
        yield from (f"{option}{text}" for text in texts)


def _json(value: datetime) -> str:
    return value.isoformat()


def _cell(value: Any) -> str:
    """In one line, without what would command the terminal: it may have come from a stranger."""
    words = " ".join(str(value).split())
    text = "".join("\N{REPLACEMENT CHARACTER}" if category(each) in UNPRINTABLE else each for each in words)
    return text if len(text) <= COLUMN_WIDTH else text[: COLUMN_WIDTH - 1] + "…"


def counted(number: int, one: str, more: str) -> str:
    """`1 message waits`, `1,234 messages wait`."""
    return f"{number:,} {one if number == 1 else more}"


def span(time_between: timedelta) -> str:
    """A length of time in its two largest units: `3 d 4 h`, `12 s`."""
    seconds = max(0, int(time_between.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def moment(at: datetime | None, now: datetime) -> str:
    """How soon a time comes, as seen from `now`; empty for None."""
    return "" if at is None else ("now" if at <= now else f"in {span(at - now)}")


def server_named(text: str) -> Server:
    """The mail server with this `organization/server`, token or number. Raises `CommandError` without one."""
    owner, slash, name = text.partition("/")
    alive = Server.objects.filter(deleted_at=None)
    if slash:
        server = alive.filter(organization__permalink=owner, permalink=name).first()
    elif text.isascii() and text.isdigit():
        server = alive.filter(pk=int(text[:18])).first()
    else:
        server = alive.filter(token=text).first()
    if server is None:
        known = ", ".join(str(each) for each in alive.select_related("organization")[:20])
        raise CommandError(f"There is no mail server {text}. There are: {known or 'none'}.")
    return server


def organization_named(text: str) -> Organization:
    """The organization with this permalink or number. Raises `CommandError` without one."""
    alive = Organization.objects.filter(deleted_at=None)
    by = {"pk": int(text[:18])} if text.isascii() and text.isdigit() else {"permalink": text}
    found = alive.filter(**by).first()
    if found is None:
        known = ", ".join(alive.values_list("permalink", flat=True)[:20])
        raise CommandError(f"There is no organization {text}. There are: {known or 'none'}.")
    return found


def server_names() -> dict[int, str]:
    """`organization/server` of all mail servers by their ids, deleted ones included."""
    return {row.pk: str(row) for row in Server.objects.select_related("organization")}


def operation_context() -> OperationContext:
    """What an operation is given. Reads the directory. Whoever may run commands may do everything."""
    actor = Actor(f"{_user()} on the command line", is_administrator=True)
    return OperationContext(actor, conf.config(), timezone.now(), load(), write_transaction)


def _user() -> str:
    """The name of the user of the operating system, or its number: containers have users without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def bring_database_up_to_date(verbosity: int) -> None:
    """Apply the missing migrations. Raises `CommandError` if the database cannot be used."""
    try:
        call_command("migrate", verbosity=verbosity, interactive=False)
    except DatabaseError as error:
        raise _unusable(error) from error


def require_current_database() -> None:
    """Raise `CommandError` if the database cannot be reached or lacks a migration."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise _unusable(error) from error
    if not executor.loader.applied_migrations:
        raise CommandError("The database is empty. Run `postal-server initialize` first.")
    if missing:
        raise CommandError(
            f"The database lacks {counted(len(missing), 'migration', 'migrations')}. "
            "Run `postal-server upgrade` first."
        )


def _unusable(error: DatabaseError) -> CommandError:
    return CommandError(unusable(error, conf.config()))
