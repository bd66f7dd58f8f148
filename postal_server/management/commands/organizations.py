"""`postal-server organizations`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server.management import values
from postal_server.management.base import operation_context, organization_named
from postal_server.management.deletion import confirm
from postal_server.models import IPPool
from postal_server.services.administration import organizations, shown

ACTIONS = {
    "list": "organizations",
    "show": "one organization",
    "add": "make an organization",
    "set": "change an organization",
    "suspend": "hold its mail, and refuse what its applications send",
    "resume": "end its suspension",
    "delete": "delete it with its mail servers and all their mail",
}
VALUES = {
    "permalink": "its name in URLs and commands: lower-case letters, digits and hyphens",
    "time_zone": "such as Europe/Berlin; UTC by default",
}


class Command(values.ValuesCommand):
    help = "List, make, change, suspend and delete organizations."
    columns = ("id", "permalink", "name", "suspended_at", "created_at")

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            if name == "add":
                action.add_argument("name", metavar="NAME", help="such as 'Example Ltd'")
            elif name != "list":
                action.add_argument("organization", metavar="ORG", help="its permalink")
            if name in ("add", "set"):
                values.add_options(action, VALUES)
                action.add_argument(
                    "--ip-pool", action="append", metavar="NAME", help="a pool it may use; may be repeated"
                )
            if name == "set":
                action.add_argument("--name", help="its new name")
            if name == "suspend":
                action.add_argument("--reason", default="", help="why; people are shown it")
            if name == "delete":
                action.add_argument("--confirm", metavar="ORG", help="its permalink once more: do not ask")
            action.add_argument("--json", action="store_true", help="print it for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        context, action = operation_context(), options["action"]
        if action == "list":
            found = map(shown.organization, organizations.visible(context))
            return self.print_rows(found, as_json=options["json"])
        if action == "add":
            row = organizations.create(self._values(options), context)
        else:
            row = organization_named(options["organization"])
        if action == "delete":
            return confirm(self, row, options["confirm"], context)
        if action == "set":
            row = organizations.change(row, self._values(options), context)
        elif action in ("suspend", "resume"):
            row = organizations.change(row, organizations.suspension(options.get("reason"), context), context)
        return self.print_row(shown.organization(row), as_json=options["json"])

    def _values(self, options: dict[str, Any]) -> dict[str, Any]:
        found = values.given(options, ("name", *VALUES))
        if options["ip_pool"] is not None:
            found["ip_pools"] = [pool_named(name) for name in options["ip_pool"]]
        return found


def pool_named(name: str) -> IPPool:
    pools = {pool.name: pool for pool in IPPool.objects.all()}
    if name not in pools:
        raise CommandError(f"--ip-pool: There is no pool {name}. There are: {', '.join(pools) or 'none'}.")
    return pools[name]
