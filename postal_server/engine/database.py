"""How the server opens its database, and how processes that write to one SQLite file take turns.

Imported by the settings module: nothing here may need Django's apps.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.db import close_old_connections, connection, transaction
from django.db.utils import DatabaseError, Error, InterfaceError, OperationalError

from postal_server.conf import Config
from postal_server.errors import ConfigurationError

# What an exception must be to mean "the database cannot serve", not "this row is wrong".
DATABASE_AWAY = (OperationalError, InterfaceError)

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers do not stop the writer
    "PRAGMA synchronous=FULL",  # a commit is on the disk when it returns: 250 and 200 rely on it
    "PRAGMA secure_delete=0",  # Debian compiles it on; deletes cost 3.6 times as much with it
    "PRAGMA wal_autocheckpoint=16384",  # pages of 4 KiB: 64 MB
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA temp_store=MEMORY",
)
SQLITE_TIMEOUT = 30  # seconds to wait for another writer
# A machine that is cut off ends nothing: its transaction would keep rows locked for two hours, those that say
# that its worker lives among them. So both sides give up before the lease does (`lease.DEAD_AFTER`).
POSTGRESQL_SESSION = (
    "-c idle_in_transaction_session_timeout=20s "
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2"
)
POSTGRESQL_OPTIONS = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,  # seconds
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,  # milliseconds
    "options": POSTGRESQL_SESSION,
    # Bound by the server, a 50 MB text costs twice its size in memory; by the client nine times.
    "server_side_binding": True,
}

# What PostgreSQL says of set-ups that are not finished, and what finishes them.
CURES = (
    (
        re.compile(r"password authentication failed|no password supplied"),
        " The user or the password in the URL is wrong.",
    ),
    (re.compile("Peer authentication failed"), " Use a host name in the URL, and the password of that user."),
    (
        re.compile('role "[^"]*" does not exist'),
        " `sudo -u postgres createuser --pwprompt NAME` makes a user of that name.",
    ),
    (
        re.compile('database "[^"]*" does not exist'),
        " `sudo -u postgres createdb --owner USER NAME` makes a database of that name.",
    ),
    (
        re.compile("permission denied for schema"),
        " Make the user of the URL the owner of the database: `ALTER DATABASE name OWNER TO user`.",
    ),
)


def settings(config: Config) -> dict[str, Any]:
    """The `DATABASES["default"]` of `storage.url`. Raises `ConfigurationError`.

    Query parameters of a PostgreSQL URL are libpq's (`?sslmode=require`).
    """
    url = urllib.parse.urlsplit(config.storage.url)
    if url.scheme == "sqlite":
        return _sqlite(config.sqlite_file)
    if url.scheme in ("postgresql", "postgres"):
        return _postgresql(url)
    raise ConfigurationError(
        f"storage.url: {url.scheme!r} is not known: sqlite:///path or postgresql://user@host/name."
    )


def _sqlite(path: Path | None) -> dict[str, Any]:
    if path is None:
        raise ConfigurationError("storage.url: the path of the SQLite file is missing.")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            "timeout": SQLITE_TIMEOUT,
            # A transaction that reads first and writes later could not wait for another writer.
            "transaction_mode": "IMMEDIATE",
            "init_command": ";".join(SQLITE_PRAGMAS),
        },
    }


def _postgresql(url: urllib.parse.SplitResult) -> dict[str, Any]:
    def unquote(value: str | None) -> str:
        return urllib.parse.unquote(value or "")

    name = unquote(url.path.lstrip("/"))
    if not name:
        raise ConfigurationError("storage.url: the name of the database is missing.")
    try:
        port = str(url.port or "")
    except ValueError:
        raise ConfigurationError("storage.url: the port is not a number from 1 to 65535.") from None
    try:
        import psycopg  # noqa: F401, PLC0415 - the extra may be missing
    except ImportError as error:
        raise ConfigurationError(
            "storage.url: PostgreSQL needs another extra: pip install 'anymail-postal[server,postgres]' "
            f"({error})."
        ) from error
    options = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(url.username),
        "PASSWORD": unquote(url.password),
        # A host with a slash is the folder of a Unix socket: `postgresql:///name?host=/run/postgresql`.
        "HOST": options.pop("host", unquote(url.hostname)),
        "PORT": options.pop("port", port),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**POSTGRESQL_OPTIONS, **options},
    }


LIBPQ_NAMES = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}


def libpq_parameters(given: Mapping[str, Any]) -> dict[str, str]:
    """Settings of a PostgreSQL database as `psycopg.connect` and PostgreSQL's programs take them."""
    options = {name: value for name, value in given["OPTIONS"].items() if name != "server_side_binding"}
    place = {libpq: given[name] for name, libpq in LIBPQ_NAMES.items()}
    return {name: str(value) for name, value in {**place, **options}.items() if value != ""}


