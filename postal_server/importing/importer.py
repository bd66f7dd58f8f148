"""Take over a Postal installation: its configuration rows, suppression lists, tracked links and messages.

Everything is recognized again by its uuid, key or token, so that an import can be repeated. Rows come from
`Source`s, a dump or a live database. Texts of messages are not imported: only what bounces, opens and clicks
of mail already sent need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.core.exceptions import ValidationError
from django.db import transaction

from postal_server.errors import HostileInput

from . import domains, ip_pools, messages, routes, servers, webhooks
from .records import Records, Report
from .source import Columns, Row, Source

Step = Callable[[Row, Records], None]
Progress = Callable[[str, int], None]  # a table, and how many of its rows were read

# The tables of the main database, each after those that its rows refer to.
STEPS: tuple[tuple[str, Step], ...] = (
    ("ip_pools", ip_pools.import_ip_pool),
    ("ip_addresses", ip_pools.import_ip_address),
    ("organizations", servers.import_organization),
    ("organization_ip_pools", ip_pools.import_organization_ip_pool),
    ("servers", servers.import_server),
    ("ip_pool_rules", ip_pools.import_ip_pool_rule),
    ("credentials", servers.import_credential),
    ("domains", domains.import_domain),
    ("track_domains", domains.import_track_domain),
    ("http_endpoints", routes.import_http_endpoint),
    ("smtp_endpoints", routes.import_smtp_endpoint),
    ("address_endpoints", routes.import_address_endpoint),
    ("routes", routes.import_route),
    ("additional_route_endpoints", routes.import_additional_endpoint),
    ("webhooks", webhooks.import_webhook),
)
LEFT_BEHIND = {
    "users": "make administrators with `postal-server make-user`",
    "user_invites": "there are no invitations",
}
MAIN_TABLES = (*(table for table, _ in STEPS), "webhook_events", *LEFT_BEHIND)


class DryRun(Exception):
    """Ends the transaction of an import that only shows what it would do."""


def run(
    main: Source,
    of_servers: Mapping[int, Source],
    *,
    is_allowed_host: Callable[[str], bool],
    progress: Progress,
    dry_run: bool,
) -> Report:
    """Import `main`, then each server's message database (keyed by Postal's server id).

    `is_allowed_host`: may posts go to this host? Raises `HostileInput` for rows that are none of Postal's.
    """
    records = Records(is_allowed_host)
    try:
        with transaction.atomic():
            _import_main(main, records, progress)
            for server_id, source in of_servers.items():
                messages.import_messages(server_id, source, records, progress)
            if dry_run:
                raise DryRun
    except DryRun:
        pass
    return records.report


def _import_main(source: Source, records: Records, progress: Progress) -> None:
    for table, row in source.rows(MAIN_TABLES):
        records.tables.setdefault(table, []).append(Columns(row))
    for table, advice in LEFT_BEHIND.items():
        if rows := records.tables.get(table):
            records.add_problem(f"{table}: {len(rows)} not taken over; {advice}.")
    for table, step in STEPS:
        rows = records.tables.get(table, [])
        for row in rows:
            _import_row(table, step, row, records)
        progress(table, len(rows))


def _import_row(table: str, step: Step, row: Row, records: Records) -> None:
    """Run `step` for a row. Raises `HostileInput` that names the row where it is none of Postal's."""
    try:
        step(row, records)
    except (AttributeError, TypeError, ValueError, ValidationError) as error:
        raise HostileInput(f"{table}: row {row['id']} cannot be read ({error}).") from error
