"""`postal-server upgrade` (Postal's `update` as well)."""

from __future__ import annotations

from typing import Any

from postal_server import conf, files
from postal_server.management.base import ServerCommand, bring_database_up_to_date


class Command(ServerCommand):
    help = "Bring the database up to date after a new version was installed."
    needs_database = False

    def handle(self, *args: Any, **options: Any) -> None:
        bring_database_up_to_date(verbosity=1)
        for path in files.keep_others_out(conf.config()):
            self.stdout.write(f"only for its owner from now on: {path}")
