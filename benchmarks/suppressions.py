"""Fill an installation's suppression list, and time look-ups in it. Runs in a separate process.

    python -m benchmarks.suppressions POSTAL.YML NUMBER

Prints the milliseconds of look-ups for batches of 64 recipients as JSON. One in eight is on the list; the
batches are spread over all of it.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from .fill import repeat, set_up_django, settle

BATCH = 64
LOOK_UPS = 500
LISTED = 8  # of so many recipients, one is on the list


def fill(number: int) -> None:
    """Store one entry, and repeat it under other addresses."""
    from postal_server.models import Suppression
    from postal_server.services.results.suppression_entries import given_entry

    now = datetime.now(timezone.utc)
    row = given_entry((1, "r0@d0.example"), now, keep_until=now + timedelta(days=90))
    row.save()
    address = "'r' || n || '@d' || (n %% 5000) || '.example'"
    repeat(Suppression, row.pk, number - 1, {"id": f"{row.pk} + n", "key": address, "address": address})
    settle()


def processor_clock() -> Callable[[], float]:
    """A clock that runs while the database works for this process, or the process itself: in seconds."""
    from django.db import connection

    if connection.vendor == "sqlite":
        return time.process_time
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    spent = Path(f"/proc/{pid}/schedstat")  # nanoseconds on a processor first; Linux only
    return lambda: time.process_time() + int(spent.read_text("ascii").split()[0]) / 1e9


def look_up_times(number: int) -> list[float]:
    """Milliseconds of look-ups, from the addresses to the entries that stop mail.

    They are of the processor, in this process and, on PostgreSQL, in the one that serves its connection: the
    disk and other processes are left out.
    """
    from postal_server.services.results.suppression_entries import find

    clock = processor_clock()
    now, chosen, times = datetime.now(timezone.utc), random.Random(1), []
    for _ in range(LOOK_UPS):
        numbers = [chosen.randrange(1, number) * (1 if n % LISTED else -1) for n in range(BATCH)]
        wanted = [(1, f"r{abs(n)}{'x' if n > 0 else ''}@d{abs(n) % 5000}.example") for n in numbers]
        started = clock()
        found = find(wanted, now)
        times.append((clock() - started) * 1000)
        assert len(found) == len({n for n in numbers if n < 0}), len(found)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("configuration")
    parser.add_argument("number", type=int)
    given = parser.parse_args()
    set_up_django(given.configuration)
    fill(given.number)
    print(json.dumps(look_up_times(given.number)))


if __name__ == "__main__":
    main()
