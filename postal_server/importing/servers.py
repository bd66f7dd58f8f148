"""Import organizations, their mail servers, and the credentials of those."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from postal_server.models import Credential, Organization, Server
from postal_server.rules.status import CredentialType
from postal_server.services.shared import credential

from .records import Records
from .source import Row, utc


def import_organization(row: Row, records: Records) -> None:
    """An organization. One with the same permalink is the same: SMTP user names begin with it."""
    same = Organization.objects.filter(permalink=row["permalink"]).exclude(uuid=row["uuid"])
    if same.update(uuid=row["uuid"]):
        records.add_problem(
            f"organization {row['name']}: there was one with its permalink already; they are one now."
        )
    records.keep("organization", row, Organization, {
        "name": row["name"],
        "permalink": row["permalink"],
        "time_zone": row["time_zone"] or "UTC",
        **_suspension(row),
    })  # fmt: skip


def import_server(row: Row, records: Records) -> None:
    """A mail server, under its imported organization."""
    owner = records.owner("organization", row, "organization_id", f"server {row['name']}")
    if owner is None:
        return
    pool = records.owner("IP pool", row, "ip_pool_id", f"server {row['name']}") if row["ip_pool_id"] else None
    if row["domains_not_to_click_track"]:
        records.add_problem(
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
    records.keep("server", row, Server, {
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
        "is_imported": True,
        **numbers,
        **_suspension(row),
    })  # fmt: skip


def _suspension(row: Row) -> dict[str, Any]:
    return {
        "suspended_at": utc(row["suspended_at"]),
        "suspension_reason": row["suspension_reason"] or "",
        "deleted_at": utc(row["deleted_at"]),
    }


def import_credential(row: Row, records: Records) -> None:
    """A credential. Its key becomes a digest, an SMTP key is also encrypted."""
    what = f"credential {row['name']}"
    server = records.owner("server", row, "server_id", what)
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
        records.add_problem(f"{what}: its type or network cannot be used; left out.")
        return
    records.keep("credential", row, Credential, {
        "server": server,
        "type": kind.value,
        "name": row["name"] or kind.value,
        "hold": bool(row["hold"]),
        "last_used_at": utc(row["last_used_at"]),
        **values,
    })  # fmt: skip
