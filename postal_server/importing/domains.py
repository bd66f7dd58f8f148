"""Import domains and the domains of tracked links."""

from __future__ import annotations

from postal_server.mail.address import domain_key
from postal_server.models import Domain, TrackDomain

from .records import Records
from .source import Row, utc


def import_domain(row: Row, records: Records) -> None:
    """A domain of a server or an organization, with what its last DNS check found."""
    owner_type = row["owner_type"] or "Server"
    kind = "server" if owner_type == "Server" else "organization"
    column = "owner_id" if row["owner_id"] is not None else "server_id"
    owner = records.owner(kind, row, column, f"domain {row['name']}")
    if owner is None:
        return
    records.report.mail_domains[str(row["name"]).lower()] = None
    checks = {
        f"{check}_{part}": row[f"{check}_{part}"] or ""
        for check in ("spf", "dkim", "mx", "return_path")
        for part in ("status", "error")
    }
    records.keep("domain", row, Domain, {
        "server": owner if kind == "server" else None,
        "organization": owner if kind == "organization" else None,
        "name": domain_key(row["name"]),
        "verification_token": row["verification_token"] or "",
        "verified_at": utc(row["verified_at"]),
        "use_for_any": bool(row["use_for_any"]),
        "dkim_suffix": row["dkim_identifier_string"] or "",
        "dkim_private_key": row["dkim_private_key"] or "",
        "dns_checked_at": utc(row["dns_checked_at"]),
        **checks,
    })  # fmt: skip


def import_track_domain(row: Row, records: Records) -> None:
    """A domain of tracked links."""
    what = f"tracking domain {row['name']}"
    server = records.owner("server", row, "server_id", what)
    domain = records.owner("domain", row, "domain_id", what)
    if server is None or domain is None:
        return
    records.keep("tracking domain", row, TrackDomain, {
        "server": server,
        "domain": domain,
        "name": row["name"],
        "ssl_enabled": bool(row["ssl_enabled"]),
        "track_clicks": bool(row["track_clicks"]),
        "track_loads": bool(row["track_loads"]),
        "excluded_click_domains": row["excluded_click_domains"] or "",
        "dns_checked_at": utc(row["dns_checked_at"]),
        "dns_status": row["dns_status"] or "",
        "dns_error": row["dns_error"] or "",
    })  # fmt: skip
