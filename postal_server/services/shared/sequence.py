"""The numbers of messages: one sequence for the whole installation.

PostgreSQL has a sequence of its own, whose numbers may have gaps; on SQLite a row of `Counter` stands for it.
"""

from __future__ import annotations

from django.db import connection

from postal_server.models import Counter

# One statement that also works before the counter is there. The row is locked until the caller's
# transaction ends, which on SQLite everything is.
TABLE = Counter._meta.db_table
TAKE_IDS = (
    f"INSERT INTO {TABLE} (name, value) VALUES (%s, %s) "  # noqa: S608
    f"ON CONFLICT (name) DO UPDATE SET value = {TABLE}.value + excluded.value RETURNING value"
)
NEXT_IDS = "SELECT nextval('postal_message_id') FROM generate_series(1, %s)"


def allocate_ids(count: int) -> list[int]:
    """`count` new ids of the installation's sequence, rising. One query, in the caller's transaction."""
    if not count:
        return []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(NEXT_IDS, [count])
            return sorted(number for (number,) in cursor.fetchall())
        cursor.execute(TAKE_IDS, ["message_id", count])
        (last,) = cursor.fetchone()
    return list(range(last - count + 1, last + 1))


def start_ids_above(number: int) -> None:
    """Let the sequence go on above `number`, unless it is there already (after an import)."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT setval('postal_message_id', greatest(%s, nextval('postal_message_id')))", [number]
            )
            return
    counter, _ = Counter.objects.get_or_create(name="message_id")
    if counter.value < number:
        Counter.objects.filter(name="message_id").update(value=number)
