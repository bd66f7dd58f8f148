"""`postal-server held`."""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from postal_server.management import arguments
from postal_server.management.base import (
    ServerCommand,
    counted,
    moment,
    operation_context,
    server_named,
    span,
)
from postal_server.rules.hold import HoldEnd, HoldReason
from postal_server.services.operations import held

OPERATIONS: dict[str, tuple[held.Operation, str]] = {
    "release": (held.release, "released"),
    "cancel": (partial(held.cancel, by=HoldEnd.ADMIN), "cancelled"),
}
REASONS = tuple(reason.value for reason in HoldReason)
NARROWING = ("ids", "server", "reason", "stream", "older_than", "recipient", "tag", "because", "all")

ACTIONS = {
    "list": "held messages, the oldest first, and why they are held",
    "release": "send them after all",
    "cancel": "never send them; webhooks beyond Postal get MessageHoldCancelled",
}


class Command(ServerCommand):
    help = "Look at held messages, and release them or cancel their hold, many at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            action.add_argument("ids", nargs="*", type=int, metavar="ID", help="only these messages")
            action.add_argument("--server", metavar="ORG/SERVER", help="of this mail server")
            action.add_argument(
                "--reason",
                choices=REASONS,
                metavar="REASON",
                help=f"for this reason: {', '.join(REASONS)}",
            )
            action.add_argument("--stream", help="of this stream")
            action.add_argument(
                "--older-than",
                type=arguments.duration,
                metavar="TIME",
                help="held for this long or longer, such as 12h or 5d",
            )
            action.add_argument("--recipient", metavar="ADDRESS", help="to this address, or @DOMAIN")
            action.add_argument("--tag", help="with this tag")
            action.add_argument(
                "--because", metavar="TEXT", help="with this in the sentence that says why, as listed"
            )
            if name == "list":
                action.add_argument("--limit", type=int, default=50, help="messages shown, 50 by default")
            else:
                action.add_argument("--all", action="store_true", help="all that are held")
                action.add_argument("--dry-run", action="store_true", help="only show how many there are")
            if name == "cancel":
                action.add_argument("--yes", action="store_true", help="yes, this mail is not to be sent")

    def handle(self, *args: Any, **options: Any) -> None:
        server = server_named(options["server"]) if options["server"] else None
        messages = held.held(
            server_id=server.pk if server else None,
            reason=HoldReason(options["reason"]) if options["reason"] else None,
            stream=options["stream"] or "",
            recipient=options["recipient"] or "",
            tag=options["tag"] or "",
            held_before=timezone.now() - options["older_than"] if options["older_than"] else None,
            because=options["because"] or "",
        )
        if options["ids"]:
            messages = messages.filter(pk__in=options["ids"])
            if missing := sorted(set(options["ids"]) - set(messages.values_list("pk", flat=True))):
                numbers = ", ".join(map(str, missing))
                raise CommandError(f"Not held, or not in that part: {numbers}. `held list` shows what is.")
        if options["action"] == "list":
            return self._list(messages[: options["limit"]])
        if not any(options[name] for name in NARROWING):
            raise CommandError("Name the messages by their numbers, an option, or --all.")
        expected = messages.count()
        if options["dry_run"]:
            self.stdout.write(counted(expected, "message is held.", "messages are held."))
            return None
        if options["action"] == "cancel" and not options["yes"]:
            self.stdout.write(
                counted(expected, "message would never be sent.", "messages would never be sent.")
            )
            raise CommandError("Nothing was done: give --yes to confirm.")
        operation, verb = OPERATIONS[options["action"]]
        ids = list(messages.values_list("pk", flat=True))
        done = self.watched(operation(ids, operation_context()), expected)
        self.stdout.write(counted(done, f"message {verb}.", f"messages {verb}."))
        return None

    def _list(self, messages: Any) -> None:
        now = timezone.now()
        rows = list(messages)
        sentences = held.sentences([row.pk for row in rows])
        self.print_table(
            ("id", "held for", "ends", "from", "to", "reason", "why"),
            [
                (
                    row.pk,
                    span(now - (row.last_attempt_at or row.created_at)),
                    moment(row.hold_expires_at, now),
                    row.mail_from or "",
                    row.rcpt_to or "",
                    row.hold_reason,
                    sentences.get(row.pk, ""),
                )
                for row in rows
            ],
        )
