"""`postal-server credentials`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from postal_server.management import values
from postal_server.management.base import operation_context, server_named
from postal_server.models import Credential
from postal_server.rules.status import CredentialType
from postal_server.services.administration import credentials, rows, shown

ACTIONS = {
    "list": "credentials, without their keys",
    "add": "make a credential, and print its key: this once",
    "set": "rename a credential, or hold what it sends",
    "renew": "give a credential a new key, and print it: this once",
    "delete": "delete a credential: nobody sends with it any more",
}
FLAGS = {"hold": "hold every message that it sends?"}


class Command(values.ValuesCommand):
    help = "List, make, renew and delete the keys that applications send with."
    columns = ("id", "server", "type", "name", "network", "hold", "last_used_at", "created_at")

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            if name in ("list", "add"):
                action.add_argument(
                    "--server", metavar="ORG/SERVER", required=name == "add", help="of this mail server"
                )
            else:
                action.add_argument("id", type=int, metavar="ID", help="its number, as listed")
            if name == "add":
                action.add_argument(
                    "--type",
                    choices=[kind.value for kind in CredentialType],
                    required=True,
                    help="API for HTTP, SMTP for user and password, SMTP-IP for a network without a password",
                )
                action.add_argument("--network", help="address or CIDR network, for SMTP-IP")
            if name in ("add", "set"):
                action.add_argument("--name", help="what uses it")
                values.add_options(action, {}, FLAGS)
            action.add_argument("--json", action="store_true", help="print it for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        context, action = operation_context(), options["action"]
        if action == "list":
            found = credentials.visible(context)
            if options["server"]:
                found = found.filter(server=server_named(options["server"]))
            return self.print_rows(map(shown.credential, found), as_json=options["json"])
        if action == "add":
            given = values.given(options, ("name", "network"), FLAGS)
            server, kind = server_named(options["server"]), CredentialType(options["type"])
            row, key = credentials.create(server, kind, given, context)
            return self._print_key(row, key, as_json=options["json"])
        row = rows.find(credentials.visible(context), context, pk=options["id"])
        if action == "renew":
            return self._print_key(row, credentials.renew(row, context), as_json=options["json"])
        if action == "delete":
            credentials.revoke(row, context)
            return self.stdout.write(f"{row} is deleted.")
        row = credentials.change(row, values.given(options, ("name",), FLAGS), context)
        return self.print_row(shown.credential(row), as_json=options["json"])

    def _print_key(self, row: Credential, key: str, *, as_json: bool) -> None:
        """With its key, unless it is a network."""
        has_key = row.type != CredentialType.SMTP_IP.value
        self.print_row({**shown.credential(row), **({"key": key} if has_key else {})}, as_json=as_json)
        if has_key:
            self.stderr.write("The key is not shown again: it is not kept in a form that can be read.")
