"""Read the configuration rows into a directory.

A field of an entry comes from the column of its name. What needs more than that is written down here.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import fields
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

from django.db.models import Model

from postal_server import conf
from postal_server.errors import ConfigurationError
from postal_server.mail.address import domain_key, suppression_key
from postal_server.models import (
    AdditionalRouteEndpoint,
    AddressEndpoint,
    Counter,
    Credential,
    Domain,
    HTTPEndpoint,
    IPAddress,
    IPPoolRule,
    QueueSuspension,
    Route,
    Server,
    SMTPEndpoint,
    Stream,
    TrackDomain,
    Webhook,
)
from postal_server.models.route import EndpointChoice
from postal_server.rules.classification import Ours
from postal_server.rules.classification.own_rules import parse_own_rules
from postal_server.rules.selection import Selection
from postal_server.rules.status import (
    CredentialType,
    EndpointType,
    RouteMode,
    ServerMode,
    SpamMode,
    SuppressedAs,
)
from postal_server.rules.stream import StreamFrom, StreamKind

from . import credential as credentials
from .delivery_policy import policy_of
from .directory import Directory
from .entries import (
    AddressEndpointEntry,
    CredentialEntry,
    DomainEntry,
    EndpointEntry,
    HTTPEndpointEntry,
    IPPoolRuleEntry,
    RouteEntry,
    ServerEntry,
    SMTPEndpointEntry,
    Source,
    SourceEntry,
    StreamEntry,
    TrackDomainEntry,
    WebhookEntry,
)

Entry = TypeVar("Entry")


def load() -> Directory:
    """The picture of now: one query a table. Deleted servers and what belongs to them are left out."""
    version = Counter.objects.filter(name="directory").values_list("value", flat=True).first() or 0
    servers = {server.id: server for server in _servers()}
    domains = {d.id: d for d in _domains() if d.server_id is None or d.server_id in servers}
    sources = {source.id: source for source in _sources()}
    return Directory(
        version=version,
        servers=servers,
        credentials={c.id: c for c in _credentials() if c.server_id in servers},
        domains=domains,
        routes={r.id: r for r in _routes() if r.server_id in servers},
        endpoints={(e.type.value, e.id): e for e in _endpoints() if e.server_id in servers},
        webhooks={w.id: w for w in _webhooks() if w.server_id in servers},
        streams={(s.server_id, s.name): s for s in _streams() if s.server_id in servers},
        track_domains={(t.server_id, t.domain_id): t for t in _track_domains() if t.server_id in servers},
        sources=sources,
        ip_pool_rules=tuple(_ip_pool_rules()),
        suspensions=_suspensions(),
        ours=_ours(sources.values(), domains.values(), conf.config()),
    )


def _ours(sources: Iterable[SourceEntry], domains: Iterable[DomainEntry], config: conf.Config) -> Ours:
    """What refusals of us name. Raises `ConfigurationError` for a rule that is none."""
    names = [config.dns.helo_hostname, config.postal.smtp_hostname, config.dns.return_path_domain]
    addresses: list[str] = []
    for entry in sources:
        names.append(entry.source.hostname)
        addresses += [entry.source.ipv4, entry.source.ipv6]
    for domain in domains:
        if domain.is_verified:
            names += [domain.name, f"{config.dns.custom_return_path_prefix}.{domain.name}"]
    try:
        rules = parse_own_rules(config.bounces.rules)
    except ValueError as error:
        raise ConfigurationError(f"bounces.rules: {error}.") from error
    return Ours(
        frozenset(str(ip_address(address)) for address in addresses if address),
        frozenset(domain_key(name) for name in names if name),
        rules,
    )


@functools.cache
def _field_names(entry: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(entry))


def from_row(entry: Callable[..., Entry], row: Model, **special: Any) -> Entry:
    """An entry of this type: its fields are the attributes of `row` of the same names, but for `special`.

    Raises AttributeError for a field that is neither.
    """
    plain = {name: getattr(row, name) for name in _field_names(entry) if name not in special}
    return entry(**plain, **special)


def _servers() -> list[ServerEntry]:
    rows = Server.objects.filter(deleted_at=None, organization__deleted_at=None)
    return [
        from_row(
            ServerEntry,
            row,
            uuid=str(row.uuid),
            organization_permalink=row.organization.permalink,
            mode=ServerMode(row.mode),
            suppressed_as=SuppressedAs(row.suppressed_as),
            stream_from=StreamFrom(row.stream_from),
            is_suspended=bool(row.suspended_at or row.organization.suspended_at),
        )
        for row in rows.select_related("organization")
    ]


def _credentials() -> list[CredentialEntry]:
    return [
        from_row(
            CredentialEntry,
            row,
            type=CredentialType(row.type),
            digest=row.key_digest or "",
            secret=credentials.decrypt(row.key_encrypted) if row.key_encrypted else "",
            network=ip_network(row.network, strict=False) if row.network else None,
        )
        for row in Credential.objects.all()
    ]


def _domains() -> list[DomainEntry]:
    is_caught = policy_of(conf.config()).catches_all
    return [
        from_row(
            DomainEntry,
            row,
            is_verified=row.verified_at is not None,
            use_for_any=row.use_for_any and (is_caught or not row.only_where_caught),
            is_signing=row.dkim_status == "OK" or (row.signs_unchecked and not row.dkim_status),
        )
        for row in Domain.objects.all()
    ]


def _chosen(row: EndpointChoice) -> tuple[str, int] | None:
    """The endpoint that a route or an additional endpoint names."""
    for type, number in (
        (EndpointType.HTTP, row.http_endpoint_id),
        (EndpointType.SMTP, row.smtp_endpoint_id),
        (EndpointType.ADDRESS, row.address_endpoint_id),
    ):
        if number is not None:
            return type.value, number
    return None


def _routes() -> list[RouteEntry]:
    additional: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for extra in AdditionalRouteEndpoint.objects.order_by("pk"):
        if chosen := _chosen(extra):
            additional[extra.route_id].append(chosen)
    entries = []
    for row in Route.objects.select_related("domain"):
        main = _chosen(row)
        mode = RouteMode(row.mode)
        if mode is RouteMode.ENDPOINT and main is None:
            mode = RouteMode.REJECT  # its endpoint was deleted (contract 4.1)
        entries.append(
            from_row(
                RouteEntry,
                row,
                domain_name=row.domain.name if row.domain else "",
                mode=mode,
                spam_mode=SpamMode(row.spam_mode),
                endpoints=(main, *additional[row.pk]) if main and mode is RouteMode.ENDPOINT else (),
            )
        )
    return entries


def _endpoints() -> list[EndpointEntry]:
    return [
        *(from_row(HTTPEndpointEntry, row) for row in HTTPEndpoint.objects.all()),
        *(from_row(SMTPEndpointEntry, row) for row in SMTPEndpoint.objects.all()),
        *(from_row(AddressEndpointEntry, row) for row in AddressEndpoint.objects.all()),
    ]


def _webhooks() -> list[WebhookEntry]:
    return [
        from_row(
            WebhookEntry,
            row,
            events=frozenset(row.events),
            is_gone=bool(row.disabled_reason) and not row.enabled,
        )
        for row in Webhook.objects.all()
    ]


def _streams() -> list[StreamEntry]:
    return [from_row(StreamEntry, row, kind=StreamKind(row.kind)) for row in Stream.objects.all()]


def _track_domains() -> list[TrackDomainEntry]:
    return [
        from_row(
            TrackDomainEntry,
            row,
            host=row.full_name,
            excluded_hosts=frozenset(row.excluded_click_domains.lower().split()),
            is_ok=row.dns_status == "OK",
        )
        for row in TrackDomain.objects.select_related("domain")
    ]


def _sources() -> list[SourceEntry]:
    return [
        from_row(
            SourceEntry,
            row,
            pool_id=row.ip_pool_id,
            source=Source(row.ipv4, row.ipv6 or "", row.hostname),
        )
        for row in IPAddress.objects.all()
    ]


def _ip_pool_rules() -> list[IPPoolRuleEntry]:
    return [
        from_row(
            IPPoolRuleEntry,
            row,
            pool_id=row.ip_pool_id,
            senders=_conditions(row.from_text),
            recipients=_conditions(row.to_text),
        )
        for row in IPPoolRule.objects.order_by("-pk")
    ]


def _conditions(text: str) -> frozenset[str]:
    """The addresses and domains of a rule, in the spelling that is compared."""
    return frozenset(suppression_key(word) if "@" in word else domain_key(word) for word in text.split())


def _suspensions() -> tuple[Selection, ...]:
    rows = QueueSuspension.objects.values_list("server_id", "destination", "tag")
    return tuple(Selection(server, destination, tag) for server, destination, tag in rows)
