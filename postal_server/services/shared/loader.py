"""Read the configuration rows into a directory."""

from __future__ import annotations

from collections import defaultdict
from ipaddress import ip_network

from postal_server import conf
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
    TrackDomain,
    Webhook,
)
from postal_server.models.route import EndpointChoice
from postal_server.rules.selection import Selection
from postal_server.rules.status import CredentialType, EndpointType, RouteMode, ServerMode, SpamMode

from . import credential as credentials
from .directory import Directory
from .entries import (
    CredentialEntry,
    DomainEntry,
    EndpointEntry,
    IPPoolRuleEntry,
    RouteEntry,
    ServerEntry,
    Source,
    SourceEntry,
    TrackDomainEntry,
    WebhookEntry,
)


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
