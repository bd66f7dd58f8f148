"""`postal-server domains`."""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import CommandError
from django.db.models import QuerySet

from postal_server.installation import records
from postal_server.management import values
from postal_server.management.base import operation_context, organization_named, server_named
from postal_server.models import Domain
from postal_server.runtime.resolver import ask_now
from postal_server.services.administration import domains, shown
from postal_server.services.operations.context import OperationContext
from postal_server.services.operations.domain_checks import CHECKS

ACTIONS = {
    "list": "domains, and how their DNS records stand",
    "show": "one domain, with the records to publish",
    "records": "the records to publish, as lines of a zone file",
    "add": "add a domain, with a key of its own",
    "set": "change what a domain may send",
    "check": "look up the records of domains now",
    "delete": "delete a domain: nobody sends from it any more",
}
FLAGS = {
    "use_for_any": "may it send for any sender address?",
    "only_where_caught": "that only where all mail is caught?",
}


class Command(values.ValuesCommand):
    help = "List, add, check and delete domains, and show the DNS records they need."
    columns = ("id", "name", "server", "organization", "verified_at", *CHECKS)

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            if name == "check":
                action.add_argument("names", nargs="*", metavar="DOMAIN", help="these; all by default")
            elif name != "list":
                action.add_argument("name", metavar="DOMAIN", help="its name")
            owner = action.add_mutually_exclusive_group(required=name == "add")
            owner.add_argument("--server", metavar="ORG/SERVER", help="of this mail server")
            owner.add_argument(
                "--organization", metavar="ORG", help="of this organization, for all its mail servers"
            )
            if name in ("add", "set"):
                values.add_options(action, {}, FLAGS)
            if name != "records":
                action.add_argument("--json", action="store_true", help="print it for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        context, action = operation_context(), options["action"]
        if action in ("list", "check"):
            found = list(self._chosen(options, context))
            if action == "check":
                domains.check(found, context, ask_now)
            as_json = options["json"]
            values_of = partial(shown.domain_with_records, config=context.config) if as_json else shown.domain
            return self.print_rows([{**values_of(row), **_states(row)} for row in found], as_json=as_json)
        row = self._add(options, context) if action == "add" else self._named(options, context)
        if action == "records":
            return self.stdout.write("\n".join(records.of_domain(row, context.config)))
        if action == "delete":
            domains.delete(row, context)
            return self.stdout.write(f"{row.name} is deleted.")
        if action == "set":
            row = domains.change(row, values.given(options, (), FLAGS), context)
        return self._show(row, context, as_json=options["json"])

    def _chosen(self, options: dict[str, Any], context: OperationContext) -> QuerySet[Domain]:
        found = domains.visible(context)
        if options["server"]:
            found = domains.visible(context, server=server_named(options["server"]))
        if options["organization"]:
            found = found.filter(organization=organization_named(options["organization"]))
        if not options.get("names"):
            return found
        named = found.filter(name__in=options["names"])
        if missing := set(options["names"]) - {row.name for row in named}:
            raise CommandError(f"There is no domain {min(missing)}; `domains list` shows all.")
        return named

    def _named(self, options: dict[str, Any], context: OperationContext) -> Domain:
        found = list(self._chosen({**options, "names": [options["name"]]}, context))
        if len(found) > 1:
            owners = ", ".join(str(row.server or row.organization) for row in found)
            raise CommandError(f"Several have a domain {options['name']}: {owners}. Name one by --server.")
        return found[0]

    def _add(self, options: dict[str, Any], context: OperationContext) -> Domain:
        owner = (
            server_named(options["server"])
            if options["server"]
            else organization_named(options["organization"])
        )
        given = {"name": options["name"], **values.given(options, (), FLAGS)}
        return domains.create(owner, given, context)

    def _show(self, row: Domain, context: OperationContext, *, as_json: bool) -> None:
        if as_json:
            return self.print_json(shown.domain_with_records(row, context.config))
        found = shown.domain(row)
        plain = {name: value for name, value in found.items() if name not in ("dns", "dns_problems")}
        self.print_row({**plain, **_states(row)}, as_json=False)
        self.stdout.write("\nDNS records to publish:\n")
        return self.stdout.write("\n".join(records.of_domain(row, context.config)))


def _states(row: Domain) -> dict[str, str]:
    return {
        check: " ".join(
            filter(None, (getattr(row, f"{check}_status") or "unknown", getattr(row, f"{check}_error")))
        )
        for check in CHECKS
    }
