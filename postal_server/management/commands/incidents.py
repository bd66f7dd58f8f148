"""`postal-server incidents`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server.management.base import ServerCommand, counted, operation_context
from postal_server.models import Incident
from postal_server.services.operations import incidents

ACTIONS = {
    "list": "operators whose answers are or were in doubt, the newest first",
    "confirm": "believe the answers: the proposed entries stop mail from now on",
    "drop": "do not believe them: the proposed entries are deleted, and what was counted",
}


class Command(ServerCommand):
    help = "Operators of mail hosts that have suddenly refused many addresses, and what to make of that."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            action.add_argument("--json", action="store_true", help="print it for programs")
            if name == "list":
                action.add_argument("--open", action="store_true", help="only those that have not ended")
                action.add_argument("--limit", type=int, default=50, help="incidents shown, 50 by default")
            else:
                action.add_argument(
                    "id", type=int, metavar="ID", help="the number of the incident, as listed"
                )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            self._list(options)
        else:
            self._decide(options)

    def _list(self, options: dict[str, Any]) -> None:
        rows = incidents.incidents()
        if options["open"]:
            rows = rows.filter(ended_at=None)
        rows = rows[: options["limit"]]
        proposed = incidents.proposed([row.pk for row in rows])
        if options["json"]:
            return self.print_json(
                [
                    {
                        "id": row.pk,
                        "operator": row.operator,
                        "blamed": row.count,
                        "answers": row.answers,
                        "proposed": proposed.get(row.pk, 0),
                        "created_at": row.created_at,
                        "ended_at": row.ended_at,
                        "outcome": row.outcome or None,
                        "decided": row.decided,
                        "sample": row.sample,
                    }
                    for row in rows
                ]
            )
        self.print_table(
            ("id", "operator", "since", "refused", "answers", "proposed", "ended", "sample"),
            [
                (
                    row.pk,
                    row.operator,
                    f"{row.created_at:%Y-%m-%d %H:%M}",
                    row.count,
                    row.answers,
                    proposed.get(row.pk, 0),
                    f"{row.ended_at:%Y-%m-%d %H:%M} {row.outcome}" if row.ended_at else "",
                    row.sample,
                )
                for row in rows
            ],
        )
        return None

    def _decide(self, options: dict[str, Any]) -> None:
        row = Incident.objects.filter(pk=options["id"]).first()
        if row is None:
            raise CommandError(f"There is no incident {options['id']}. `incidents list` shows them.")
        if row.ended_at is not None:
            raise CommandError(f"Incident {row.pk} has ended: {row.outcome}.")
        expected = incidents.proposed([row.pk]).get(row.pk, 0)
        context = operation_context()
        if options["action"] == "confirm":
            steps, outcome = incidents.confirm(row, context), incidents.CONFIRMED
        else:
            steps = incidents.drop(row, context.now, context.write_transaction)
            outcome = incidents.DROPPED
        done = self.watched(steps, expected)
        if options["json"]:
            return self.print_json({"id": row.pk, "outcome": outcome, "decided": done})
        if options["action"] == "confirm":
            self.stdout.write(counted(done, "address is suppressed.", "addresses are suppressed."))
        else:
            self.stdout.write(counted(done, "proposed entry deleted.", "proposed entries deleted."))
        return None
