"""Read a live MariaDB or MySQL, for imports. Needs PyMySQL (the extra `mariadb`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from postal_server.conf import Config, Database
from postal_server.errors import ConfigurationError


@dataclass(frozen=True)
class MariaDB:
    """One database. `rows` opens a connection of its own and reads without buffering."""

    host: str
    port: int
    user: str
    password: str
    database: str

    def rows(self, tables: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """(table, row) of those of `tables` that are there. Raises `ConfigurationError`."""
        try:
            import pymysql  # noqa: PLC0415 - an extra
            from pymysql.cursors import SSDictCursor  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(
                "Reading a live database needs the extra `mariadb`: pip install 'anymail-postal[mariadb]'."
            ) from error
        try:
            with pymysql.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                database=self.database,
                charset="utf8mb4",
            ) as connection:
                with connection.cursor() as cursor:
                    cursor.execute("SHOW TABLES")
                    present = {row[0] for row in cursor.fetchall()}
                for table in tables:
                    if table in present:
                        with connection.cursor(SSDictCursor) as cursor:
                            cursor.execute(f"SELECT * FROM `{table}`")  # noqa: S608 - names of our own
                            for row in cursor:
                                yield table, row
        except pymysql.MySQLError as error:
            raise ConfigurationError(f"{self.database} on {self.host}: {error.args[-1]}") from error


def live_databases(config: Config) -> tuple[MariaDB, dict[int, MariaDB]]:
    """The main database of a configuration, and the message databases by the ids of their servers.

    Raises `ConfigurationError` where the main database cannot be read.
    """
    main = _database(config.main_db, config.main_db.database)
    prefix = config.message_db.database_name_prefix
    ids = [int(row["id"]) for _, row in main.rows(["servers"])]
    return main, {id: _database(config.message_db, f"{prefix}-server-{id}") for id in ids}


def _database(settings: Database, name: str) -> MariaDB:
    return MariaDB(settings.host, settings.port, settings.username, settings.password, name)
