"""Configuration rows in memory: what RCPT, AUTH, API keys and the pipeline look up without a database.

`load()` reads the tables once; `engine.directory` keeps the result fresh. Entries are plain frozen values.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from postal_server import conf
from postal_server.mail.address import domain_key, split_address, split_tag, suppression_key, unquoted
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
    TrackDomain,
    Webhook,
)
from postal_server.models.route import EndpointChoice
from postal_server.rules import route as route_rules
from postal_server.rules.selection import Selection
from postal_server.rules.status import CredentialType, EndpointType, RouteMode, ServerMode, SpamMode

from . import credential as credentials
from .work import Source


@dataclass(frozen=True)
class ServerEntry:
    id: int
    uuid: str
    name: str
    permalink: str
    organization_id: int
    organization_permalink: str
    token: str
    mode: ServerMode
    postmaster_address: str
    spam_threshold: float
    spam_failure_threshold: float
    outbound_spam_threshold: float | None
    send_limit: int | None
    allow_sender: bool
    privacy_mode: bool
    log_smtp_data: bool
    is_suspended: bool  # the server or its organisation
    ip_pool_id: int | None = None


@dataclass(frozen=True)
class CredentialEntry:
    id: int
    server_id: int
    type: CredentialType
    digest: str  # empty for SMTP-IP
    secret: str = field(repr=False)  # the SMTP key in clear, for CRAM-MD5; empty for the others
    network: IPv4Network | IPv6Network | None
    hold: bool


@dataclass(frozen=True)
class DomainEntry:
    id: int
    name: str
    server_id: int | None
    organization_id: int | None
    is_verified: bool
    use_for_any: bool
    dkim_suffix: str  # of the selector `<dkim_identifier>-<suffix>`
    dkim_private_key: str = field(repr=False)  # PEM, or empty
    dkim_ed25519_private_key: str = field(repr=False)
    is_signing: bool  # DNS has its key, or nobody looked and it is used all the same
    return_path_status: str


@dataclass(frozen=True)
class TrackDomainEntry:
    server_id: int
    domain_id: int
    host: str
    ssl_enabled: bool
    track_clicks: bool
    track_loads: bool
    excluded_hosts: frozenset[str]
    is_ok: bool


@dataclass(frozen=True)
class EndpointEntry:
    """An endpoint of any kind; `type` is Postal's class name. Unused fields are empty."""

    type: str
    id: int
    server_id: int
    name: str
    url: str = ""
    encoding: str = ""
    format: str = ""
    strip_replies: bool = False
    include_attachments: bool = True
    timeout: int = 5
    hostname: str = ""
    port: int | None = None
    ssl_mode: str = "Auto"
    address: str = ""


@dataclass(frozen=True)
class RouteEntry:
    id: int
    server_id: int
    name: str
    domain_id: int | None
    domain_name: str
    token: str
    mode: RouteMode
    spam_mode: SpamMode
    endpoints: tuple[tuple[str, int], ...]  # (type, id): the main one first, then additional ones


@dataclass(frozen=True)
class WebhookEntry:
    id: int
    server_id: int
    url: str
    enabled: bool
    all_events: bool
    events: frozenset[str]
    is_gone: bool  # switched off because its receiver said so: nothing is to be posted any more


@dataclass(frozen=True)
class SourceEntry:
    """An address that mail leaves from. `warm_up_from` is null for one that may send without limit."""

    id: int
    pool_id: int
    source: Source
    priority: int
    warm_up_from: date | None = None
    warm_up_first_day: int = 0
    warm_up_days: int = 0


@dataclass(frozen=True)
class IPPoolRuleEntry:
    """Mail from these senders, or to these recipients, leaves from the pool: addresses or domains."""

    pool_id: int
    server_id: int | None
    organization_id: int | None
    senders: frozenset[str]
    recipients: frozenset[str]


