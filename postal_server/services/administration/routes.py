"""Routes of incoming mail, and the endpoints that they lead to."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from django.db.models import Model, QuerySet

from postal_server.errors import InvalidValues
from postal_server.models import AddressEndpoint, Domain, HTTPEndpoint, Route, Server, SMTPEndpoint
from postal_server.rules.status import RouteMode
from postal_server.services.operations.context import OperationContext

from . import rows
from .rows import Values

Endpoint: TypeAlias = HTTPEndpoint | SMTPEndpoint | AddressEndpoint
ENDPOINT_NAMES = ("http_endpoint", "smtp_endpoint", "address_endpoint")
E = TypeVar("E", HTTPEndpoint, SMTPEndpoint, AddressEndpoint)
TAKES = ("name", "domain", "mode", "spam_mode", *ENDPOINT_NAMES)
TAKEN_BY: dict[type[Model], tuple[str, ...]] = {
    HTTPEndpoint: ("name", "url", "encoding", "format", "strip_replies", "include_attachments", "timeout"),
    SMTPEndpoint: ("name", "hostname", "port", "ssl_mode"),
    AddressEndpoint: ("address",),
}


def visible(context: OperationContext) -> QuerySet[Route]:
    """Those that the actor may know of, in the order they were made in."""
    found = Route.objects.select_related("server__organization", "domain", *ENDPOINT_NAMES).order_by("pk")
    return rows.in_places_of(found, context, "server__organization", server="server")


def create(server: Server, values: Values, context: OperationContext) -> Route:
    """A new route. Raises `InvalidValues` where its endpoints do not fit its mode or its mail server."""
    _check_owners(server, values)
    route = Route(server=server)
    _check_mode({"mode": route.mode, **values})
    return rows.create(route, values, context, takes=TAKES)


def change(route: Route, values: Values, context: OperationContext, version: str | None = None) -> Route:
    _check_owners(route.server, values)
    return rows.change(
        route, values, context, takes=TAKES, version=version, before_saving=lambda row: _check_mode(_of(row))
    )


def delete(route: Route, context: OperationContext) -> None:
    """Mail for it is refused from now on."""
    rows.delete(route, context)


def endpoint_of(route: Route) -> Endpoint | None:
    """Where its mail goes."""
    return route.http_endpoint or route.smtp_endpoint or route.address_endpoint


# Endpoints


def visible_endpoints(kind: type[E], context: OperationContext) -> QuerySet[E]:
    """Endpoints of one kind that the actor may know of."""
    found = kind._default_manager.select_related("server__organization").order_by("pk")
    return rows.in_places_of(found, context, "server__organization", server="server")


def create_endpoint(kind: type[E], server: Server, values: Values, context: OperationContext) -> E:
    return rows.create(kind(server=server), values, context, takes=TAKEN_BY[kind])


def change_endpoint(endpoint: E, values: Values, context: OperationContext, version: str | None = None) -> E:
    return rows.change(endpoint, values, context, takes=TAKEN_BY[type(endpoint)], version=version)


def name_of(endpoint: Endpoint) -> str:
    """The value of a route that leads to such an endpoint."""
    return {
        HTTPEndpoint: "http_endpoint",
        SMTPEndpoint: "smtp_endpoint",
        AddressEndpoint: "address_endpoint",
    }[type(endpoint)]


def delete_endpoint(endpoint: Endpoint, context: OperationContext) -> None:
    """Delete an endpoint that no route leads to. Raises `InvalidValues` naming one that does."""
    used_by = Route.objects.filter(**{name_of(endpoint): endpoint}).select_related("domain").first()
    if used_by is not None:
        raise InvalidValues({"": [f"The route {used_by} leads to it: change that first."]})
    rows.delete(endpoint, context)


def _of(route: Route) -> Values:
    return {"mode": route.mode, **{name: getattr(route, name) for name in ENDPOINT_NAMES}}


def _check_mode(values: Values) -> None:
    """A route in mode Endpoint has exactly one endpoint, the others none."""
    chosen = [name for name in ENDPOINT_NAMES if values.get(name) is not None]
    is_endpoint = values.get("mode") == RouteMode.ENDPOINT.value
    if len(chosen) == is_endpoint:
        return
    if is_endpoint:
        raise InvalidValues({"mode": ["A route in mode Endpoint has one endpoint."]})
    raise InvalidValues({name: [f"A route in mode {values.get('mode')} has no endpoint."] for name in chosen})


def _check_owners(server: Server, values: Values) -> None:
    """What a route refers to is of its own mail server, or its domain of the organization."""
    for name in ENDPOINT_NAMES:
        endpoint = values.get(name)
        if endpoint is not None and endpoint.server_id != server.pk:
            raise InvalidValues({name: ["It belongs to another mail server."]})
    domain = values.get("domain")
    if isinstance(domain, Domain) and not _may_use(server, domain):
        raise InvalidValues({"domain": ["It belongs to another mail server."]})


def _may_use(server: Server, domain: Domain) -> bool:
    return domain.server_id == server.pk or domain.organization_id == server.organization_id
