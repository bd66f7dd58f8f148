"""What people set up, as programs are shown it: JSON of `/api/v2`, and of commands with `--json`.

No secret is in it. Times are aware; rows are named by their ids, owners as well by their permalinks.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from postal_server.conf import Config
from postal_server.models import (
    Credential,
    Domain,
    HTTPEndpoint,
    Organization,
    Route,
    Server,
    SMTPEndpoint,
    TrackDomain,
    Webhook,
)
from postal_server.services.operations import domain_checks

from .audit import without_user_info
from .routes import Endpoint, endpoint_of

Shown: TypeAlias = dict[str, Any]


def organization(row: Organization) -> Shown:
    return {
        "id": row.pk,
        "name": row.name,
        "permalink": row.permalink,
        "time_zone": row.time_zone,
        "suspended_at": row.suspended_at,
        "suspension_reason": row.suspension_reason or None,
        "created_at": row.created_at,
    }


def server(row: Server) -> Shown:
    return {
        "id": row.pk,
        "organization": row.organization.permalink,
        "name": row.name,
        "permalink": row.permalink,
        "token": row.token,
        "mode": row.mode,
        "send_limit": row.send_limit,
        "ip_pool": row.ip_pool_id,
        "postmaster_address": row.postmaster_address or None,
        "spam_threshold": row.spam_threshold,
        "spam_failure_threshold": row.spam_failure_threshold,
        "outbound_spam_threshold": row.outbound_spam_threshold,
        "allow_sender": row.allow_sender,
        "privacy_mode": row.privacy_mode,
        "log_smtp_data": row.log_smtp_data,
        "message_retention_days": row.message_retention_days,
        "raw_message_retention_days": row.raw_message_retention_days,
        "raw_message_retention_size": row.raw_message_retention_size,
        "suppressed_as": row.suppressed_as,
        "stream_from": row.stream_from,
        "suspended_at": row.suspended_at,
        "suspension_reason": row.suspension_reason or None,
        "created_at": row.created_at,
    }


def domain(row: Domain) -> Shown:
    """With how those of its DNS records stand that were looked up."""
    return {
        "id": row.pk,
        "name": row.name,
        "server": row.server and str(row.server),
        "organization": row.organization and row.organization.permalink,
        "verified_at": row.verified_at,
        "use_for_any": row.use_for_any,
        "only_where_caught": row.only_where_caught,
        "dns_checked_at": row.dns_checked_at,
        "dns": {
            check: {
                "status": getattr(row, f"{check}_status") or "unknown",
                "error": getattr(row, f"{check}_error") or None,
            }
            for check in domain_checks.CHECKS
        },
        "dns_problems": row.dns_problems,
        "created_at": row.created_at,
    }


def domain_with_records(row: Domain, config: Config) -> Shown:
    """With the records to publish as well: their keys take some 50 ms a domain to load."""
    records = [
        {
            "purpose": record.purpose,
            "name": record.name,
            "type": record.kind,
            "value": record.value,
            "required": record.is_required,
        }
        for record in domain_checks.records_to_publish(row, config)
    ]
    return {**domain(row), "records": records}


def credential(row: Credential) -> Shown:
    return {
        "id": row.pk,
        "server": str(row.server),
        "type": row.type,
        "name": row.name,
        "network": row.network,
        "hold": row.hold,
        "last_used_at": row.last_used_at,
        "created_at": row.created_at,
    }


def route(row: Route) -> Shown:
    endpoint = endpoint_of(row)
    return {
        "id": row.pk,
        "server": str(row.server),
        "name": row.name,
        "domain": row.domain and row.domain.name,
        "address": str(row),
        "token": row.token,
        "mode": row.mode,
        "spam_mode": row.spam_mode,
        "endpoint": endpoint and endpoint_values(endpoint),
    }


def endpoint_values(row: Endpoint) -> Shown:
    """An endpoint of any kind. The URL of one over HTTP is without its password."""
    common = {"id": row.pk, "server": str(row.server), "last_used_at": row.last_used_at}
    if isinstance(row, HTTPEndpoint):
        return {
            **common,
            "type": "http",
            "name": row.name,
            "url": without_user_info(row.url),
            "encoding": row.encoding,
            "format": row.format,
            "strip_replies": row.strip_replies,
            "include_attachments": row.include_attachments,
            "timeout": row.timeout,
        }
    if isinstance(row, SMTPEndpoint):
        named = {"name": row.name, "hostname": row.hostname, "port": row.port, "ssl_mode": row.ssl_mode}
        return {**common, "type": "smtp", **named}
    return {**common, "type": "address", "address": row.address}


def track_domain(row: TrackDomain) -> Shown:
    return {
        "id": row.pk,
        "server": str(row.server),
        "name": row.full_name,
        "ssl_enabled": row.ssl_enabled,
        "track_clicks": row.track_clicks,
        "track_loads": row.track_loads,
        "excluded_click_domains": row.excluded_click_domains.split(),
        "dns_status": row.dns_status or "unknown",
        "dns_error": row.dns_error or None,
    }


def webhook(row: Webhook) -> Shown:
    return {
        "id": row.pk,
        "server": str(row.server),
        "name": row.name,
        "url": without_user_info(row.url),
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason or None,
        "all_events": row.all_events,
        "events": row.events,
        "beyond_postal": row.beyond_postal,
        "last_used_at": row.last_used_at,
    }
