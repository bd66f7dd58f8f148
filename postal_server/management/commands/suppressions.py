"""`postal-server suppressions`."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import CommandError
from django.db.models import QuerySet
from django.utils import timezone

from postal_server import conf
from postal_server.engine.database import write_transaction
from postal_server.errors import HostileInput
from postal_server.management import arguments
from postal_server.management.base import (
    ServerCommand,
    counted,
    moment,
    operation_context,
    server_named,
    server_names,
)
from postal_server.models import Server, Suppression
from postal_server.rules.suppression import Reason
from postal_server.services.operations import (
    held,
    suppression_changes,
    suppression_file,
    suppression_import,
    suppression_list,
)
from postal_server.services.operations.suppression_file import BadLine
from postal_server.services.operations.suppression_formats import address_in
from postal_server.services.operations.suppression_list import MOST_CHECKED, ListFilter
from postal_server.services.results import suppression_entries as entries
from postal_server.services.shared.rows import chunks

TOGETHER = 500  # addresses a transaction
BY_COMMAND = "command line"
SUPPRESSED = "address is suppressed.", "addresses are suppressed."
SHOWN_BAD_LINES = 20
WRITTEN_TOGETHER = 2000  # lines of an export
ACTIONS = {
    "list": "who is on the list, and why, the newest first",
    "add": "put addresses on the list",
    "remove": "take addresses off the list",
    "check": f"whom mail would not be sent to, and why; up to {MOST_CHECKED} addresses",
    "history": "all that is remembered of an address, ended entries and failures included",
    "export": "write the list to standard output",
    "import": "put the addresses of a file on the list: an export of this or another service, or one a line",
}
NEED_SERVER = ("add", "remove", "check", "import")
REASONS = tuple(reason.value for reason in Reason)


class Command(ServerCommand):
    help = "The recipients that a mail server does not send to."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            action.add_argument(
                "--server", metavar="ORG/SERVER", required=name in NEED_SERVER, help="of this mail server"
            )
            if name not in ("export", "import"):
                action.add_argument("--json", action="store_true", help="print it for programs")
            getattr(self, f"_arguments_of_{name}")(action)

    def _arguments_of_list(self, action: ArgumentParser) -> None:
        self._filters(action)
        action.add_argument("--search", metavar="TEXT", default="", help="addresses that contain this")
        action.add_argument("--limit", type=int, default=50, help="entries shown, 50 by default")

    def _filters(self, action: ArgumentParser) -> None:
        action.add_argument("--reason", choices=REASONS, help="for this reason")
        self._scope(action, "only entries about this mail: stream:NAME or domain:NAME")
        action.add_argument(
            "--expires-before", type=arguments.moment, metavar="DAY", help="that end before this day or time"
        )
        which = action.add_mutually_exclusive_group()
        which.add_argument("--ended", action="store_true", help="those that have ended, kept for 90 days")
        which.add_argument("--proposed", action="store_true", help="those that wait for a decision")

    def _scope(self, action: ArgumentParser, about: str) -> None:
        action.add_argument("--scope", type=arguments.scope, metavar="SCOPE", help=about)

    def _arguments_of_add(self, action: ArgumentParser) -> None:
        action.add_argument("addresses", nargs="+", metavar="ADDRESS")
        action.add_argument(
            "--reason", choices=REASONS, default=Reason.MANUAL.value, help="manual by default"
        )
        action.add_argument("--text", default="", help="what to show to senders as the reason")
        self._scope(action, "stop only this mail: stream:NAME or domain:NAME")
        action.add_argument("--days", type=int, help="for how many days; by default as configured")

    def _arguments_of_remove(self, action: ArgumentParser) -> None:
        action.add_argument("addresses", nargs="+", metavar="ADDRESS")
        action.add_argument("--reason", choices=REASONS, help="only entries for this reason")
        self._scope(action, "only entries about this mail: stream:NAME or domain:NAME")
        action.add_argument("--release", action="store_true", help="send the mail that was held for them")

    def _arguments_of_check(self, action: ArgumentParser) -> None:
        action.add_argument("addresses", nargs="+", metavar="ADDRESS")
        action.add_argument("--stream", default="", metavar="NAME", help="for mail of this stream")
        action.add_argument(
            "--domain", type=arguments.domain, help="for mail from this domain of the mail server"
        )

    def _arguments_of_history(self, action: ArgumentParser) -> None:
        action.add_argument("address", metavar="ADDRESS")

    def _arguments_of_export(self, action: ArgumentParser) -> None:
        self._filters(action)
        action.add_argument(
            "--format",
            choices=tuple(suppression_file.WRITERS),
            default="csv",
            help="csv or jsonl; CSV by default",
        )

    def _arguments_of_import(self, action: ArgumentParser) -> None:
        action.add_argument("file", help="the file, CSV or JSON lines; `-` is standard input")
        action.add_argument(
            "--as",
            choices=REASONS,
            dest="reason",
            help="the reason of all entries, whatever the file says",
        )
        self._scope(action, "of entries without one: stream:NAME or domain:NAME")
        action.add_argument("--dry-run", action="store_true", help="only read the file, to the end")
        action.add_argument("--skip-bad", action="store_true", help="go on after lines that cannot be taken")
        action.add_argument("--errors", metavar="FILE", help="write the lines that were skipped to this CSV")

    def handle(self, *args: Any, **options: Any) -> None:
        server = server_named(options["server"]) if options["server"] else None
        getattr(self, f"_{options['action']}")(server, options)

    # Look

    def _rows(self, server: Server | None, options: dict[str, Any]) -> QuerySet[Suppression]:
        selection = ListFilter(
            server.pk if server else None,
            Reason(options["reason"]) if options["reason"] else None,
            options["scope"],
            options.get("search", ""),
            options["expires_before"],
            options["ended"],
            options["proposed"],
        )
        return suppression_list.select(selection, timezone.now())

    def _list(self, server: Server | None, options: dict[str, Any]) -> None:
        now, names = timezone.now(), server_names()
        rows = self._rows(server, options).order_by("-pk")[: options["limit"]]
        if options["json"]:
            return self.print_json([suppression_file.record(row, names) for row in rows])
        self.print_table(
            ("address", "server", "reason", "scope", "ends", "text"),
            [
                (
                    row.address,
                    names.get(row.server_id, ""),
                    row.reason,
                    row.scope,
                    _end(row, now),
                    row.text,
                )
                for row in rows
            ],
        )
        return None

    def _check(self, server: Server, options: dict[str, Any]) -> None:
        addresses = self._addresses(options)
        if len(addresses) > MOST_CHECKED:
            raise CommandError(
                f"{len(addresses):,} addresses are too many: {MOST_CHECKED:,} are checked at once."
            )
        now = timezone.now()
        found = suppression_list.check(
            addresses, server.pk, now, stream=options["stream"], domain=options["domain"] or ""
        )
        if options["json"]:
            return self.print_json(
                [
                    {
                        "address": address,
                        "is_suppressed": stop is not None,
                        "reason": stop.reason.value if stop else None,
                        "scope": stop.scope if stop else None,
                        "keep_until": stop.keep_until if stop else None,
                        "text": stop.text if stop else None,
                    }
                    for address, stop in found
                ]
            )
        self.print_table(
            ("address", "sent", "reason", "scope", "ends", "text"),
            [
                (
                    address,
                    "no",
                    stop.reason.value,
                    stop.scope,
                    moment(stop.keep_until, now) or "never",
                    stop.text,
                )
                if stop
                else (address, "yes", "", "", "", "")
                for address, stop in found
            ],
        )
        return None

    def _history(self, server: Server | None, options: dict[str, Any]) -> None:
        address = self._address(options["address"])
        found = suppression_list.history(address, server.pk if server else None)
        now, names = timezone.now(), server_names()
        if options["json"]:
            strikes = [
                {
                    "server": names.get(row.server_id, str(row.server_id)),
                    "class": row.failure_class,
                    "scope": row.scope,
                    "sure": row.is_sure,
                    "operator": row.operator,
                    "message_id": row.message_id,
                    "created_at": row.created_at,
                }
                for row in found.strikes
            ]
            rows = [
                {
                    **suppression_file.record(row, names),
                    "ended_by": row.ended_by,
                    "source_message_id": row.source_message_id,
                    "incident": row.incident_id,
                }
                for row in found.entries
            ]
            return self.print_json({"entries": rows, "failures": strikes})
        self.print_table(
            ("since", "server", "reason", "scope", "times", "ends", "message", "answer"),
            [
                (
                    f"{row.created_at:%Y-%m-%d %H:%M}",
                    names.get(row.server_id, ""),
                    row.reason,
                    row.scope,
                    row.times,
                    _end(row, now),
                    row.source_message_id or "",
                    row.answer,
                )
                for row in found.entries
            ],
        )
        for strike in found.strikes:
            at = f"{strike.created_at:%Y-%m-%d %H:%M}"
            self.stdout.write(f"{at}: message {strike.message_id} failed: {strike.failure_class}")
        return None

    # Change

    def _add(self, server: Server, options: dict[str, Any]) -> None:
        context, days, reason = operation_context(), options["days"], Reason(options["reason"])
        until = entries.default_keep_until(context.config, context.now, reason)
        if days is not None:
            try:
                until = context.now + timedelta(days=days)
            except OverflowError as error:
                raise CommandError(f"--days: {days} days end after the year 9999.") from error
        addresses = self._addresses(options)
        wanted = [
            entries.given_entry(
                (server.pk, address),
                context.now,
                keep_until=until,
                reason=reason,
                text=options["text"],
                scope=options["scope"] or "",
            )
            for address in addresses
        ]
        for some in chunks(wanted, TOGETHER):
            suppression_changes.add(some, context)
        if options["json"]:
            return self.print_json({"suppressed": len(addresses)})
        self.stdout.write(counted(len(addresses), *SUPPRESSED))
        return None

    def _remove(self, server: Server, options: dict[str, Any]) -> None:
        addresses, context = self._addresses(options), operation_context()
        reasons = [Reason(options["reason"])] if options["reason"] else None
        removed: set[str] = set()
        for some in chunks([(server.pk, address) for address in addresses], TOGETHER):
            ended = suppression_changes.remove(
                some, context, BY_COMMAND, reasons=reasons, scope=options["scope"]
            )
            removed.update(row.key for row in ended)
        waiting = held.waiting_for(server.pk, addresses)
        released = 0
        if waiting and options["release"]:
            released = self.watched(held.release(waiting, context), len(waiting))
        if options["json"]:
            left = len(waiting) - released
            return self.print_json({"removed": len(removed), "held": left, "released": released})
        self.stdout.write(
            counted(
                len(removed), "address was removed from the list.", "addresses were removed from the list."
            )
        )
        if released:
            self.stdout.write(counted(released, "held message released.", "held messages released."))
        elif waiting:
            of = counted(len(waiting), "held message for it", "held messages for it")
            self.stdout.write(f"{of}; --release sends them.")
        return None

    def _address(self, text: str) -> str:
        try:
            return address_in(text)
        except ValueError as error:
            raise CommandError(f"{error}.") from error

    def _addresses(self, options: dict[str, Any]) -> list[str]:
        return [self._address(text) for text in options["addresses"]]

    # Files

    def _export(self, server: Server | None, options: dict[str, Any]) -> None:
        rows = self._rows(server, options).iterator(chunk_size=WRITTEN_TOGETHER)
        lines = suppression_file.WRITERS[options["format"]](rows, server_names())
        self.watched(self._write(lines), None)

    def _write(self, lines: Iterable[str]) -> Iterator[int]:
        for number, line in enumerate(lines, 1):
            self.stdout.write(line, ending="")
            if number % WRITTEN_TOGETHER == 0:
                yield WRITTEN_TOGETHER

    def _import(self, server: Server, options: dict[str, Any]) -> None:
        tally = suppression_import.ImportTally()
        target = suppression_import.ImportTarget(
            server.pk, conf.config(), timezone.now(), options["scope"] or ""
        )
        with contextlib.ExitStack() as files:
            file = self._opened(options["file"], files)
            skip = None
            if options["errors"] and not options["skip_bad"]:
                raise CommandError("--errors is for the lines that --skip-bad skips.")
            if options["skip_bad"] or options["dry_run"]:
                skip = self._reporter(options["errors"], files)
            items = suppression_file.read(file, Reason(options["reason"]) if options["reason"] else None)
            steps = suppression_import.steps(
                items, target, tally, None if options["dry_run"] else write_transaction, skip
            )
            try:
                self.watched(steps, None)
            except suppression_import.ImportStopped as error:
                done = counted(tally.put + tally.kept, *SUPPRESSED)
                raise CommandError(
                    f"{options['file']}: {error}. The lines above it were imported: {done} Mend the line and "
                    "import the file again, which does no harm, or skip such lines with --skip-bad."
                ) from error
            except HostileInput as error:
                raise CommandError(f"{options['file']}: {error}.") from error
        self._say_what_was_imported(tally, options)

    def _opened(self, name: str, files: contextlib.ExitStack) -> TextIO:
        """The file as text; what is not UTF-8 is told apart later, by line."""
        try:
            raw: Any = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - by `files`
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror}.") from error
        return files.enter_context(io.TextIOWrapper(raw, "utf-8-sig", "surrogateescape", newline=""))

    def _reporter(self, errors: str | None, files: contextlib.ExitStack) -> Callable[[BadLine], Any]:
        """What is done with each bad line: written to the file `errors`, or to standard error."""
        if errors:
            try:
                raw = Path(errors).open("w", encoding="utf-8", errors="backslashreplace", newline="")  # noqa: SIM115
            except OSError as error:
                raise CommandError(f"--errors {errors}: {error.strerror}.") from error
            file = files.enter_context(raw)
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("line", "column", "why", "text"))
            return lambda bad: writer.writerow((bad.number, bad.column, bad.why, bad.text.rstrip("\r\n")))
        shown: list[BadLine] = []

        def show(bad: BadLine) -> None:
            if len(shown) < SHOWN_BAD_LINES:
                shown.append(bad)
                self.stderr.write(str(bad))

        return show

    def _say_what_was_imported(self, tally: suppression_import.ImportTally, options: dict[str, Any]) -> None:
        if options["dry_run"]:
            self.stdout.write(counted(tally.put, "entry would be imported.", "entries would be imported."))
        else:
            self.stdout.write(counted(tally.put, *SUPPRESSED))
        for number, one, more in (
            (
                tally.kept,
                "entry was there for as long, or twice in the file.",
                "entries were there for as long, or twice in the file.",
            ),
            (tally.over, "entry has ended and was left out.", "entries have ended and were left out."),
            (tally.bad, "line was skipped.", "lines were skipped."),
        ):
            if number:
                self.stdout.write(counted(number, one, more))
        if tally.bad and not options["skip_bad"]:
            raise CommandError("The import would stop at the first bad line. --skip-bad goes on after them.")


def _end(row: Suppression, now: Any) -> str:
    if row.ended_at is not None:
        return f"{row.ended_at:%Y-%m-%d %H:%M} by {row.ended_by}"
    return moment(row.keep_until, now) or "never"
