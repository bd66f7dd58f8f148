"""`postal-server vacuum`."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.errors import BackupError
from postal_server.installation.vacuum import space, vacuum
from postal_server.management.base import ServerCommand


class Command(ServerCommand):
    help = (
        "Give the space of deleted mail in a SQLite file back to the disk. A running server refuses mail "
        "temporarily meanwhile: about a second for each 100 MB in use."
    )
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how much that would be")

    def handle(self, *args: Any, **options: Any) -> None:
        path = conf.config().sqlite_file
        if path is None:
            raise CommandError(
                "storage.url: this is for SQLite. PostgreSQL uses the space of deleted rows again by itself."
            )
        if not path.exists():
            raise CommandError(f"{path}: there is no such database (storage.url).")
        started = time.monotonic()
        try:
            before = space(path)
            if options["dry_run"]:
                self.stdout.write(
                    f"{path}: {_mb(before.size)}, of which {_mb(before.unused)} are unused. "
                    f"To give them back, {_mb(before.needed)} of free space are needed for a while."
                )
                return
            is_smaller = vacuum(path)
            after = space(path)
        except BackupError as error:
            raise CommandError(str(error)) from error
        seconds = time.monotonic() - started
        self.stdout.write(f"{path}: {_mb(before.size)} before, {_mb(after.size)} now, in {seconds:.1f} s.")
        if not is_smaller:
            self.stdout.write("The file gets smaller once those who read it, such as a back-up, are done.")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
