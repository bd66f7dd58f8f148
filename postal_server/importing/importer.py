"""Take over a Postal installation: its configuration rows, suppression lists, tracked links and messages.

Everything is recognised again by its uuid, key or token, so that an import can be repeated. Rows come from
`Source`s, a dump or a live database. Texts of messages stay behind: only what bounces, opens and clicks of
mail already sent need is taken.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any, Protocol
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Max, Model

from postal_server.errors import HostileInput
from postal_server.mail.address import domain_key, suppression_key
from postal_server.models import (
    AdditionalRouteEndpoint,
    AddressEndpoint,
    Credential,
    Domain,
    HTTPEndpoint,
    ImportedToken,
    IPAddress,
    IPPool,
    IPPoolRule,
    Link,
    Message,
    Organization,
    Route,
    Server,
    SMTPEndpoint,
    Suppression,
    TrackDomain,
    Webhook,
)
from postal_server.rules.status import CredentialType, RouteMode
from postal_server.services.acceptance import storage
from postal_server.services.shared import credential

Row = Mapping[str, Any]


class Columns(dict[str, Any]):
    """A row. A column that the Postal of its time did not have yet is null."""

    def __missing__(self, name: str) -> None:
        return None


MAIN_TABLES = (
    "ip_pools",
    "ip_addresses",
    "organizations",
    "organization_ip_pools",
    "servers",
    "ip_pool_rules",
    "credentials",
    "domains",
    "track_domains",
    "http_endpoints",
    "smtp_endpoints",
    "address_endpoints",
    "routes",
    "additional_route_endpoints",
    "webhooks",
    "webhook_events",
)
LEFT_BEHIND = {
    "users": "make administrators with `postal-server make-user`",
    "user_invites": "there are no invitations",
}
MESSAGE_TABLES = ("suppressions", "messages", "links")
BATCH = 500
ENDPOINTS: Mapping[str, str] = {
    "HTTPEndpoint": "http_endpoint",
    "SMTPEndpoint": "smtp_endpoint",
    "AddressEndpoint": "address_endpoint",
}


class Source(Protocol):
    """Where rows come from."""

    def rows(self, tables: Collection[str]) -> Iterable[tuple[str, Row]]:
        """(table, row) of these tables, in any order. Raises `HostileInput` or `OSError`."""


@dataclass
class Report:
    """What an import did, or would do: counts by kind, and what it could not take over.

    `mail_domains` are those that the installation is known to send to: its own, and those of address
    endpoints. (In order, each once.)
    """

    made: Tally[str] = field(default_factory=Tally)
    updated: Tally[str] = field(default_factory=Tally)
    problems: list[str] = field(default_factory=list)
    mail_domains: dict[str, None] = field(default_factory=dict)


class DryRun(Exception):
    """Ends the transaction of an import that only shows what it would do."""


class Importer:
    """One import. `allowed` tells whether posts may go to a host, for endpoints on private addresses."""

    def __init__(self, is_allowed: Callable[[str], bool], progress: Callable[[str, int], None]) -> None:
        self._is_allowed = is_allowed
        self._progress = progress
        self.report = Report()
        self._rows: dict[str, list[Row]] = {}
        self._known: dict[str, dict[int, Any]] = {}  # kind -> Postal's id -> our row

    def run(self, main: Source, of_servers: Mapping[int, Source], *, dry_run: bool) -> Report:
        """Import `main`, then each server's message database (keyed by Postal's server id)."""
        try:
            with transaction.atomic():
                self._import_main(main)
                for server_id, source in of_servers.items():
                    self._import_messages(server_id, source)
                if dry_run:
                    raise DryRun
        except DryRun:
            pass
        return self.report

    # --- the main database ---

    def _import_main(self, source: Source) -> None:
        for table, row in source.rows((*MAIN_TABLES, *LEFT_BEHIND)):
            self._rows.setdefault(table, []).append(Columns(row))
        for table, advice in LEFT_BEHIND.items():
            if self._rows.get(table):
                self.report.problems.append(f"{table}: {len(self._rows[table])} not taken over; {advice}.")
        steps: tuple[tuple[str, Callable[[Row], None]], ...] = (
            ("ip_pools", self._ip_pool),
            ("ip_addresses", self._ip_address),
            ("organizations", self._organization),
            ("organization_ip_pools", self._organization_ip_pool),
            ("servers", self._server),
            ("ip_pool_rules", self._ip_pool_rule),
            ("credentials", self._credential),
            ("domains", self._domain),
            ("track_domains", self._track_domain),
            ("http_endpoints", self._http_endpoint),
            ("smtp_endpoints", self._smtp_endpoint),
            ("address_endpoints", self._address_endpoint),
            ("routes", self._route),
            ("additional_route_endpoints", self._additional_endpoint),
            ("webhooks", self._webhook),
        )
        for table, step in steps:
            for row in self._rows.get(table, ()):
                self._take(table, step, row)
            self._progress(table, len(self._rows.get(table, ())))

    def _take(self, table: str, step: Callable[[Row], None], row: Row) -> None:
        """One row. Raises `HostileInput` that names it where it is none of Postal's."""
        try:
            step(row)
        except (AttributeError, TypeError, ValueError, ValidationError) as error:
            raise HostileInput(f"{table}: row {row['id']} cannot be read ({error}).") from error

    def _keep(self, kind: str, row: Row, model: type[Model], values: dict[str, Any], **lookup: Any) -> None:
        """Make or update the row that `lookup` finds, and remember it under Postal's id.

        A row that clashes with one that is here already (same key, name or token) is a problem, left out.
        """
        try:
            with transaction.atomic():
                found, made = model._default_manager.update_or_create(
                    **(lookup or {"uuid": row["uuid"]}), defaults=values
                )
        except IntegrityError:
            name = row.get("name") or row.get("address") or row["id"]
            self.report.problems.append(f"{kind} {name}: there is another one like it here; left out.")
            return
        (self.report.made if made else self.report.updated)[kind] += 1
        self._known.setdefault(kind, {})[int(row["id"])] = found

    def _owner(self, kind: str, row: Row, column: str, what: str) -> Any:
        """The imported row that `column` refers to; a missing one is a problem of `what`."""
        found = self._known.get(kind, {}).get(row[column] or 0)
        if found is None:
            self.report.problems.append(f"{what}: its {kind} {row[column]} is not in the import; left out.")
        return found

    def _ip_pool(self, row: Row) -> None:
        self._keep("IP pool", row, IPPool, {"name": row["name"] or "", "default": bool(row["default"])})

    def _ip_address(self, row: Row) -> None:
        what = f"IP address {row['ipv4']}"
        pool = self._owner("IP pool", row, "ip_pool_id", what)
        if pool is None:
            return
        try:
            ipv4 = str(IPv4Address(row["ipv4"]))
            ipv6 = str(IPv6Address(row["ipv6"])) if row["ipv6"] else None
        except ValueError:
            self.report.problems.append(f"{what}: not an address; left out.")
            return
        if ipv6 and IPAddress.objects.filter(ipv6=ipv6).exclude(ipv4=ipv4).exists():
            self.report.problems.append(f"{what}: another has {ipv6} as well; left out.")
            return
        values = {
            "ip_pool": pool,
            "ipv6": ipv6,
            "hostname": row["hostname"] or "",
            "priority": 100 if row["priority"] is None else min(max(row["priority"], 0), 100),
        }
        self._keep("IP address", row, IPAddress, values, ipv4=ipv4)

    def _organization_ip_pool(self, row: Row) -> None:
        what = "IP pool of an organization"
        pool = self._owner("IP pool", row, "ip_pool_id", what)
        organization = self._owner("organization", row, "organization_id", what)
        if pool is not None and organization is not None:
            organization.ip_pools.add(pool)

    def _ip_pool_rule(self, row: Row) -> None:
        kind = "server" if row["owner_type"] == "Server" else "organization"
        owner = self._owner(kind, row, "owner_id", "IP pool rule")
        pool = self._owner("IP pool", row, "ip_pool_id", "IP pool rule")
        if owner is None or pool is None:
            return
        self._keep("IP pool rule", row, IPPoolRule, {
            "server": owner if kind == "server" else None,
            "organization": owner if kind == "organization" else None,
            "ip_pool": pool,
            "from_text": row["from_text"] or "",
            "to_text": row["to_text"] or "",
        })  # fmt: skip

    def _organization(self, row: Row) -> None:
        """One with the same permalink is taken for the same: SMTP user names begin with it."""
        same = Organization.objects.filter(permalink=row["permalink"]).exclude(uuid=row["uuid"])
        if same.update(uuid=row["uuid"]):
            self.report.problems.append(
                f"organization {row['name']}: there was one with its permalink already; they are one now."
            )
        self._keep("organization", row, Organization, {
            "name": row["name"],
            "permalink": row["permalink"],
            "time_zone": row["time_zone"] or "UTC",
            **_suspension(row),
        })  # fmt: skip

    def _server(self, row: Row) -> None:
        owner = self._owner("organization", row, "organization_id", f"server {row['name']}")
        if owner is None:
            return
        pool = (
            self._owner("IP pool", row, "ip_pool_id", f"server {row['name']}") if row["ip_pool_id"] else None
        )
        if row["domains_not_to_click_track"]:
            self.report.problems.append(
                f"server {row['name']}: domains_not_to_click_track is not taken over; "
                "list them as excluded click domains of its tracking domains."
            )
        numbers = {
            name: row[name]
            for name in (
                "message_retention_days",
                "raw_message_retention_days",
                "raw_message_retention_size",
                "spam_threshold",
                "spam_failure_threshold",
            )
            if row[name] is not None
        }
        self._keep("server", row, Server, {
            "organization": owner,
            "name": row["name"],
            "permalink": row["permalink"],
            "token": row["token"],
            "mode": row["mode"] or "Live",
            "ip_pool": pool,
            "send_limit": row["send_limit"],
            "outbound_spam_threshold": row["outbound_spam_threshold"],
            "postmaster_address": row["postmaster_address"] or "",
            "allow_sender": bool(row["allow_sender"]),
            "privacy_mode": bool(row["privacy_mode"]),
            "log_smtp_data": bool(row["log_smtp_data"]),
            **numbers,
            **_suspension(row),
        })  # fmt: skip

    def _credential(self, row: Row) -> None:
        what = f"credential {row['name']}"
        server = self._owner("server", row, "server_id", what)
        if server is None:
            return
        try:
            kind = CredentialType(row["type"])
            values: dict[str, Any] = {"key_digest": None, "key_encrypted": "", "network": None}
            if kind is CredentialType.SMTP_IP:
                values["network"] = str(ip_network(row["key"], strict=False))
            else:
                values["key_digest"] = credential.digest(row["key"])
                if kind is CredentialType.SMTP:
                    values["key_encrypted"] = credential.encrypt(row["key"])
        except (TypeError, ValueError):
            self.report.problems.append(f"{what}: its type or network cannot be used; left out.")
            return
        self._keep("credential", row, Credential, {
            "server": server,
            "type": kind.value,
            "name": row["name"] or kind.value,
            "hold": bool(row["hold"]),
            "last_used_at": _time(row["last_used_at"]),
            **values,
        })  # fmt: skip

    def _domain(self, row: Row) -> None:
        owner_type = row["owner_type"] or "Server"
        kind = "server" if owner_type == "Server" else "organization"
        column = "owner_id" if row["owner_id"] is not None else "server_id"
        owner = self._owner(kind, row, column, f"domain {row['name']}")
        if owner is None:
            return
        self.report.mail_domains[str(row["name"]).lower()] = None
        checks = {
            f"{check}_{part}": row[f"{check}_{part}"] or ""
            for check in ("spf", "dkim", "mx", "return_path")
            for part in ("status", "error")
        }
        self._keep("domain", row, Domain, {
            "server": owner if kind == "server" else None,
            "organization": owner if kind == "organization" else None,
            "name": domain_key(row["name"]),
            "verification_token": row["verification_token"] or "",
            "verified_at": _time(row["verified_at"]),
            "use_for_any": bool(row["use_for_any"]),
            "dkim_suffix": row["dkim_identifier_string"] or "",
            "dkim_private_key": row["dkim_private_key"] or "",
            "dns_checked_at": _time(row["dns_checked_at"]),
            **checks,
        })  # fmt: skip

    def _track_domain(self, row: Row) -> None:
        what = f"tracking domain {row['name']}"
        server = self._owner("server", row, "server_id", what)
        domain = self._owner("domain", row, "domain_id", what)
        if server is None or domain is None:
            return
        self._keep("tracking domain", row, TrackDomain, {
            "server": server,
            "domain": domain,
            "name": row["name"],
            "ssl_enabled": bool(row["ssl_enabled"]),
            "track_clicks": bool(row["track_clicks"]),
            "track_loads": bool(row["track_loads"]),
            "excluded_click_domains": row["excluded_click_domains"] or "",
            "dns_checked_at": _time(row["dns_checked_at"]),
            "dns_status": row["dns_status"] or "",
            "dns_error": row["dns_error"] or "",
        })  # fmt: skip

    def _http_endpoint(self, row: Row) -> None:
        server = self._owner("server", row, "server_id", f"HTTP endpoint {row['name']}")
        if server is None:
            return
        self._warn_of_private_host(f"HTTP endpoint {row['name']}", row["url"])
        self._keep("HTTPEndpoint", row, HTTPEndpoint, {
            "server": server,
            "name": row["name"] or "",
            "url": row["url"] or "",
            "encoding": row["encoding"] or "BodyAsJSON",
            "format": row["format"] or "Hash",
            "strip_replies": bool(row["strip_replies"]),
            "include_attachments": bool(row["include_attachments"]),
            "timeout": row["timeout"] or 5,
        })  # fmt: skip

    def _smtp_endpoint(self, row: Row) -> None:
        server = self._owner("server", row, "server_id", f"SMTP endpoint {row['name']}")
        if server is not None:
            self._keep("SMTPEndpoint", row, SMTPEndpoint, {
                "server": server,
                "name": row["name"] or "",
                "hostname": row["hostname"] or "",
                "port": row["port"],
                "ssl_mode": row["ssl_mode"] or "Auto",
            })  # fmt: skip

    def _address_endpoint(self, row: Row) -> None:
        server = self._owner("server", row, "server_id", f"address endpoint {row['address']}")
        if server is not None:
            self.report.mail_domains[str(row["address"]).rpartition("@")[2].lower()] = None
            self._keep("AddressEndpoint", row, AddressEndpoint, {"server": server, "address": row["address"]})

    def _route(self, row: Row) -> None:
        what = f"route {row['name']}"
        server = self._owner("server", row, "server_id", what)
        domain = None if row["domain_id"] is None else self._owner("domain", row, "domain_id", what)
        if server is None or (domain is None and row["domain_id"] is not None):
            return
        self._keep("route", row, Route, {
            "server": server,
            "domain": domain,
            "name": row["name"],
            "token": row["token"],
            "mode": row["mode"] or RouteMode.ENDPOINT.value,
            "spam_mode": row["spam_mode"] or "Mark",
            **self._endpoint(row, what),
        })  # fmt: skip

    def _additional_endpoint(self, row: Row) -> None:
        route = self._owner("route", row, "route_id", "additional endpoint")
        if route is None:
            return
        chosen = self._endpoint(row, f"route {route.name}")
        self._keep("additional endpoint", row, AdditionalRouteEndpoint, {}, route=route, **chosen)

    def _endpoint(self, row: Row, what: str) -> dict[str, Any]:
        """The three endpoint columns, of which one is set where the row names an endpoint."""
        chosen: dict[str, Any] = dict.fromkeys(ENDPOINTS.values())
        kind = row["endpoint_type"]
        if kind in ENDPOINTS and row["endpoint_id"] is not None:
            chosen[ENDPOINTS[kind]] = self._owner(kind, row, "endpoint_id", what)
        return chosen

    def _webhook(self, row: Row) -> None:
        server = self._owner("server", row, "server_id", f"webhook {row['name']}")
        if server is None:
            return
        self._warn_of_private_host(f"webhook {row['name']}", row["url"])
        events = [e["event"] for e in self._rows.get("webhook_events", ()) if e["webhook_id"] == row["id"]]
        self._keep("webhook", row, Webhook, {
            "server": server,
            "name": row["name"] or "",
            "url": row["url"] or "",
            "enabled": bool(row["enabled"]),
            "all_events": bool(row["all_events"]),
            "events": events,
            "last_used_at": _time(row["last_used_at"]),
        })  # fmt: skip

    def _warn_of_private_host(self, what: str, url: str | None) -> None:
        host = urlsplit(url or "").hostname or ""
        if not self._is_allowed(host):
            self.report.problems.append(
                f"{what}: {host or url} would be refused; "
                "list it in postal.allowed_request_destinations if that is wanted."
            )

    # --- a server's message database ---

    def _import_messages(self, server_id: int, source: Source) -> None:
        server = self._known.get("server", {}).get(server_id)
        if server is None:
            self.report.problems.append(f"message database of server {server_id}: there is no such server.")
            return
        batches: dict[str, list[Row]] = {table: [] for table in MESSAGE_TABLES}
        take = {
            "suppressions": self._suppressions,
            "messages": self._messages,
            "links": self._links,
        }
        ids: dict[int, int] = {}  # Postal's message id -> ours
        late_links: list[Row] = []
        for table, found in source.rows(MESSAGE_TABLES):
            row = Columns(found)
            if table == "links":
                late_links.append(row)  # after all messages: they refer to them
                continue
            batches[table].append(row)
            if len(batches[table]) >= BATCH:
                take[table](server.pk, batches[table], ids)
                batches[table] = []
        for table in ("suppressions", "messages"):
            take[table](server.pk, batches[table], ids)
        for chunk in _chunks(late_links):
            self._links(server.pk, chunk, ids)
        storage.start_ids_above(Message.objects.aggregate(last=Max("id"))["last"] or 0)

    def _suppressions(self, server_id: int, rows: list[Row], ids: dict[int, int]) -> None:
        for row in rows:
            _, made = Suppression.objects.update_or_create(
                server_id=server_id,
                address=suppression_key(row["address"] or ""),
                defaults={
                    "reason": (row["reason"] or "")[:250],
                    "created_at": _epoch(row["timestamp"]),
                    "keep_until": _epoch(row["keep_until"]),
                },
            )
            (self.report.made if made else self.report.updated)["suppression"] += 1
        self._progress("suppressions", len(rows))

    def _messages(self, server_id: int, rows: list[Row], ids: dict[int, int]) -> None:
        """Messages keep their ids where these are free: two of Postal's servers may use the same."""
        tokens = [row["token"] for row in rows]
        known = dict(ImportedToken.objects.filter(token__in=tokens).values_list("token", "message_id"))
        new = [row for row in rows if row["token"] not in known]
        taken = set(Message.objects.filter(pk__in=[row["id"] for row in new]).values_list("pk", flat=True))
        moved = [row for row in new if row["id"] in taken]
        if moved:
            above = max(Message.objects.aggregate(last=Max("id"))["last"] or 0, *(r["id"] for r in new))
            storage.start_ids_above(above)
            self.report.problems.append(
                f"{len(moved)} messages of server {server_id} have new ids: another server uses theirs."
            )
        fresh = iter(storage.allocate_ids(len(moved)))
        numbers = {row["token"]: next(fresh) if row["id"] in taken else int(row["id"]) for row in new}
        Message.objects.bulk_create([_message(server_id, numbers[row["token"]], row) for row in new])
        ImportedToken.objects.bulk_create(
            [ImportedToken(token=t, server_id=server_id, message_id=number) for t, number in numbers.items()]
        )
        ids.update({int(row["id"]): {**known, **numbers}[row["token"]] for row in rows})
        self.report.made["message"] += len(new)
        self.report.updated["message"] += len(known)
        self._progress("messages", len(rows))

    def _links(self, server_id: int, rows: list[Row], ids: dict[int, int]) -> None:
        tokens = [row["token"] for row in rows]
        known = set(Link.objects.filter(imported_token__in=tokens).values_list("imported_token", flat=True))
        new = [row for row in rows if row["token"] not in known]
        Link.objects.bulk_create(
            [
                Link(
                    server_id=server_id,
                    message_id=ids.get(row["message_id"] or 0, 0),
                    imported_token=row["token"],
                    url=row["url"] or "",
                    created_at=_epoch(row["timestamp"]),
                )
                for row in new
            ]
        )
        self.report.made["link"] += len(new)
        self.report.updated["link"] += len(known)
        self._progress("links", len(rows))