@dataclass(frozen=True)
class Directory:
    """A consistent picture of the configuration rows."""

    version: int
    servers: dict[int, ServerEntry] = field(default_factory=dict)
    credentials: dict[int, CredentialEntry] = field(default_factory=dict)
    domains: dict[int, DomainEntry] = field(default_factory=dict)
    routes: dict[int, RouteEntry] = field(default_factory=dict)
    endpoints: dict[tuple[str, int], EndpointEntry] = field(default_factory=dict)
    webhooks: dict[int, WebhookEntry] = field(default_factory=dict)
    track_domains: dict[tuple[int, int], TrackDomainEntry] = field(default_factory=dict)  # (server, domain)
    sources: dict[int, SourceEntry] = field(default_factory=dict)
    ip_pool_rules: tuple[IPPoolRuleEntry, ...] = ()  # newest first
    suspensions: tuple[Selection, ...] = ()  # parts of the queue that wait until they are resumed

    @cached_property
    def server_by_token(self) -> dict[str, ServerEntry]:
        return {server.token: server for server in self.servers.values()}

    def server_by_path(self, path: str) -> ServerEntry | None:
        """The server that an SMTP user name (`org/server` or `org_server`) means."""
        return self._server_by_path.get(path)

    def api_credential(self, key: str) -> CredentialEntry | None:
        """The API credential that has this key."""
        return self._by_key(key, CredentialType.API)

    def smtp_credential(self, key: str) -> CredentialEntry | None:
        """The SMTP credential that has this key."""
        return self._by_key(key, CredentialType.SMTP)

    def smtp_credentials(self, server_id: int) -> list[CredentialEntry]:
        """The server's SMTP credentials, whose keys CRAM-MD5 is tried with."""
        return self._smtp_credentials.get(server_id, [])

    def ip_credential(self, client: str) -> CredentialEntry | None:
        """The SMTP-IP credential of the narrowest network that holds the address `client`."""
        address = ip_address(client)
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return next((entry for entry in self._networks if entry.network and address in entry.network), None)

    def authorised_domain(self, server: ServerEntry, address: str) -> DomainEntry | None:
        """The domain that lets `server` send as `address` (contract 1.13); null if none does.

        The server's own domain of that name, else its organisation's, else one of its own for any sender.
        """
        name = domain_key(split_address(address)[1])
        return (
            self._own_domains.get((server.id, name))
            or self._shared_domains.get((server.organization_id, name))
            or self._any_domains.get(server.id)
        )

    def route_for(self, address: str) -> RouteEntry | None:
        """The route that takes mail for `address` (contract 4.1)."""
        local, domain = split_address(address)
        return route_rules.match(unquoted(local), domain_key(domain), self._routes_by_name)

    def route_by_token(self, local: str) -> tuple[RouteEntry, str | None] | None:
        """The route whose token is the name in a local part of the route domain, and the tag behind it."""
        name, tag = split_tag(local)
        found = self._routes_by_token.get(name)
        return (found, tag) if found else None

    def return_path_route(self, server_id: int) -> RouteEntry | None:
        """The server's route for reports that match no message."""
        return self._return_path_routes.get(server_id)

    def mail_domain(self, name: str) -> DomainEntry | None:
        """A verified domain of this name, a server's own first."""
        return self._mail_domains.get(domain_key(name))

    def server_of_domain(self, domain: DomainEntry) -> ServerEntry | None:
        """The server that owns the domain, or the first of the organisation that does."""
        if domain.server_id is not None:
            return self.servers.get(domain.server_id)
        owned = (s for s in self.servers.values() if s.organization_id == domain.organization_id)
        return min(owned, key=lambda server: server.id, default=None)

    def webhooks_for(self, server_id: int, event: str) -> list[WebhookEntry]:
        """The enabled webhooks of a server that want this event."""
        return [
            webhook
            for webhook in self._webhooks_of.get(server_id, [])
            if webhook.enabled and (webhook.all_events or event in webhook.events)
        ]

    def pool(self, pool_id: int | None) -> list[SourceEntry]:
        """The addresses of a pool; none without one."""
        return self._pools.get(pool_id, []) if pool_id is not None else []

    def pool_rules(self, server: ServerEntry) -> list[IPPoolRuleEntry]:
        """The rules for a server's mail: its own, then its organisation's, newest first."""
        if not self.ip_pool_rules:
            return []
        own = [rule for rule in self.ip_pool_rules if rule.server_id == server.id]
        return own + [r for r in self.ip_pool_rules if r.organization_id == server.organization_id]

    def _by_key(self, key: str, type: CredentialType) -> CredentialEntry | None:
        digest = credentials.digest(key)
        entry = self._by_digest.get(digest)
        if entry is None or entry.type is not type or not hmac.compare_digest(entry.digest, digest):
            return None
        return entry

    @cached_property
    def _by_digest(self) -> dict[str, CredentialEntry]:
        return {entry.digest: entry for entry in self.credentials.values() if entry.digest}

    @cached_property
    def _server_by_path(self) -> dict[str, ServerEntry]:
        found = {}
        for server in self.servers.values():
            found[f"{server.organization_permalink}_{server.permalink}"] = server
            found[f"{server.organization_permalink}/{server.permalink}"] = server
        return found

    @cached_property
    def _smtp_credentials(self) -> dict[int, list[CredentialEntry]]:
        found = defaultdict(list)
        for entry in self.credentials.values():
            if entry.type is CredentialType.SMTP:
                found[entry.server_id].append(entry)
        return dict(found)

    @cached_property
    def _networks(self) -> list[CredentialEntry]:
        entries = [entry for entry in self.credentials.values() if entry.network]
        return sorted(
            entries, key=lambda entry: entry.network.prefixlen if entry.network else 0, reverse=True
        )

    @cached_property
    def _verified(self) -> list[DomainEntry]:
        return [domain for domain in self.domains.values() if domain.is_verified]

    @cached_property
    def _own_domains(self) -> dict[tuple[int, str], DomainEntry]:
        return {(d.server_id, domain_key(d.name)): d for d in self._verified if d.server_id is not None}

    @cached_property
    def _shared_domains(self) -> dict[tuple[int, str], DomainEntry]:
        return {
            (d.organization_id, domain_key(d.name)): d
            for d in self._verified
            if d.organization_id is not None
        }

    @cached_property
    def _any_domains(self) -> dict[int, DomainEntry]:
        flagged = [d for d in self._verified if d.use_for_any and d.server_id is not None]
        by_name = sorted(flagged, key=lambda domain: domain.name, reverse=True)
        return {domain.server_id: domain for domain in by_name if domain.server_id is not None}

    @cached_property
    def _mail_domains(self) -> dict[str, DomainEntry]:
        shared_first = sorted(self._verified, key=lambda domain: domain.server_id is not None)
        return {domain_key(domain.name): domain for domain in shared_first}

    @cached_property
    def _routes_by_name(self) -> dict[tuple[str, str], RouteEntry]:
        named = (route for route in self.routes.values() if route.domain_name)
        return {(route.name.lower(), domain_key(route.domain_name)): route for route in named}

    @cached_property
    def _routes_by_token(self) -> dict[str, RouteEntry]:
        return {entry.token: entry for entry in self.routes.values()}

    @cached_property
    def _return_path_routes(self) -> dict[int, RouteEntry]:
        return {e.server_id: e for e in self.routes.values() if e.name == route_rules.RETURN_PATH}

    @cached_property
    def _pools(self) -> dict[int, list[SourceEntry]]:
        found = defaultdict(list)
        for source in self.sources.values():
            found[source.pool_id].append(source)
        return dict(found)

    @cached_property
    def _webhooks_of(self) -> dict[int, list[WebhookEntry]]:
        found = defaultdict(list)
        for webhook in self.webhooks.values():
            found[webhook.server_id].append(webhook)
        return dict(found)


