"""`postal-server version`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from postal_server.management.base import ServerCommand


class Command(ServerCommand):
    help = "Print the version."
    needs_database = False

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(version("anymail-postal"))
