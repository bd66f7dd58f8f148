"""`python -m postal_server`, but leases last a third of their time: for short runs that wait for one.

Sessions of PostgreSQL whose client is gone end sooner as well. `FINAL_DOT_SECONDS` in the environment is how
long a host has for its answer to the final dot.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import timedelta

import django

from postal_server import cli
from postal_server.engine import database

FACTOR = 1 / 3


def shorter(options: str) -> str:
    """The same options of PostgreSQL sessions, with a third of their seconds."""
    return re.sub(
        r"(timeout|idle|interval)=(\d+)", lambda found: f"{found[1]}={round(int(found[2]) * FACTOR)}", options
    )


def main() -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "postal_server.settings"
    database.POSTGRESQL_OPTIONS["options"] = shorter(database.POSTGRESQL_SESSION)
    django.setup()
    from postal_server.engine import heartbeat, lease
    from postal_server.engine.ports import Stage
    from postal_server.transports.smtp import session

    for name in ("BEAT_INTERVAL", "OBSERVE_INTERVAL", "HELD_FOR", "DEAD_AFTER"):
        setattr(lease, name, getattr(lease, name) * FACTOR)
    heartbeat.OBSERVE_INTERVAL = lease.OBSERVE_INTERVAL
    if seconds := os.environ.get("FINAL_DOT_SECONDS"):
        patience = {Stage.DOT: timedelta(seconds=float(seconds))}
        session.STAGE_TIMEOUTS = {**session.STAGE_TIMEOUTS, **patience}
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
