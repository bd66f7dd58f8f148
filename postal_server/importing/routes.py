"""Import routes and their endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postal_server.models import AdditionalRouteEndpoint, AddressEndpoint, HTTPEndpoint, Route, SMTPEndpoint
from postal_server.rules.status import RouteMode

from .records import Records
from .source import Row

ENDPOINTS: Mapping[str, str] = {
    "HTTPEndpoint": "http_endpoint",
    "SMTPEndpoint": "smtp_endpoint",
    "AddressEndpoint": "address_endpoint",
}


def import_http_endpoint(row: Row, records: Records) -> None:
    """An HTTP endpoint. A host that posts would be refused to is a problem."""
    server = records.owner("server", row, "server_id", f"HTTP endpoint {row['name']}")
    if server is None:
        return
    records.check_host(f"HTTP endpoint {row['name']}", row["url"])
    records.keep("HTTPEndpoint", row, HTTPEndpoint, {
        "server": server,
        "name": row["name"] or "",
        "url": row["url"] or "",
        "encoding": row["encoding"] or "BodyAsJSON",
        "format": row["format"] or "Hash",
        "strip_replies": bool(row["strip_replies"]),
        "include_attachments": bool(row["include_attachments"]),
        "timeout": row["timeout"] or 5,
    })  # fmt: skip


def import_smtp_endpoint(row: Row, records: Records) -> None:
    """An SMTP endpoint."""
    server = records.owner("server", row, "server_id", f"SMTP endpoint {row['name']}")
    if server is not None:
        records.keep("SMTPEndpoint", row, SMTPEndpoint, {
            "server": server,
            "name": row["name"] or "",
            "hostname": row["hostname"] or "",
            "port": row["port"],
            "ssl_mode": row["ssl_mode"] or "Auto",
        })  # fmt: skip


def import_address_endpoint(row: Row, records: Records) -> None:
    """An address endpoint."""
    server = records.owner("server", row, "server_id", f"address endpoint {row['address']}")
    if server is not None:
        records.report.mail_domains[str(row["address"]).rpartition("@")[2].lower()] = None
        records.keep("AddressEndpoint", row, AddressEndpoint, {"server": server, "address": row["address"]})


def import_route(row: Row, records: Records) -> None:
    """A route, with its main endpoint."""
    what = f"route {row['name']}"
    server = records.owner("server", row, "server_id", what)
    domain = None if row["domain_id"] is None else records.owner("domain", row, "domain_id", what)
    if server is None or (domain is None and row["domain_id"] is not None):
        return
    records.keep("route", row, Route, {
        "server": server,
        "domain": domain,
        "name": row["name"],
        "token": row["token"],
        "mode": row["mode"] or RouteMode.ENDPOINT.value,
        "spam_mode": row["spam_mode"] or "Mark",
        **_endpoint_columns(row, records, what),
    })  # fmt: skip


def import_additional_endpoint(row: Row, records: Records) -> None:
    """A further endpoint of a route."""
    route = records.owner("route", row, "route_id", "additional endpoint")
    if route is None:
        return
    chosen = _endpoint_columns(row, records, f"route {route.name}")
    records.keep("additional endpoint", row, AdditionalRouteEndpoint, {}, route=route, **chosen)


def _endpoint_columns(row: Row, records: Records, what: str) -> dict[str, Any]:
    """The three endpoint columns, of which one is set where the row names an endpoint."""
    chosen: dict[str, Any] = dict.fromkeys(ENDPOINTS.values())
    kind = row["endpoint_type"]
    if kind in ENDPOINTS and row["endpoint_id"] is not None:
        chosen[ENDPOINTS[kind]] = records.owner(kind, row, "endpoint_id", what)
    return chosen
