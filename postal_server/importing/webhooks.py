"""Import webhooks with the events that they want."""

from __future__ import annotations

from postal_server.models import Webhook

from .records import Records
from .source import Row, utc


def import_webhook(row: Row, records: Records) -> None:
    """A webhook. A host that posts would be refused to is a problem.

    Its application knows Postal's events and is sent no other.
    """
    server = records.owner("server", row, "server_id", f"webhook {row['name']}")
    if server is None:
        return
    records.check_host(f"webhook {row['name']}", row["url"])
    events = [e["event"] for e in records.tables.get("webhook_events", ()) if e["webhook_id"] == row["id"]]
    records.keep("webhook", row, Webhook, {
        "server": server,
        "name": row["name"] or "",
        "url": row["url"] or "",
        "enabled": bool(row["enabled"]),
        "all_events": bool(row["all_events"]),
        "events": events,
        "beyond_postal": False,
        "last_used_at": utc(row["last_used_at"]),
    })  # fmt: skip