def _chunks(rows: list[Row]) -> Iterator[list[Row]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]


def _message(server_id: int, number: int, row: Row) -> Message:
    """A message without its text: what events about it say."""
    at = _epoch(row["timestamp"])
    message_id = row["message_id"]
    day, digest = storage.message_id_key(message_id, at)
    return Message(
        id=number,
        server_id=server_id,
        scope=row["scope"],
        rcpt_to=row["rcpt_to"],
        mail_from=row["mail_from"] or None,
        subject=row["subject"],
        message_id=message_id,
        message_id_day=day,
        message_id_hash=digest,
        tag=row["tag"],
        status=row["status"] or "Pending",
        size_bytes=int(row["size"] or 0),
        is_bounce=bool(row["bounce"]),
        bounce_for_id=row["bounce_for_id"] or None,
        is_inspected=bool(row["inspected"]),
        is_spam=bool(row["spam"]),
        spam_score=float(row["spam_score"] or 0.0),
        created_at=at,
    )


def _suspension(row: Row) -> dict[str, Any]:
    return {
        "suspended_at": _time(row["suspended_at"]),
        "suspension_reason": row["suspension_reason"] or "",
        "deleted_at": _time(row["deleted_at"]),
    }


def _time(value: Any) -> datetime | None:
    """A DATETIME of Postal's, which are all UTC."""
    if value is None or isinstance(value, datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=timezone.utc)
    return datetime.fromisoformat(str(value)).replace(tzinfo=timezone.utc)


def _epoch(value: Any) -> datetime:
    """Seconds since 1970, as Postal's message databases keep times."""
    return datetime.fromtimestamp(float(value or 0), timezone.utc)
