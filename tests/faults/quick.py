"""`python -m postal_server`, but leases last a third of their time: for short runs that wait for one."""

from __future__ import annotations

import os
import sys

import django

from postal_server import cli

FACTOR = 1 / 3


def main() -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "postal_server.settings"
    django.setup()
    from postal_server.engine import lease, tick

    for name in ("BEAT_INTERVAL", "OBSERVE_INTERVAL", "HELD_FOR", "DEAD_AFTER"):
        setattr(lease, name, getattr(lease, name) * FACTOR)
    tick.OBSERVE_INTERVAL = lease.OBSERVE_INTERVAL
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
