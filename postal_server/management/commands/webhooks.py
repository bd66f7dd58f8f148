"""`postal-server webhooks`."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Count, Min
from django.utils import timezone

from postal_server.engine.database import write_transaction
from postal_server.management.base import ServerCommand, counted, server_named, span
from postal_server.models import Webhook, WebhookAttempt, WebhookRequest
from postal_server.services.operations import webhook as webhooks


class Command(ServerCommand):
    help = "Look at webhooks and what waits for them, send events again, and choose which events they get."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listing = actions.add_parser("list", help="webhooks, with events waiting and events given up")
        resending = actions.add_parser(
            "resend",
            help="send events again, with the same bytes and uuid",
            description="Send events again, with the same bytes and uuid: some, or all that were given up.",
        )
        resending.add_argument("uuids", nargs="*", type=uuid.UUID, metavar="UUID", help="these events")
        resending.add_argument("--failed", action="store_true", help="all that were given up (10 days)")
        resending.add_argument("--webhook", type=int, metavar="ID", help="of this webhook")
        resending.add_argument("--hours", type=float, help="given up within so many hours")
        resending.add_argument("--dry-run", action="store_true", help="only show how many there are")
        setting = actions.add_parser("set", help="change which events webhooks get")
        setting.add_argument("ids", nargs="+", type=int, metavar="ID", help="these webhooks")
        setting.add_argument(
            "--beyond-postal",
            choices=("yes", "no"),
            required=True,
            help="do all events include those that Postal does not have?",
        )
        for action in (listing, resending):
            action.add_argument("--server", metavar="ORG/SERVER", help="of this mail server")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "set":
            return self._set(options["ids"], beyond_postal=options["beyond_postal"] == "yes")
        server = server_named(options["server"]) if options["server"] else None
        server_id = server.pk if server else None
        if options["action"] == "list":
            return self._list(server_id)
        if bool(options["uuids"]) == options["failed"]:
            raise CommandError("Name events, or say --failed.")
        if options["uuids"] and (server or options["webhook"] is not None):
            raise CommandError("--server and --webhook go with --failed: each narrows what was given up.")
        if options["webhook"] and not Webhook.objects.filter(pk=options["webhook"]).exists():
            raise CommandError(f"There is no webhook {options['webhook']}; `webhooks list` shows all.")
        attempts = WebhookAttempt.objects.filter(uuid__in=options["uuids"])
        known = set(attempts.values_list("uuid", flat=True))
        if missing := [str(event) for event in options["uuids"] if event not in known]:
            raise CommandError(f"No event is known as {', '.join(missing)}.")
        if options["failed"]:
            attempts = webhooks.given_up(server_id=server_id, webhook_id=options["webhook"])
        if options["hours"] is not None:
            attempts = attempts.filter(created_at__gte=timezone.now() - timedelta(hours=options["hours"]))
        expected = attempts.values("uuid").distinct().count()
        if options["dry_run"]:
            self.stdout.write(
                counted(expected, "event would be posted again.", "events would be posted again.")
            )
            return None
        done = self.watched(webhooks.resend(attempts, timezone.now(), write_transaction), expected)
        self.stdout.write(counted(done, "event is posted again.", "events are posted again."))
        return None

    def _set(self, ids: Sequence[int], *, beyond_postal: bool) -> None:
        with write_transaction():
            rows = Webhook.objects.in_bulk(ids)
            if missing := [number for number in ids if number not in rows]:
                raise CommandError(f"There is no webhook {missing[0]}; `webhooks list` shows all.")
            # Saved one by one: the directory must hear of it.
            for row in rows.values():
                row.beyond_postal = beyond_postal
                row.save(update_fields=["beyond_postal"])
        self.stdout.write(counted(len(rows), "webhook is changed.", "webhooks are changed."))

    def _list(self, server_id: int | None) -> None:
        now = timezone.now()
        rows = Webhook.objects.select_related("server__organization").order_by("server", "pk")
        if server_id is not None:
            rows = rows.filter(server_id=server_id)
        waiting = {
            row["webhook_id"]: row
            for row in WebhookRequest.objects.order_by()
            .values("webhook_id")
            .annotate(count=Count("pk"), oldest_at=Min("created_at"))
        }
        lost = dict(webhooks.given_up().order_by().values_list("webhook_id").annotate(count=Count("pk")))
        lines = []
        for row in rows:
            queued = waiting.get(row.pk)
            lines.append(
                (
                    row.pk,
                    row.server,
                    row.name,
                    row.url,
                    "on" if row.enabled else f"off. {row.disabled_reason}".rstrip(),
                    "yes" if row.beyond_postal else "no",
                    queued["count"] if queued else 0,
                    span(now - queued["oldest_at"]) if queued else "",
                    lost.get(row.pk, 0),
                )
            )
        self.print_table(
            ("id", "server", "name", "url", "state", "beyond Postal", "waiting", "oldest", "given up"), lines
        )