def load() -> Directory:
    """The picture of now: one query a table. Deleted servers and what belongs to them are left out."""
    version = Counter.objects.filter(name="directory").values_list("value", flat=True).first() or 0
    servers = {server.id: server for server in _servers()}
    return Directory(
        version=version,
        servers=servers,
        credentials={c.id: c for c in _credentials() if c.server_id in servers},
        domains={d.id: d for d in _domains() if d.server_id is None or d.server_id in servers},
        routes={r.id: r for r in _routes() if r.server_id in servers},
        endpoints={(e.type, e.id): e for e in _endpoints() if e.server_id in servers},
        webhooks={w.id: w for w in _webhooks() if w.server_id in servers},
        track_domains={(t.server_id, t.domain_id): t for t in _track_domains() if t.server_id in servers},
        sources={source.id: source for source in _sources()},
        ip_pool_rules=tuple(_ip_pool_rules()),
        suspensions=_suspensions(),
    )


def _servers() -> list[ServerEntry]:
    rows = Server.objects.filter(deleted_at=None, organization__deleted_at=None)
    return [
        ServerEntry(
            id=row.pk,
            uuid=str(row.uuid),
            name=row.name,
            permalink=row.permalink,
            organization_id=row.organization_id,
            organization_permalink=row.organization.permalink,
            token=row.token,
            mode=ServerMode(row.mode),
            postmaster_address=row.postmaster_address,
            spam_threshold=row.spam_threshold,
            spam_failure_threshold=row.spam_failure_threshold,
            outbound_spam_threshold=row.outbound_spam_threshold,
            send_limit=row.send_limit,
            allow_sender=row.allow_sender,
            privacy_mode=row.privacy_mode,
            log_smtp_data=row.log_smtp_data,
            is_suspended=bool(row.suspended_at or row.organization.suspended_at),
            ip_pool_id=row.ip_pool_id,
        )
        for row in rows.select_related("organization")
    ]


