"""`postal-server queue`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from postal_server.engine.database import write_transaction
from postal_server.management import arguments
from postal_server.management.base import (
    ServerCommand,
    counted,
    moment,
    operation_context,
    server_named,
    span,
)
from postal_server.models import QueueSuspension
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.selection import Selection
from postal_server.services.operations import queue, retry

ACTIONS = {
    "list": "what waits, by destination, the oldest first",
    "suspend": "let mail wait until it is resumed; new mail is accepted and waits too",
    "resume": "end a suspension",
    "flush": "try deferred mail, and destinations that are paused, now",
    "purge": "fail waiting mail for good, and send the webhooks",
    "retry": "send failed mail again whose class of failure says that it was not its own fault",
}


class Command(ServerCommand):
    help = (
        "Look at the queue and act on parts of it. Mail that a worker is trying is left alone; options "
        "that narrow the part down can be combined."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            action.add_argument("--server", metavar="ORG/SERVER", help="mail of this mail server")
            action.add_argument(
                "--destination",
                type=arguments.destination,
                metavar="DOMAIN",
                help="mail for this recipient domain",
            )
            action.add_argument("--tag", help="mail with this tag")
            if name == "list":
                action.add_argument("--limit", type=int, default=50, help="destinations shown, 50 by default")
                continue
            action.add_argument("--dry-run", action="store_true", help="only show how much would be affected")
            if name == "suspend":
                action.add_argument("--reason", default="", help="a note to show in the list")
            if name == "retry":
                self._add_failures(action)
            if name == "purge":
                action.add_argument("--yes", action="store_true", help="yes, this mail is not to be sent")

    def _add_failures(self, action: ArgumentParser) -> None:
        classes = [each.value for each in FailureClass]
        action.add_argument(
            "--class",
            dest="failure_class",
            required=True,
            choices=classes,
            metavar="CLASS",
            help=f"that failed last with this class: {', '.join(classes)}",
        )
        action.add_argument(
            "--operator",
            type=arguments.domain,
            metavar="DOMAIN",
            help="that the mail hosts of this operator refused, whatever the recipient's domain",
        )
        action.add_argument(
            "--since",
            type=arguments.duration,
            default="5d",
            metavar="TIME",
            help="that failed within this time, such as 12h; 5d by default",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        server = server_named(options["server"]) if options["server"] else None
        selection = Selection(
            server.pk if server else None,
            options["destination"] or "",
            options["tag"] or "",
        )
        action = options["action"]
        if selection == Selection() and action not in ("list", "flush", "retry"):
            raise CommandError(f"queue {action}: say which part: --server, --destination or --tag.")
        getattr(self, f"_{action}")(selection, options)

    def _list(self, selection: Selection, options: dict[str, Any]) -> None:
        now = timezone.now()
        rows = queue.overview(selection, now, options["limit"])
        titles = ("destination", "messages", "size", "oldest", ">1 h", ">1 d", "next try", "last answer")
        self.print_table(
            titles,
            [
                (
                    row.destination,
                    row.messages,
                    filesizeformat(row.size_bytes).replace("\xa0", " "),
                    span(now - row.oldest_at),
                    row.over_an_hour,
                    row.over_a_day,
                    state(row, now),
                    row.last_answer,
                )
                for row in rows
            ],
        )
        if len(rows) == options["limit"]:
            self.stdout.write(f"The {len(rows)} destinations with the oldest mail; --limit shows more.")
        for suspension in QueueSuspension.objects.select_related("server__organization"):
            since = span(now - suspension.created_at)
            reason = f": {suspension.reason}" if suspension.reason else ""
            self.stdout.write(f"Suspended for {since}: {suspension}{reason}")

    def _suspend(self, selection: Selection, options: dict[str, Any]) -> None:
        if options["dry_run"]:
            would_wait = queue.waiting(selection).count()
            self.stdout.write(counted(would_wait, "message would wait.", "messages would wait."))
            return
        is_new = queue.suspend(selection, options["reason"][:250])
        self._apply(queue.put_aside(write_transaction), queue.ready(selection).count())
        # A message that waits for its next attempt is put aside when that is due.
        waiting = queue.waiting(selection).count()
        self.stdout.write(
            f"{'Suspended' if is_new else 'It is suspended already'}; "
            + counted(waiting, "message waits.", "messages wait.")
        )

    def _resume(self, selection: Selection, options: dict[str, Any]) -> None:
        expected = queue.put_aside_already(selection).count()
        if options["dry_run"]:
            self.stdout.write(counted(expected, "message waits for it.", "messages wait for it."))
            return
        if not queue.resume(selection):
            raise CommandError("There is no such suspension; `queue list` shows all.")
        done = self._apply(queue.make_ready(write_transaction), expected)
        said = "Resumed; " + counted(done, "message is ready.", "messages are ready.")
        if deferred := queue.deferred(selection).count():
            said += f" {counted(deferred, 'waits', 'wait')} for the next attempt; `queue flush` makes it now."
        self.stdout.write(said)

    def _apply(self, steps: Iterator[int], expected: int) -> int:
        done = self.watched(steps, expected)
        # Processes whose configuration is half a second old may have added some in the meantime.
        queue.request_suspensions(timezone.now())
        return done

    def _flush(self, selection: Selection, options: dict[str, Any]) -> None:
        expected = queue.deferred(selection).count()
        if options["dry_run"]:
            self.stdout.write(
                counted(
                    expected, "message waits for its next attempt.", "messages wait for their next attempt."
                )
            )
            return
        done = self.watched(queue.flush(selection, write_transaction), expected)
        self.stdout.write(counted(done, "message is tried now.", "messages are tried now."))

    def _retry(self, selection: Selection, options: dict[str, Any]) -> None:
        since = timezone.now() - options["since"]
        failures = retry.Failures(
            FailureClass(options["failure_class"]), since, selection, options["operator"] or ""
        )
        expected = purged = 0
        for found in retry.find(failures):
            expected += len(found.ids)
            purged += found.purged
        if options["dry_run"]:
            self.stdout.write(
                counted(expected, "message would be sent again.", "messages would be sent again.")
            )
        else:
            done = self.watched(retry.send_again(failures, operation_context()), expected)
            self.stdout.write(counted(done, "message is sent again.", "messages are sent again."))
        if purged:
            self.stdout.write(
                counted(purged, "message has no text any more.", "messages have no text any more.")
            )

    def _purge(self, selection: Selection, options: dict[str, Any]) -> None:
        expected = queue.waiting(selection).count()
        if options["dry_run"] or not options["yes"]:
            self.stdout.write(counted(expected, "message would fail.", "messages would fail."))
            if not options["dry_run"]:
                raise CommandError("Nothing was done: give --yes to confirm.")
            return
        done = self.watched(queue.purge(selection, operation_context()), expected)
        self.stdout.write(counted(done, "message was removed.", "messages were removed."))


def state(row: queue.Waiting, now: Any) -> str:
    """When a destination is tried next, or what keeps it."""
    if row.suspended == row.messages:
        return "suspended"
    aside = f", {row.suspended} suspended" if row.suspended else ""
    if row.paused_until and row.paused_until > now:
        return f"paused, {moment(row.paused_until, now)}{aside}"
    if row.next_try:
        return moment(row.next_try, now) + aside
    return ("being tried" if row.in_flight else "now") + aside
