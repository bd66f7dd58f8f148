"""`postal-server webhooks`."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Count, Min
from django.utils import timezone

from postal_server.engine.database import write_transaction
from postal_server.management import values
from postal_server.management.base import counted, operation_context, server_named, span
from postal_server.models import Webhook, WebhookAttempt, WebhookRequest
from postal_server.services.administration import shown, webhooks
from postal_server.services.operations import webhook as requests

ACTIONS = {
    "list": "webhooks, with events waiting and events given up",
    "add": "have events of a mail server posted to a URL",
    "set": "change webhooks",
    "delete": "delete a webhook; what waits for it is dropped",
    "resend": "send events again, with the same bytes and uuid: some, or all that were given up",
}
VALUES = {"name": "its name", "url": "where events are posted to"}
FLAGS = {
    "enabled": "does it get events?",
    "all_events": "does it get all events, or those of --event?",
    "beyond_postal": "do all events include those that Postal does not have?",
}


class Command(values.ValuesCommand):
    help = "List, add, change and delete webhooks, and send events again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            if name == "add":
                action.add_argument("url", metavar="URL", help=VALUES["url"])
                values.add_options(action, {"name": VALUES["name"]}, FLAGS)
            elif name == "set":
                action.add_argument("ids", nargs="+", type=int, metavar="ID", help="these webhooks")
                values.add_options(action, VALUES, FLAGS)
            elif name == "delete":
                action.add_argument("id", type=int, metavar="ID", help="its number, as listed")
            elif name == "resend":
                _add_resending(action)
            if name in ("add", "set"):
                action.add_argument(
                    "--event", action="append", metavar="EVENT", help="an event it gets; may be repeated"
                )
            if name in ("list", "add", "resend"):
                action.add_argument(
                    "--server", metavar="ORG/SERVER", required=name == "add", help="of this mail server"
                )
            if name in ("list", "add"):
                action.add_argument("--json", action="store_true", help="print it for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            return self._list(options)
        if options["action"] == "resend":
            return self._resend(options)
        context = operation_context()
        if options["action"] == "add":
            row = webhooks.create(server_named(options["server"]), _given(options), context)
            return self.print_row(shown.webhook(row), as_json=options["json"])
        rows = _webhooks([options["id"]] if options["action"] == "delete" else options["ids"])
        with context.write_transaction():
            for row in rows:
                if options["action"] == "delete":
                    webhooks.delete(row, context)
                else:
                    webhooks.change(row, _given(options), context)
        done = "deleted" if options["action"] == "delete" else "changed"
        return self.stdout.write(counted(len(rows), f"webhook is {done}.", f"webhooks are {done}."))

    def _resend(self, options: dict[str, Any]) -> None:
        server = server_named(options["server"]) if options["server"] else None
        if bool(options["uuids"]) == options["failed"]:
            raise CommandError("Name events, or say --failed.")
        if options["uuids"] and (server or options["webhook"] is not None):
            raise CommandError("--server and --webhook go with --failed: each narrows what was given up.")
        if options["webhook"] is not None:
            _webhooks([options["webhook"]])
        attempts = WebhookAttempt.objects.filter(uuid__in=options["uuids"])
        known = set(attempts.values_list("uuid", flat=True))
        if missing := [str(event) for event in options["uuids"] if event not in known]:
            raise CommandError(f"No event is known as {', '.join(missing)}.")
        if options["failed"]:
            attempts = requests.given_up(
                server_id=server.pk if server else None, webhook_id=options["webhook"]
            )
        if options["hours"] is not None:
            attempts = attempts.filter(created_at__gte=timezone.now() - timedelta(hours=options["hours"]))
        expected = attempts.values("uuid").distinct().count()
        if options["dry_run"]:
            would = counted(expected, "event would be posted again.", "events would be posted again.")
            return self.stdout.write(would)
        done = self.watched(requests.resend(attempts, timezone.now(), write_transaction), expected)
        return self.stdout.write(counted(done, "event is posted again.", "events are posted again."))

    def _list(self, options: dict[str, Any]) -> None:
        rows = webhooks.visible(operation_context()).order_by("server", "pk")
        if options["server"]:
            rows = rows.filter(server=server_named(options["server"]))
        listed = list(_with_what_waits(rows))
        if options["json"]:
            return self.print_json(listed)
        now = timezone.now()
        lines = []
        for row in listed:
            state = "on" if row["enabled"] else f"off. {row['disabled_reason'] or ''}".rstrip()
            since = span(now - row["oldest_at"]) if row["oldest_at"] else ""
            beyond = "yes" if row["beyond_postal"] else "no"
            named = (row["id"], row["server"], row["name"], row["url"])
            lines.append((*named, state, beyond, row["waiting"], since, row["given_up"]))
        titles = ("id", "server", "name", "url", "state", "beyond Postal", "waiting", "oldest", "given up")
        return self.print_table(titles, lines)


def _add_resending(action: ArgumentParser) -> None:
    action.add_argument("uuids", nargs="*", type=uuid.UUID, metavar="UUID", help="these events")
    action.add_argument("--failed", action="store_true", help="all that were given up (10 days)")
    action.add_argument("--webhook", type=int, metavar="ID", help="of this webhook")
    action.add_argument("--hours", type=float, help="given up within so many hours")
    action.add_argument("--dry-run", action="store_true", help="only show how many there are")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The values that options name. Whoever names events does not want them all, unless they say so."""
    found = values.given(options, VALUES, FLAGS)
    if options["event"] is not None:
        found = {"all_events": False, **found, "events": options["event"]}
    return found


def _webhooks(ids: Sequence[int]) -> Sequence[Webhook]:
    rows = Webhook.objects.in_bulk(ids)
    if missing := [number for number in ids if number not in rows]:
        raise CommandError(f"There is no webhook {missing[0]}; `webhooks list` shows all.")
    return list(rows.values())


def _with_what_waits(rows: Iterable[Webhook]) -> Iterator[shown.Shown]:
    waiting = {
        row["webhook_id"]: row
        for row in WebhookRequest.objects.order_by()
        .values("webhook_id")
        .annotate(count=Count("pk"), oldest_at=Min("created_at"))
    }
    lost = dict(requests.given_up().order_by().values_list("webhook_id").annotate(count=Count("pk")))
    for row in rows:
        queued = waiting.get(row.pk, {"count": 0, "oldest_at": None})
        yield {
            **shown.webhook(row),
            "waiting": queued["count"],
            "oldest_at": queued["oldest_at"],
            "given_up": lost.get(row.pk, 0),
        }
