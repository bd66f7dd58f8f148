"""`postal-server upgrade` (Postal's `update` as well)."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command

from postal_server.management.base import ServerCommand


class Command(ServerCommand):
    help = "Bring the database up to date after a new version was installed."
    needs_database = False

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=1, interactive=False)
