"""Fill an installation's database with messages, and time claims. Runs in a separate process.

    python -m benchmarks.fill POSTAL.YML NUMBER {queued,sent} [--claims]

Creates NUMBER messages of 1 KB, each with its own text, with one statement for each table. `queued` ones
wait for 50 destinations, `sent` ones were delivered. `--claims` prints the milliseconds of claims as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import django

from .load import DESTINATIONS, SENDER, mail

SIZE = 1024
CLAIM = 64
CLAIMS = 50
SERIES = "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < %s) "
NAME = f"'d' || (n %% {DESTINATIONS}) || '.example'"


def fill(number: int, *, queued: bool) -> None:
    """Store one message as the journal does, and repeat its rows."""
    from django.db import transaction

    from postal_server.models import Body, Delivery, Domain, Message, QueuedMessage
    from postal_server.rules.status import DeliveryStatus, Scope
    from postal_server.services.acceptance import storage
    from postal_server.services.shared.sequence import start_ids_above
    from postal_server.services.shared.work import Accepted, NewMessage

    domain = Domain.objects.get(name="sender.example")
    assert domain.server_id is not None
    now = datetime.now(timezone.utc)
    new = NewMessage(domain.server_id, Scope.OUTGOING, "r0@d0.example", "d0.example", domain_id=domain.id)
    with transaction.atomic():
        [[first]] = storage.store([Accepted(mail(SIZE), (new,), SENDER, "load", "load@sender.example")], now)
        start_ids_above(first.id + number)
    if not queued:
        QueuedMessage.objects.filter(id=first.id).delete()
        Message.objects.filter(id=first.id).update(status=DeliveryStatus.SENT.value)
        sent = Delivery(
            message_id=first.id, status="Sent", details="Sent by SMTP", output="250 ok", created_at=now
        )
        sent.save()
        repeat(Delivery, sent.pk, number - 1, {"id": f"{sent.pk} + n", "message_id": f"{first.id} + n"})
    own = {"id": f"{first.id} + n"}
    repeat(Body, first.id, number - 1, own)
    hashed = "(n * 2654435761) %% 4294967296"
    message = {
        **own,
        "body_id": own["id"],
        "rcpt_to": f"'r' || n || '@' || {NAME}",
        "message_id_hash": hashed,
    }
    repeat(Message, first.id, number - 1, message)
    if queued:
        repeat(QueuedMessage, first.id, number - 1, {**own, "destination": NAME})
    settle()


def repeat(model: Any, pk: int, count: int, changes: Mapping[str, str]) -> None:
    """Insert `count` copies of a row; `changes` are SQL expressions of the copy's number `n`."""
    from django.db import connection

    columns = [field.column for field in model._meta.concrete_fields]
    values = [changes.get(column, f't."{column}"') for column in columns]
    names = ", ".join(f'"{column}"' for column in columns)
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{table}" ({names}) {SERIES} SELECT {", ".join(values)} '
            f'FROM series, "{table}" t WHERE t.id = %s',
            [count, pk],
        )


def settle() -> None:
    """Leave the database as if it had grown slowly: on disk, with an empty log and current statistics."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            cursor.execute("VACUUM ANALYZE")
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('postal_server_delivery', 'id'), "
                "(SELECT coalesce(max(id), 1) FROM postal_server_delivery))"
            )
    os.sync()


def claim_times() -> list[float]:
    """Milliseconds of claims of 64 rows, each with its commit; the rows are given back.

    On SQLite, which works in this process, those of the processor: the disk and other processes are left out.
    """
    from django.db import connection, transaction

    from postal_server.engine.lanes import Lanes, Limits
    from postal_server.engine.queue import MESSAGES, Queue

    queue, lanes = Queue(MESSAGES), Lanes(Limits(connections=CLAIM, held=10_000))
    clock = time.process_time if connection.vendor == "sqlite" else time.perf_counter
    now, times = datetime.now(timezone.utc), []
    for _ in range(CLAIMS):
        started = clock()
        with transaction.atomic():
            claimed = queue.claim(1, lanes, CLAIM, now)
        times.append((clock() - started) * 1000)
        assert len(claimed) > CLAIM // 2, len(claimed)
        with transaction.atomic():
            queue.release(1)
    return times


def set_up_django(configuration: str) -> None:
    """Give this process the models and the database of an installation."""
    os.environ["POSTAL_CONFIG_FILE_PATH"] = configuration
    os.environ["DJANGO_SETTINGS_MODULE"] = "postal_server.settings"
    django.setup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("configuration")
    parser.add_argument("number", type=int)
    parser.add_argument("state", choices=["queued", "sent"])
    parser.add_argument("--claims", action="store_true")
    given = parser.parse_args()
    set_up_django(given.configuration)
    fill(given.number, queued=given.state == "queued")
    print(json.dumps(claim_times() if given.claims else []))


if __name__ == "__main__":
    main()
