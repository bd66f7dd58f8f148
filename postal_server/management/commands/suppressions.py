"""`postal-server suppressions`."""

from __future__ import annotations

import contextlib
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import timedelta
from typing import IO, Any

from django.core.management.base import CommandError
from django.utils import timezone

from postal_server import conf
from postal_server.engine.database import write_transaction
from postal_server.errors import HostileInput
from postal_server.management.base import (
    ServerCommand,
    batches,
    counted,
    moment,
    operation_context,
    server_named,
)
from postal_server.models import Server
from postal_server.rules.suppression import BY_PERSON
from postal_server.services.operations import held, suppression_changes, suppression_list
from postal_server.services.operations.context import OperationContext
from postal_server.services.results import suppression_entries as entries

TOGETHER = 500  # addresses a transaction
BY_COMMAND = "command line"
SUPPRESSED = "address is suppressed.", "addresses are suppressed."


class Command(ServerCommand):
    help = "The recipients that a mail server does not send to: list, add, remove, export and import them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def action(name: str, about: str, *, needs_server: bool) -> ArgumentParser:
            made: ArgumentParser = actions.add_parser(
                name, help=about, description=f"{about[0].upper()}{about[1:]}."
            )
            made.add_argument(
                "--server", metavar="ORG/SERVER", required=needs_server, help="of this mail server"
            )
            return made

        listing = action("list", "who is on the list, and why", needs_server=False)
        listing.add_argument("--search", metavar="TEXT", default="", help="addresses that contain this")
        listing.add_argument("--limit", type=int, default=50, help="addresses shown, 50 by default")
        adding = action("add", "put addresses on the list", needs_server=True)
        adding.add_argument("addresses", nargs="+", metavar="ADDRESS")
        adding.add_argument("--reason", default=BY_PERSON, help="reason to show to senders")
        adding.add_argument("--days", type=int, help="for how many days; by default as configured")
        removing = action("remove", "take addresses off the list", needs_server=True)
        removing.add_argument("addresses", nargs="+", metavar="ADDRESS")
        removing.add_argument(
            "--release", action="store_true", help="and send the mail that is held because of them"
        )
        action("export", "write the list to standard output, as CSV", needs_server=False)
        importing = action(
            "import", "put the addresses of a file on the list: an export, or one a line", needs_server=True
        )
        importing.add_argument("file", help="the file; `-` is standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        server = server_named(options["server"]) if options["server"] else None
        getattr(self, f"_{options['action']}")(server, options)

    def _rows(self, server: Server | None) -> Any:
        rows = entries.standing(timezone.now()).order_by("pk")
        return rows.filter(server_id=server.pk) if server else rows

    def _list(self, server: Server | None, options: dict[str, Any]) -> None:
        now = timezone.now()
        names = {row.pk: str(row) for row in Server.objects.select_related("organization")}
        rows = self._rows(server).filter(key__contains=options["search"].lower())
        self.print_table(
            ("address", "server", "ends", "reason"),
            [
                (row.address, names.get(row.server_id, ""), moment(row.keep_until, now), row.text)
                for row in rows.order_by("-pk")[: options["limit"]]
            ],
        )

    def _add(self, server: Server, options: dict[str, Any]) -> None:
        context = operation_context()
        now = context.now
        days = options["days"]
        until = (
            entries.default_keep_until(context.config, now) if days is None else now + timedelta(days=days)
        )
        wanted = [
            entries.given_entry((server.pk, address), now, keep_until=until, text=options["reason"])
            for address in self._addresses(options)
        ]
        suppression_changes.add(wanted, context)
        self.stdout.write(counted(len(wanted), *SUPPRESSED))

    def _remove(self, server: Server, options: dict[str, Any]) -> None:
        addresses = self._addresses(options)
        context = operation_context()
        wanted = [(server.pk, address) for address in addresses]
        ended = suppression_changes.remove(wanted, context, BY_COMMAND)
        self.stdout.write(
            counted(
                len({row.key for row in ended}),
                "address was removed from the list.",
                "addresses were removed from the list.",
            )
        )
        if waiting := held.waiting_for(server.pk, addresses):
            self._release(waiting, context, options)

    def _release(self, waiting: list[int], context: OperationContext, options: dict[str, Any]) -> None:
        """Send what is held because of them, or say how much that is."""
        if not options["release"]:
            self.stdout.write(
                counted(len(waiting), "held message for it", "held messages for it")
                + "; --release sends them."
            )
            return
        done = self.watched(held.release(waiting, context), len(waiting))
        self.stdout.write(counted(done, "held message released.", "held messages released."))

    def _addresses(self, options: dict[str, Any]) -> list[str]:
        try:
            return [suppression_list.address_in(text) for text in options["addresses"]]
        except ValueError as error:
            raise CommandError(f"{error}.") from error

    def _export(self, server: Server | None, options: dict[str, Any]) -> None:
        suppression_list.write_csv(self._rows(server).iterator(), self.stdout)

    def _import(self, server: Server, options: dict[str, Any]) -> None:
        name = options["file"]
        try:
            with contextlib.nullcontext(sys.stdin) if name == "-" else open(name, encoding="utf-8") as file:
                done = self.watched(self._import_steps(server, file), 0)
        except (HostileInput, UnicodeDecodeError) as error:
            raise CommandError(f"{name}: {error}. The lines above it were imported.") from error
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror}.") from error
        self.stdout.write(counted(done, *SUPPRESSED))

    def _import_steps(self, server: Server, lines: IO[str]) -> Iterator[int]:
        rows = suppression_list.read_csv(lines, server.pk, conf.config(), timezone.now())
        for batch in batches(rows, TOGETHER):
            with write_transaction():
                entries.put(batch)
            yield len(batch)
