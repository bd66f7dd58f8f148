"""A PostgreSQL database: its dump by `pg_dump`, what is in a dump, and loading one in one transaction."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from postal_server.engine.database import libpq_parameters
from postal_server.errors import BackupError
from postal_server.models import Credential, Link, Worker

from .archive import Report
from .contents import Contents, Gap

KEPT_SCHEMA = "before_restore_"  # begins the names of schemas with what restores have replaced
LOOK_INTERVAL = 0.5  # seconds between two looks at how long the dump is
MAX_SCRIPT_BYTES = 16 << 20  # ours have 100 KB
COPY_FROM = re.compile(r"COPY \S+ \((.*)\) FROM stdin;\n")
END_OF_ROWS = b"\\.\n"
# Newer versions of pg_restore write these for psql: they keep data from being taken for its commands.
PSQL_ONLY = (b"\\restrict ", b"\\unrestrict ")


class Postgresql:
    """The database of `settings`, an entry of Django's `DATABASES`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._parameters = libpq_parameters(settings)

    @contextlib.contextmanager
    def connection(self) -> Iterator[Any]:
        """A connection with no limit to how long a transaction lasts. Raises `BackupError`."""
        import psycopg  # noqa: PLC0415 - the extra may be missing

        try:
            with psycopg.connect(**self._parameters) as connection:  # type: ignore[arg-type]
                connection.execute("SET idle_in_transaction_session_timeout = 0")
                connection.commit()
                yield connection
        except psycopg.Error as error:
            raise BackupError(f"storage.url: {_first_line(str(error))}") from error

    def dump(self, target: Path, report: Report) -> Contents:
        """Dump all that is committed when this begins."""
        with self.connection() as connection:
            _require_version(connection.info.server_version)
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone()
            found = _contents(connection)
            target.touch(0o600)
            self._run_dump(target, snapshot, report)
            return replace(found, rows={**found.rows, Worker._meta.db_table: 0})

    def _run_dump(self, target: Path, snapshot: str, report: Report) -> None:
        words = [
            *(_program("pg_dump"), "--format=custom", "--compress=1", "--no-owner", "--no-privileges"),
            # Workers of now are none of the restored server's; without them, what they had claimed is free.
            f"--exclude-table-data=*.{Worker._meta.db_table}",
            f"--exclude-schema={KEPT_SCHEMA}*",
            *(f"--snapshot={snapshot}", f"--file={target}", "--no-password"),
        ]
        with self._environment() as environment:
            process = subprocess.Popen(  # noqa: S603 - a list of ours
                words, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            with _ended(process):
                while True:
                    try:
                        _, said = process.communicate(timeout=LOOK_INTERVAL)
                        break
                    except subprocess.TimeoutExpired:
                        report("dumping", target.stat().st_size, None)
        if process.returncode:
            raise BackupError(f"pg_dump: {_first_line(said)}")

    @contextlib.contextmanager
    def _environment(self) -> Iterator[dict[str, str]]:
        """The environment in which PostgreSQL's programs find the database; the process list shows nothing.

        All parameters that libpq knows are in a file for the time of the block, but the password: such a file
        could not keep spaces at its end.
        """
        parameters = {**self._parameters}
        password = parameters.pop("password", None)
        with tempfile.TemporaryDirectory(prefix="postal-server-") as folder:
            service = Path(folder) / "service.conf"
            service.touch(0o600)
            lines = [f"{name}={value}\n" for name, value in parameters.items()]
            service.write_text("".join(["[postal]\n", *lines]), "utf-8")
            environment = {**os.environ, "PGSERVICEFILE": str(service), "PGSERVICE": "postal"}
            yield environment | ({"PGPASSWORD": password} if password else {})

    # Loading

    def require_unused(self, connection: Any) -> None:
        """Raise `BackupError` if somebody else is connected: processes of the server always are."""
        others = connection.execute(
            "SELECT DISTINCT coalesce(host(client_addr), 'this machine') FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename IS NOT NULL AND pid <> pg_backend_pid()"
        ).fetchall()
        if others:
            hosts = ", ".join(sorted(host for (host,) in others))
            raise BackupError(
                f"storage.url: somebody is connected to this database (from {hosts}). "
                "Stop postal-server first."
            )

    def load(
        self,
        dump: Path,
        *,
        rows: Mapping[str, int],
        gap: Gap,
        aside: str | None,
        report: Report,
        with_files: Callable[[], AbstractContextManager[None]],
    ) -> int:
        """Load a dump in one transaction; the last message's id from which the restored server goes on.

        Tables that are there are moved to the schema `aside`; without it there must be none. The dump has
        `rows`. The commit is in the block of `with_files`, which is entered when all is there.
        """
        with self.connection() as connection:
            self.require_unused(connection)
            (schema,) = connection.execute("SELECT current_schema()").fetchone()
            if aside is not None:
                _move(connection, schema, aside)
            connection.execute(_script(dump, "pre-data"))
            _load_data(connection, dump, report)
            connection.execute(_script(dump, "post-data"))
            connection.execute("SELECT set_config('search_path', %s, true)", [schema])
            found = _contents(connection)
            if found.rows != rows:
                raise BackupError("the database has other rows than the back-up after it was loaded.")
            last = _skip_ids(connection, gap)
            connection.execute("ANALYZE")
            self.require_unused(connection)
            with with_files():
                connection.commit()
            return last


def _move(connection: Any, schema: str, aside: str) -> None:
    """Move all tables, with what belongs to them, and all sequences to a new schema."""
    from psycopg import sql  # noqa: PLC0415 - the extra may be missing

    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(aside)))
    for kind, catalog in (("TABLE", "tables"), ("SEQUENCE", "sequences")):
        # Sequences of columns have gone with their tables.
        names = connection.execute(
            f"SELECT {kind.lower()}name FROM pg_{catalog} WHERE schemaname = %s",  # noqa: S608
            [schema],
        ).fetchall()
        for (name,) in names:
            connection.execute(
                sql.SQL("ALTER {} {} SET SCHEMA {}").format(
                    sql.SQL(kind), sql.Identifier(schema, name), sql.Identifier(aside)
                )
            )


