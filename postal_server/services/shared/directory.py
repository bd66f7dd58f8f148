"""Configuration rows in memory: what RCPT, AUTH, API keys and the pipeline look up without a database.

`loader.load()` reads the tables once; `engine.directory` keeps the result fresh.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv6Address, ip_address

from postal_server.mail.address import domain_key, split_address, split_tag, unquoted
from postal_server.rules import route as route_rules
from postal_server.rules.classification import Ours
from postal_server.rules.selection import Selection
from postal_server.rules.status import CredentialType
from postal_server.wire.webhook import POSTALS_EVENTS

from . import credential as credentials
from .entries import (
    CredentialEntry,
    DomainEntry,
    EndpointEntry,
    IPPoolRuleEntry,
    RouteEntry,
    ServerEntry,
    SourceEntry,
    StreamEntry,
    TrackDomainEntry,
    WebhookEntry,
)


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
    streams: dict[tuple[int, str], StreamEntry] = field(default_factory=dict)  # (server, name)
    track_domains: dict[tuple[int, int], TrackDomainEntry] = field(default_factory=dict)  # (server, domain)
    sources: dict[int, SourceEntry] = field(default_factory=dict)
    ip_pool_rules: tuple[IPPoolRuleEntry, ...] = ()  # newest first
    suspensions: tuple[Selection, ...] = ()  # parts of the queue that wait until they are resumed
    ours: Ours = field(default_factory=Ours)  # by what a refusal of us is known

    @cached_property
    def server_by_token(self) -> dict[str, ServerEntry]:
        """The servers by the local parts of their return paths."""
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

    def authorized_domain(self, server: ServerEntry, address: str) -> DomainEntry | None:
        """The domain that lets `server` send as `address` (contract 1.13); None if none does.

        The server's own domain of that name, else its organization's, else one of its own for any sender.
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
        route = self._routes_by_token.get(name)
        return (route, tag) if route else None

    def return_path_route(self, server_id: int) -> RouteEntry | None:
        """The server's route for reports that match no message."""
        return self._return_path_routes.get(server_id)

    def mail_domain(self, name: str) -> DomainEntry | None:
        """A verified domain of this name, a server's own first."""
        return self._mail_domains.get(domain_key(name))

    def has_domain(self, server: ServerEntry, name: str) -> bool:
        """Has the server or its organization a domain of this name, verified or not?"""
        key = domain_key(name)
        owners = self._owners
        return (server.id, None, key) in owners or (None, server.organization_id, key) in owners

    def server_of_domain(self, domain: DomainEntry) -> ServerEntry | None:
        """The server that owns the domain, or the first of the organization that does."""
        if domain.server_id is not None:
            return self.servers.get(domain.server_id)
        owned = (s for s in self.servers.values() if s.organization_id == domain.organization_id)
        return min(owned, key=lambda server: server.id, default=None)

    def webhooks_for(
        self, server_id: int, event: str, *, is_beyond_postal: bool = False
    ) -> list[WebhookEntry]:
        """The enabled webhooks of a server that want this event.

        An event that Postal lacks reaches webhooks that name it, and of those for all events the ones beyond
        Postal: no other application meets a name that it does not know. `is_beyond_postal`: Postal has an
        event of this name, but does not send it in this case; only webhooks beyond Postal get it.
        """
        is_ours = event not in POSTALS_EVENTS
        return [
            webhook
            for webhook in self._webhooks_of.get(server_id, [])
            if webhook.enabled
            and (event in webhook.events or (webhook.all_events and (webhook.beyond_postal or not is_ours)))
            and (webhook.beyond_postal or not is_beyond_postal)
        ]

    def pool(self, pool_id: int | None) -> list[SourceEntry]:
        """The addresses of a pool; none without one."""
        return self._pools.get(pool_id, []) if pool_id is not None else []

    def pool_rules(self, server: ServerEntry) -> list[IPPoolRuleEntry]:
        """The rules for a server's mail: its own, then its organization's, newest first."""
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
        servers = {}
        for server in self.servers.values():
            servers[f"{server.organization_permalink}_{server.permalink}"] = server
            servers[f"{server.organization_permalink}/{server.permalink}"] = server
        return servers

    @cached_property
    def _smtp_credentials(self) -> dict[int, list[CredentialEntry]]:
        by_server = defaultdict(list)
        for entry in self.credentials.values():
            if entry.type is CredentialType.SMTP:
                by_server[entry.server_id].append(entry)
        return dict(by_server)

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
    def _owners(self) -> frozenset[tuple[int | None, int | None, str]]:
        return frozenset((d.server_id, d.organization_id, domain_key(d.name)) for d in self.domains.values())

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
        by_pool = defaultdict(list)
        for source in self.sources.values():
            by_pool[source.pool_id].append(source)
        return dict(by_pool)

    @cached_property
    def _webhooks_of(self) -> dict[int, list[WebhookEntry]]:
        by_server = defaultdict(list)
        for webhook in self.webhooks.values():
            by_server[webhook.server_id].append(webhook)
        return dict(by_server)
