"""`postal-server servers`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server.management import values
from postal_server.management.base import operation_context, organization_named, server_named
from postal_server.management.commands.organizations import pool_named
from postal_server.management.deletion import confirm
from postal_server.models import Server
from postal_server.services.administration import organizations, servers, shown
from postal_server.services.operations.context import OperationContext

ACTIONS = {
    "list": "mail servers",
    "show": "one mail server with its settings",
    "add": "make a mail server; `credentials add` makes its keys",
    "set": "change the settings of a mail server",
    "suspend": "hold its mail, and refuse what its applications send",
    "resume": "end its suspension",
    "delete": "delete it with all its mail",
}
VALUES = {
    "mode": "Live, or Development, which holds all mail",
    "postmaster_address": "who is told of its trouble",
    "send_limit": "outgoing messages an hour",
    "spam_threshold": "score from which incoming mail is spam",
    "spam_failure_threshold": "score from which incoming mail is not delivered",
    "outbound_spam_threshold": "score from which outgoing mail is not sent",
    "message_retention_days": "days that messages are kept",
    "raw_message_retention_days": "days that their texts are kept",
    "raw_message_retention_size": "megabytes of texts that are kept",
    "suppressed_as": "what becomes of mail to suppressed addresses: held or failed",
    "stream_from": "what names the stream of mail that names none: none, tag or credential",
}
FLAGS = {
    "allow_sender": "may a Sender header authorize a mail?",
    "privacy_mode": "leave clients out of Received headers?",
    "log_smtp_data": "log the data of SMTP sessions?",
}
# What may be without a value.
OPTIONAL = ("send_limit", "outbound_spam_threshold")


class Command(values.ValuesCommand):
    help = "List, make, change, suspend and delete mail servers."
    columns = ("id", "organization", "permalink", "name", "mode", "send_limit", "suspended_at")

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            if name == "list":
                action.add_argument("--organization", metavar="ORG", help="of this organization")
            else:
                action.add_argument("server", metavar="ORG/SERVER", help="its name")
            if name in ("add", "set"):
                action.add_argument("--name", help="its name as people read it")
                values.add_options(action, VALUES, FLAGS)
                action.add_argument("--ip-pool", metavar="NAME", help="the pool that its mail leaves from")
            if name == "set":
                action.add_argument("--permalink", help="its name in URLs and commands")
            if name == "suspend":
                action.add_argument("--reason", default="", help="why; people are shown it")
            if name == "delete":
                action.add_argument("--confirm", metavar="SERVER", help="its permalink: do not ask")
            action.add_argument("--json", action="store_true", help="print it for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        context, action = operation_context(), options["action"]
        if action == "list":
            found = servers.visible(context)
            if options["organization"]:
                found = found.filter(organization=organization_named(options["organization"]))
            return self.print_rows(map(shown.server, found), as_json=options["json"])
        row = self._add(options, context) if action == "add" else server_named(options["server"])
        if action == "delete":
            return confirm(self, row, options["confirm"], context)
        if action == "set":
            row = servers.change(row, self._values(options), context)
        elif action in ("suspend", "resume"):
            row = servers.change(row, organizations.suspension(options.get("reason"), context), context)
        return self.print_row(shown.server(row), as_json=options["json"])

    def _add(self, options: dict[str, Any], context: OperationContext) -> Server:
        owner, slash, permalink = options["server"].partition("/")
        if not slash:
            raise CommandError(f"{options['server']!r} is not ORG/SERVER, such as example/main.")
        given = {"name": permalink, **self._values(options), "permalink": permalink}
        return servers.create(organization_named(owner), given, context)

    def _values(self, options: dict[str, Any]) -> dict[str, Any]:
        found = values.given(options, ("name", "permalink", *VALUES), FLAGS)
        found |= {name: found[name] or None for name in OPTIONAL if name in found}
        if options["ip_pool"] is not None:
            found["ip_pool"] = pool_named(options["ip_pool"]) if options["ip_pool"] else None
        return found
