"""Counters in the database, by name. Each subject deletes those that it no longer needs."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connection

from postal_server.models import Counter

TABLE = Counter._meta.db_table
ADD = (
    f"INSERT INTO {TABLE} (name, value) VALUES {{rows}} "  # noqa: S608 - names of ours only
    f"ON CONFLICT (name) DO UPDATE SET value = {TABLE}.value + excluded.value"
)


def add(counts: Mapping[str, int]) -> None:
    """Add to each of these counters. One query, none for no counter; in the caller's transaction."""
    if counts:
        # All workers in one order: none waits for another that waits for it.
        values: list[str | int] = [value for item in sorted(counts.items()) for value in item]
        with connection.cursor() as cursor:
            cursor.execute(ADD.format(rows=", ".join(["(%s, %s)"] * len(counts))), values)