def _load_data(connection: Any, dump: Path, report: Report) -> None:
    """Copy the rows of all tables, and set the sequences."""
    done = 0
    with _output([_program("pg_restore"), "--section=data", *FROM_DUMP, str(dump)]) as lines:
        for line in lines:
            if COPY_FROM.fullmatch(line.decode("utf-8", "replace")):
                with connection.cursor().copy(line.decode().rstrip(";\n")) as copy:
                    for row in lines:
                        if row == END_OF_ROWS:
                            break
                        copy.write(row)
                        done += len(row)
                        report("loading", done, None)
            elif line.startswith((b"SELECT ", b"SET ")):
                connection.execute(line.decode())


FROM_DUMP = ("--no-owner", "--no-privileges", "--file=-")


def _script(dump: Path, section: str) -> bytes:
    """The SQL of a part of a dump that has no rows."""
    with _output([_program("pg_restore"), f"--section={section}", *FROM_DUMP, str(dump)]) as lines:
        text = lines.read(MAX_SCRIPT_BYTES)
        if lines.read(1):
            raise BackupError("its tables are not those of postal-server: their description is too long.")
    return b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(PSQL_ONLY))


def tables(connection: Any) -> list[str]:
    """The tables that are there, in the schema that ours are in or would be."""
    found = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
    )
    return [name for (name,) in found]


def _contents(connection: Any) -> Contents:
    from psycopg import sql  # noqa: PLC0415 - the extra may be missing

    names = tables(connection)
    if "django_migrations" not in names:
        raise BackupError("storage.url: the database is empty. Run `postal-server initialize` first.")
    rows = {
        name: connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()[
            0
        ]
        for name in names
    }
    migrations = connection.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
    (last,) = connection.execute("SELECT last_value FROM postal_message_id").fetchone()
    version = connection.info.server_version
    applied = tuple(f"{app}.{name}" for app, name in migrations)
    return Contents(f"{version // 10000}.{version % 10000}", applied, rows, last)


def _skip_ids(connection: Any, gap: Gap) -> int:
    """Go on above the ids of messages and links that may have been given since; the last message's id."""
    (last,) = connection.execute(
        "SELECT setval('postal_message_id', nextval('postal_message_id') + %s)", [gap]
    ).fetchone()
    connection.execute(
        "SELECT setval(name, nextval(name) + %s) FROM pg_get_serial_sequence(%s, 'id') AS name",
        [gap, Link._meta.db_table],
    )
    return int(last)


# Dumps


def problems(dump: Path) -> list[str]:
    """What pg_restore finds wrong with a dump, all of which it reads."""
    try:
        with _output([_program("pg_restore"), "--list", str(dump)]) as lines:
            listed = b"".join(lines)
        with _output([_program("pg_restore"), *FROM_DUMP, str(dump)]) as lines:
            for _ in lines:
                pass
    except BackupError as error:
        return [str(error)]
    return [] if b"TABLE DATA" in listed else ["the dump has no tables"]


def encrypted_keys(dump: Path) -> list[str]:
    """The SMTP keys in a dump, as they are stored."""
    table = Credential._meta.db_table
    keys: list[str] = []
    with _output([_program("pg_restore"), "--data-only", f"--table={table}", *FROM_DUMP, str(dump)]) as lines:
        for line in lines:
            if found := COPY_FROM.fullmatch(line.decode("utf-8", "replace")):
                column = [name.strip('"') for name in found[1].split(", ")].index("key_encrypted")
                for row in lines:
                    if row == END_OF_ROWS:
                        break
                    keys.append(row.rstrip(b"\n").split(b"\t")[column].decode())
    return [key for key in keys if key]


# Programs


def _program(name: str) -> str:
    """Where a program of PostgreSQL is. Raises `BackupError`."""
    found = shutil.which(name)
    if found is None:
        raise BackupError(
            f"{name} is not on the PATH: install PostgreSQL's client programs (Debian: postgresql-client)."
        )
    return found


def _require_version(server: int) -> None:
    """Raise `BackupError` unless pg_dump is as new as the server, whose version is 150018 for 15.18."""
    done = subprocess.run(  # noqa: S603 - a list of ours
        [_program("pg_dump"), "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"\) (\d+)", done.stdout)
    if not found:
        raise BackupError(f"pg_dump: {_first_line(done.stderr)}")
    if int(found[1]) < server // 10000:
        raise BackupError(
            f"pg_dump on the PATH is version {found[1]}, and the server is version {server // 10000}: "
            f"install its client programs (Debian: postgresql-client-{server // 10000})."
        )


@contextlib.contextmanager
def _output(words: Sequence[str]) -> Iterator[IO[bytes]]:
    """What a program prints, to its end. Raises `BackupError` if it fails."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - a list of ours
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        with _ended(process), process.stdout:
            yield process.stdout
        if process.returncode:
            errors.seek(0)
            said = errors.read(4096).decode("utf-8", "replace")
            raise BackupError(f"{Path(words[0]).name}: {_first_line(said)}")


@contextlib.contextmanager
def _ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Wait for a process after the block; if that fails, end the process."""
    try:
        yield
        process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^pg_(dump|restore): error: ", "", lines[0]) if lines else "failed"
