"""Does the database answer? Asked before Django is set up, so that nothing is written if it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from postal_server.conf import Config
from postal_server.engine import database
from postal_server.errors import ConfigurationError

SQLITE_HEADER = b"SQLite format 3\0"
MAY_CREATE = "SELECT has_schema_privilege(current_schema(), 'CREATE')"


def problem(config: Config) -> str:
    """Why the database of `storage.url` cannot be used, in one line; empty if it can."""
    try:
        given = database.settings(config)
    except ConfigurationError as error:
        return str(error)
    why = _sqlite_problem(config.sqlite_file) if config.sqlite_file else _postgresql_problem(given)
    return database.unusable(why, config) if why else ""


def _sqlite_problem(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(len(SQLITE_HEADER))
    except FileNotFoundError:  # it is to be made
        return ""
    except OSError as error:
        return str(error.strerror)
    return "" if start in (b"", SQLITE_HEADER) else "file is not a database"


def _postgresql_problem(given: dict[str, Any]) -> str:
    import psycopg  # noqa: PLC0415 - the extra is there if the settings are

    try:
        with psycopg.connect(**database.libpq_parameters(given)) as connection:  # type: ignore[arg-type]
            may_create = connection.execute(MAY_CREATE).fetchone()
    except psycopg.Error as error:
        return str(error)
    return "" if may_create and may_create[0] else "permission denied for schema public"
