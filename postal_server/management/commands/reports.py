"""`postal-server reports`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from postal_server.mail.report import Kind
from postal_server.management import arguments
from postal_server.management.base import ServerCommand, server_named, server_names, span
from postal_server.models import Message, Report
from postal_server.services.operations import reports


class Command(ServerCommand):
    help = "Look at what came back about mail: bounces, delays, automatic replies, complaints."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listing = actions.add_parser(
            "list",
            help="reports, the newest first, and what they were taken for",
            description="Reports, the newest first, and what they were taken for.",
        )
        listing.add_argument("--server", metavar="ORG/SERVER", help="of this mail server")
        listing.add_argument(
            "--kind", choices=[kind.value for kind in Kind], metavar="KIND", help="of this kind: bounce, ..."
        )
        listing.add_argument(
            "--search",
            metavar="TEXT",
            default="",
            help="with this address, @domain, return path, token, Message-ID, id or beginning of the subject",
        )
        listing.add_argument("--domain", type=arguments.domain, help="about recipients at this domain")
        listing.add_argument("--days", type=int, help="that came in during the last days")
        listing.add_argument("--limit", type=int, default=50, help="reports shown, 50 by default")
        listing.add_argument("--json", action="store_true", help="print JSON, one report a line")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        days = options["days"]
        found = reports.find(
            Message.objects.defer("prefix"),
            kind=options["kind"] or "",
            server_id=server_named(options["server"]).pk if options["server"] else None,
            since=None if days is None else now - timedelta(days=days),
            domain=options["domain"] or "",
            search=options["search"],
            now=now,
        )
        rows = list(found.order_by("-pk")[: options["limit"]])
        said = reports.said_by([row.pk for row in rows])
        if options["json"]:
            return self._print_json(rows, said)
        self.print_table(
            ("id", "age", "kind", "about", "recipient", "status", "to", "subject"),
            [
                (
                    row.pk,
                    span(now - row.created_at),
                    row.kind,
                    row.bounce_for_id or "",
                    _first(said.get(row.pk, ()), "address"),
                    _first(said.get(row.pk, ()), "status"),
                    row.rcpt_to or "",
                    row.subject or "",
                )
                for row in rows
            ],
        )
        return None

    def _print_json(self, rows: Sequence[Message], said: Mapping[int, Sequence[Report]]) -> None:
        names = server_names()
        for row in rows:
            shown = reports.show(row, said.get(row.pk, ()))
            shown["server"] = names.get(row.server_id, "")
            self.stdout.write(json.dumps(shown))


def _first(said: Sequence[Report], name: str) -> str:
    return next((str(getattr(row, name)) for row in said), "")
