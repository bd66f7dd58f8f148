"""What the commands share: their own options only, and one answer to a database that is not ready."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor


class ServerCommand(BaseCommand):
    """A command of `postal-server`. Django's general options are understood, but left out of the help."""

    suppressed_base_arguments = {
        "--version",
        "--settings",
        "--pythonpath",
        "--traceback",
        "--no-color",
        "--force-color",
        "--skip-checks",
        "--verbosity",
    }
    requires_system_checks: list[str] = []
    needs_database = True

    def execute(self, *args: Any, **options: Any) -> Any:
        if self.needs_database:
            require_current_database()
        return super().execute(*args, **options)


def require_current_database() -> None:
    """Raise `CommandError` where the database cannot be reached or lacks a migration."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise CommandError(f"storage.url: the database cannot be used: {error}") from error
    if not executor.loader.applied_migrations:
        raise CommandError("The database is empty. Run `postal-server initialize` first.")
    if missing:
        raise CommandError(
            f"The database lacks {len(missing)} migrations. Run `postal-server upgrade` first."
        )
