"""Configuration rows in memory: what RCPT, AUTH, API keys and the pipeline look up without a database.

`load()` reads the tables once; `engine.directory` keeps the result fresh. Entries are plain frozen values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network

from postal_server.rules.status import CredentialType, RouteMode, ServerMode, SpamMode


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


@dataclass(frozen=True)
class CredentialEntry:
    id: int
    server_id: int
    type: CredentialType
    digest: str  # empty for SMTP-IP
    secret: str  # the SMTP key in clear, for CRAM-MD5; empty for the others
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
    dkim_selector: str  # `<identifier>-<suffix>`
    dkim_private_key: str  # PEM, or empty
    dkim_ed25519_private_key: str
    dkim_status: str
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

    @cached_property
    def server_by_token(self) -> dict[str, ServerEntry]:
        return {server.token: server for server in self.servers.values()}
