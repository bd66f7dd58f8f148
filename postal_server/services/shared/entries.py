"""The values that a directory holds, one for each configuration row that is looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from ipaddress import IPv4Network, IPv6Network
from typing import ClassVar

from postal_server.rules.status import (
    CredentialType,
    EndpointType,
    RouteMode,
    ServerMode,
    SpamMode,
    SuppressedAs,
)
from postal_server.rules.stream import StreamFrom, StreamKind


@dataclass(frozen=True)
class Source:
    """Addresses that a message leaves from, one of them empty where there is none, and their EHLO name."""

    ipv4: str = ""
    ipv6: str = ""
    hostname: str = ""

    def for_peer(self, address: str) -> str:
        """The one that can reach this address; empty if none can."""
        return self.ipv6 if ":" in address else self.ipv4


@dataclass(frozen=True)
class ServerEntry:
    """A mail server. `send_limit` counts outgoing attempts an hour; None is no limit."""

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
    is_suspended: bool  # the server or its organization
    ip_pool_id: int | None = None
    suppressed_as: SuppressedAs = SuppressedAs.HELD
    is_imported: bool = False
    stream_from: StreamFrom = StreamFrom.NONE


@dataclass(frozen=True)
class CredentialEntry:
    """What lets a client send for a server."""

    id: int
    server_id: int
    type: CredentialType
    digest: str  # empty for SMTP-IP
    secret: str = field(repr=False)  # the SMTP key in clear, for CRAM-MD5; empty for the others
    network: IPv4Network | IPv6Network | None
    hold: bool
    name: str = ""


@dataclass(frozen=True)
class DomainEntry:
    """A domain of one server, or of all servers of an organization."""

    id: int
    name: str
    server_id: int | None
    organization_id: int | None
    is_verified: bool
    use_for_any: bool
    dkim_suffix: str  # of the selector `<dkim_identifier>-<suffix>`
    dkim_private_key: str = field(repr=False)  # PEM, or empty
    dkim_ed25519_private_key: str = field(repr=False)
    is_signing: bool  # DNS has its key, or was not asked and it is used all the same
    return_path_status: str


@dataclass(frozen=True)
class TrackDomainEntry:
    """The host that tracked links of a domain's mail point to."""

    server_id: int
    domain_id: int
    host: str
    ssl_enabled: bool
    track_clicks: bool
    track_loads: bool
    excluded_hosts: frozenset[str]
    is_ok: bool


@dataclass(frozen=True)
class HTTPEndpointEntry:
    """An endpoint that mail is posted to. `timeout` is in seconds."""

    type: ClassVar[EndpointType] = EndpointType.HTTP
    id: int
    server_id: int
    name: str
    url: str
    encoding: str
    format: str
    strip_replies: bool
    include_attachments: bool
    timeout: int


@dataclass(frozen=True)
class SMTPEndpointEntry:
    """A host that mail is passed on to. `port` None is 25."""

    type: ClassVar[EndpointType] = EndpointType.SMTP
    id: int
    server_id: int
    name: str
    hostname: str
    port: int | None = None
    ssl_mode: str = "Auto"


@dataclass(frozen=True)
class AddressEndpointEntry:
    """An address that mail is forwarded to."""

    type: ClassVar[EndpointType] = EndpointType.ADDRESS
    id: int
    server_id: int
    address: str


EndpointEntry = HTTPEndpointEntry | SMTPEndpointEntry | AddressEndpointEntry


@dataclass(frozen=True)
class RouteEntry:
    """What becomes of mail for a name at a domain. `domain_name` is empty where it has none."""

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
class StreamEntry:
    """Mail of one purpose."""

    server_id: int
    name: str
    kind: StreamKind
    must_arrive: bool


@dataclass(frozen=True)
class WebhookEntry:
    """A URL that events are posted to."""

    id: int
    server_id: int
    url: str
    enabled: bool
    all_events: bool
    events: frozenset[str]
    beyond_postal: bool
    is_gone: bool  # switched off because its receiver said so: nothing is to be posted any more


@dataclass(frozen=True)
class SourceEntry:
    """An address that mail leaves from. `warm_up_from` is None for one that may send without limit."""

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
