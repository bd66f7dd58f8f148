"""`postal-server routes`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server.management import values
from postal_server.management.base import operation_context, server_named
from postal_server.models import AddressEndpoint, HTTPEndpoint, Route, Server, SMTPEndpoint
from postal_server.rules.status import RouteMode, SpamMode
from postal_server.services.administration import domains, routes, rows, shown
from postal_server.services.administration.audit import without_user_info
from postal_server.services.administration.routes import E, Endpoint
from postal_server.services.administration.rows import Values
from postal_server.services.operations.context import OperationContext

ACTIONS = {
    "list": "routes, and where their mail goes",
    "show": "one route with its endpoint",
    "add": "have mail for an address go to an application, a host, another address, or nowhere",
    "set": "change where mail for an address goes",
    "delete": "delete a route: its mail is refused from then on",
}
TO = "http:// or https:// URL that it is posted to, smtp://HOST[:PORT] that it is handed to, or an address"
OF_HTTP = {"format": "Hash or RawMessage", "timeout": "seconds that the application has to answer"}
OF_HTTP_FLAGS = {"strip_replies": "leave out what replies quote?", "include_attachments": "post attachments?"}
SSL_MODES = {"smtp": "Auto", "smtps": "TLS"}


class Command(values.ValuesCommand):
    help = "List, add, change and delete the routes of incoming mail."
    columns = ("id", "server", "address", "mode", "spam_mode", "to")

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, action in self.actions_of(parser, ACTIONS):
            if name in ("list", "add"):
                action.add_argument(
                    "--server", metavar="ORG/SERVER", required=name == "add", help="of this mail server"
                )
            if name == "add":
                action.add_argument(
                    "address", metavar="ADDRESS", help="such as reply@example.com, *@example.com"
                )
            elif name != "list":
                action.add_argument("id", type=int, metavar="ID", help="its number, as listed")
            if name in ("add", "set"):
                action.add_argument("--to", metavar="URL", help=TO)
                modes = [mode.value for mode in RouteMode if mode is not RouteMode.ENDPOINT]
                action.add_argument("--mode", choices=modes, help="instead of --to: what becomes of its mail")
                spam_modes = [mode.value for mode in SpamMode]
                action.add_argument("--spam-mode", choices=spam_modes, help="what becomes of spam")
                values.add_options(action, OF_HTTP, OF_HTTP_FLAGS)
            action.add_argument("--json", action="store_true", help="print it for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        context, action = operation_context(), options["action"]
        if action == "list":
            found = routes.visible(context)
            if options["server"]:
                found = found.filter(server=server_named(options["server"]))
            listed = [{**shown.route(row), "to": _target(row)} for row in found]
            return self.print_rows(listed, as_json=options["json"])
        if action == "add":
            row = self._add(options, context)
        else:
            row = rows.find(routes.visible(context), context, pk=options["id"])
        if action == "delete":
            routes.delete(row, context)
            return self.stdout.write(f"The route {row} is deleted.")
        if action == "set":
            with context.write_transaction():
                row = routes.change(row, self._values(options, row.server, context), context)
        route = shown.route(row)
        if not options["json"]:
            route["endpoint"] = _target(row)
        return self.print_row(route, as_json=options["json"])

    def _add(self, options: dict[str, Any], context: OperationContext) -> Route:
        server = server_named(options["server"])
        name, at, domain = options["address"].rpartition("@")
        found = domains.visible(context, server=server).filter(name=domain.lower()).first() if at else None
        if found is None:
            known = (
                ", ".join(domains.visible(context, server=server).values_list("name", flat=True)) or "none"
            )
            raise CommandError(f"{server} has no domain {domain}. It has: {known}. `domains add` adds one.")
        if not options["to"] and not options["mode"]:
            raise CommandError("Say where its mail goes (--to), or what becomes of it (--mode).")
        with context.write_transaction():
            given = {"name": name.lower(), "domain": found, **self._values(options, server, context)}
            return routes.create(server, given, context)

    def _values(self, options: dict[str, Any], server: Server, context: OperationContext) -> dict[str, Any]:
        if options["to"] and options["mode"]:
            raise CommandError("Give --to or --mode: in each of these modes, mail goes nowhere.")
        found: dict[str, Any] = values.given(options, ("spam_mode",))
        none = dict.fromkeys(routes.ENDPOINT_NAMES)
        if options["mode"]:
            found |= {"mode": options["mode"], **none}
        if options["to"]:
            endpoint = endpoint_to(options["to"], options, server, context)
            found |= {"mode": RouteMode.ENDPOINT.value, **none, routes.name_of(endpoint): endpoint}
        return found


def endpoint_to(text: str, options: dict[str, Any], server: Server, context: OperationContext) -> Endpoint:
    """The endpoint of a mail server that a text names, made if it is not there."""
    scheme, _, rest = text.partition("://")
    if not rest:
        return _endpoint(AddressEndpoint, {"address": text}, server, context)
    if scheme in SSL_MODES:
        host, _, port = rest.rstrip("/").partition(":")
        named = {"name": rest[:255], "hostname": host, "port": port or None, "ssl_mode": SSL_MODES[scheme]}
        return _endpoint(SMTPEndpoint, named, server, context)
    given = values.given(options, OF_HTTP, OF_HTTP_FLAGS)
    return _endpoint(
        HTTPEndpoint, {"name": without_user_info(text)[:255], "url": text, **given}, server, context
    )


def _endpoint(kind: type[E], given: Values, server: Server, context: OperationContext) -> E:
    found = routes.visible_endpoints(kind, context).filter(server=server, **given).first()
    return found or routes.create_endpoint(kind, server, given, context)


def _target(row: Route) -> str:
    endpoint = shown.route(row)["endpoint"] or {}
    return str(endpoint.get("url") or endpoint.get("address") or endpoint.get("hostname") or "")