def unusable(error: object, config: Config) -> str:
    """What to say of a database that cannot be used: one line, with the cure if it is a known one."""
    said = " ".join(str(error).split()).rstrip(".?")
    file = f" ({config.sqlite_file})" if config.sqlite_file else ""
    cure = next((cure for words, cure in CURES if words.search(said)), "")
    return f"storage.url: the database cannot be used: {said}{file}.{cure}"


@contextlib.contextmanager
def checked_connection() -> Iterator[None]:
    """This thread's connection for the time of the block, as Django's request handler treats it.

    For servers that answer without that handler: a connection that broke, or is too old, is closed.
    """
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def sqlite_path() -> Path | None:
    """The file of a SQLite database; None for PostgreSQL and for one in memory."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or ":memory:" in name or "mode=memory" in name:
        return None
    return Path(name)


def beside(path: Path, suffix: str) -> Path:
    """The path of a file of ours beside the database's own."""
    return path.with_name(f"{path.name}-{suffix}")


def open_lock(path: Path, suffix: str) -> int:
    """A descriptor of a file beside the database, to be locked.

    If root makes it, it is the database owner's, as the log that SQLite makes: a service could not open it.
    """
    lock = os.open(beside(path, suffix), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = (path if path.exists() else path.parent).stat()
        os.fchown(lock, owner.st_uid, owner.st_gid)
    return lock


class FairWriteLock:
    """Lets processes write to one SQLite file in turn, nearly in the order in which they asked.

    SQLite's own busy handler sleeps and tries again, so that a process that commits all the time starves the
    others (2.2 s at worst, 45 ms with this). Two locks: who leaves the inner one cannot take it again before
    the process that waits in front of it, because that one holds the outer lock.
    """

    def __init__(self, path: Path) -> None:
        self._outer = open_lock(path, "turn")
        self._inner = open_lock(path, "write")

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for this process's turn; it lasts as long as the block."""
        fcntl.flock(self._outer, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._inner, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._outer, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._inner, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._outer)
        os.close(self._inner)


class NoWriteLock:
    """The write lock of databases whose writers do not wait for each other."""

    def turn(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def close(self) -> None:
        pass


def write_lock() -> FairWriteLock | NoWriteLock:
    """The write lock of this database; each thread that writes needs one of its own."""
    path = sqlite_path()
    return NoWriteLock() if path is None else FairWriteLock(path)


@contextlib.contextmanager
def write_transaction() -> Iterator[None]:
    """A transaction that waits for its turn: for those that write much beside the journals.

    Within another transaction it is a part of that one, which has its turn.
    """
    if connection.in_atomic_block:
        with transaction.atomic():
            yield
        return
    gate = write_lock()
    try:
        with gate.turn(), transaction.atomic():
            yield
    finally:
        gate.close()


def is_disk_full(error: Error) -> bool:
    """Did this statement fail for want of room on the disk?"""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return "disk is full" in str(cause)  # its error codes have names from Python 3.11 on
    return getattr(cause, "sqlstate", None) == "53100"  # PostgreSQL: disk_full


def can_serve() -> bool:
    """Does the database answer? Opens a connection for the calling thread if it has none."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True
