"""Count TLS sessions by their results, for the reports of RFC 8460."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

from django.db import connection

from postal_server.models import TlsResult
from postal_server.services.shared.rows import chunks
from postal_server.services.shared.work import Result, TlsSession

from .batch import Batch

ROWS_A_STATEMENT = 200
KEY = ("day", "domain", "policy_type", "failure", "host", "address", "source")
COLUMNS = (*KEY, "policy", "hosts", "reason", "count")
TABLE = TlsResult._meta.db_table
ADD = (
    f"INSERT INTO {TABLE} ({', '.join(COLUMNS)}) VALUES {{rows}} "  # noqa: S608 - names of ours only
    f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET count = {TABLE}.count + excluded.count, "
    "policy = excluded.policy, hosts = excluded.hosts, reason = excluded.reason"
)


def apply(batch: Batch) -> None:
    """Count the sessions that were opened for these results."""
    if not batch.config.tls_reports.enabled:
        return
    sessions = (s for result in batch.results if isinstance(result, Result) for s in result.tls_sessions)
    # Reports say of failures only where they occurred.
    plain = (s if s.failure else replace(s, host="", address="", source="", reason="") for s in sessions)
    # One statement must not insert a key twice, even if its other columns differ.
    counted: Counter[tuple[str, ...]] = Counter()
    latest: dict[tuple[str, ...], TlsSession] = {}
    for session in plain:
        key = _key(session)
        counted[key] += 1
        latest[key] = session
    # All workers in one order: none waits for another that waits for it.
    rows: list[tuple[date | str | int, ...]] = [
        (batch.now.date(), *key, *_rest(latest[key]), number) for key, number in sorted(counted.items())
    ]
    for chunk in chunks(rows, ROWS_A_STATEMENT):
        marks = f"({', '.join(['%s'] * len(COLUMNS))})"
        with connection.cursor() as cursor:
            cursor.execute(
                ADD.format(rows=", ".join([marks] * len(chunk))),
                [_plain(value) for row in chunk for value in row],
            )


def _key(session: TlsSession) -> tuple[str, ...]:
    return (
        session.domain,
        session.policy_type,
        session.failure,
        session.host,
        session.address,
        session.source,
    )


def _rest(session: TlsSession) -> tuple[str, str, str]:
    return "\n".join(session.policy), "\n".join(session.hosts), session.reason[:250]


def _plain(value: date | str | int) -> str | int:
    """As every database takes it: dates as text, and no NUL for PostgreSQL."""
    if isinstance(value, date):
        return value.isoformat()
    return value.replace("\0", "") if isinstance(value, str) else value