def _credentials() -> list[CredentialEntry]:
    return [
        CredentialEntry(
            id=row.pk,
            server_id=row.server_id,
            type=CredentialType(row.type),
            digest=row.key_digest or "",
            secret=credentials.decrypt(row.key_encrypted) if row.key_encrypted else "",
            network=ip_network(row.network, strict=False) if row.network else None,
            hold=row.hold,
        )
        for row in Credential.objects.all()
    ]


def _domains() -> list[DomainEntry]:
    is_caught = conf.config().catches_all_mail
    return [
        DomainEntry(
            id=row.pk,
            name=row.name,
            server_id=row.server_id,
            organization_id=row.organization_id,
            is_verified=row.verified_at is not None,
            use_for_any=row.use_for_any and (is_caught or not row.only_where_caught),
            dkim_suffix=row.dkim_suffix,
            dkim_private_key=row.dkim_private_key,
            dkim_ed25519_private_key=row.dkim_ed25519_private_key,
            is_signing=row.dkim_status == "OK" or (row.signs_unchecked and not row.dkim_status),
            return_path_status=row.return_path_status,
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
            RouteEntry(
                id=row.pk,
                server_id=row.server_id,
                name=row.name,
                domain_id=row.domain_id,
                domain_name=row.domain.name if row.domain else "",
                token=row.token,
                mode=mode,
                spam_mode=SpamMode(row.spam_mode),
                endpoints=(main, *additional[row.pk]) if main and mode is RouteMode.ENDPOINT else (),
            )
        )
    return entries


def _endpoints() -> list[EndpointEntry]:
    return [
        *(
            EndpointEntry(
                type=EndpointType.HTTP.value,
                id=http.pk,
                server_id=http.server_id,
                name=http.name,
                url=http.url,
                encoding=http.encoding,
                format=http.format,
                strip_replies=http.strip_replies,
                include_attachments=http.include_attachments,
                timeout=http.timeout,
            )
            for http in HTTPEndpoint.objects.all()
        ),
        *(
            EndpointEntry(
                type=EndpointType.SMTP.value,
                id=smtp.pk,
                server_id=smtp.server_id,
                name=smtp.name,
                hostname=smtp.hostname,
                port=smtp.port,
                ssl_mode=smtp.ssl_mode,
            )
            for smtp in SMTPEndpoint.objects.all()
        ),
        *(
            EndpointEntry(
                type=EndpointType.ADDRESS.value,
                id=row.pk,
                server_id=row.server_id,
                name=row.address,
                address=row.address,
            )
            for row in AddressEndpoint.objects.all()
        ),
    ]


def _webhooks() -> list[WebhookEntry]:
    return [
        WebhookEntry(
            id=row.pk,
            server_id=row.server_id,
            url=row.url,
            enabled=row.enabled,
            all_events=row.all_events,
            events=frozenset(row.events),
            is_gone=bool(row.disabled_reason) and not row.enabled,
        )
        for row in Webhook.objects.all()
    ]


def _track_domains() -> list[TrackDomainEntry]:
    return [
        TrackDomainEntry(
            server_id=row.server_id,
            domain_id=row.domain_id,
            host=row.full_name,
            ssl_enabled=row.ssl_enabled,
            track_clicks=row.track_clicks,
            track_loads=row.track_loads,
            excluded_hosts=frozenset(row.excluded_click_domains.lower().split()),
            is_ok=row.dns_status == "OK",
        )
        for row in TrackDomain.objects.select_related("domain")
    ]


def _suspensions() -> tuple[Selection, ...]:
    rows = QueueSuspension.objects.values_list("server_id", "destination", "tag")
    return tuple(Selection(server, destination, tag) for server, destination, tag in rows)


def _sources() -> list[SourceEntry]:
    return [
        SourceEntry(
            id=row.pk,
            pool_id=row.ip_pool_id,
            source=Source(row.ipv4, row.ipv6 or "", row.hostname),
            priority=row.priority,
            warm_up_from=row.warm_up_from,
            warm_up_first_day=row.warm_up_first_day,
            warm_up_days=row.warm_up_days,
        )
        for row in IPAddress.objects.all()
    ]


def _conditions(text: str) -> frozenset[str]:
    """The addresses and domains of a rule, in the spelling that is compared."""
    return frozenset(suppression_key(word) if "@" in word else domain_key(word) for word in text.split())


def _ip_pool_rules() -> list[IPPoolRuleEntry]:
    return [
        IPPoolRuleEntry(
            pool_id=row.ip_pool_id,
            server_id=row.server_id,
            organization_id=row.organization_id,
            senders=_conditions(row.from_text),
            recipients=_conditions(row.to_text),
        )
        for row in IPPoolRule.objects.order_by("-pk")
    ]
