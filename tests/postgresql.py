"""A private PostgreSQL for tests: its own cluster in a temporary folder, reached by a Unix socket.

PostgreSQL refuses to run as root, so that root starts it as an unprivileged user.
"""

from __future__ import annotations

import atexit
import contextlib
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from postal_server import conf
from postal_server.engine import database

USERS = ("postgres", "nobody")
# Durability is for real servers; what the tests count does not depend on it.
OPTIONS = "-F -c listen_addresses='' -c max_connections=50 -c autovacuum=on"


def binaries() -> Path | None:
    """The folder of the newest installed server's programs, null if there is none."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb") + glob.glob("/usr/local/bin/initdb")
    on_path = shutil.which("initdb")
    found += [on_path] if on_path else []
    return Path(max(found, key=_version)).parent if found else None


def _version(path: str) -> int:
    digits = [part for part in Path(path).parts if part.isdigit()]
    return int(digits[0]) if digits else 0


def _user() -> pwd.struct_passwd | None:
    """Whom root runs the server as; null for everybody else."""
    if os.geteuid():
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in USERS if name in known)


class Cluster:
    """A server in `folder`. `stop` and `start` may be called any number of times."""

    def __init__(self, folder: Path, options: str = OPTIONS) -> None:
        programs = binaries()
        if programs is None:
            raise FileNotFoundError("PostgreSQL's initdb is not installed")
        self._programs = programs
        self._folder = folder
        self._options = options
        self._user = _user()
        if self._user:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        data = str(folder / "data")
        self._run("initdb", "-D", data, "-U", "postal", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self.url = self.url_of("postal")

    def start(self) -> None:
        options = f"{self._options} -k {self._folder}"
        self._control("-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Cut all connections, as a crash would."""
        self._control("-m", "immediate", "stop")

    @property
    def pid(self) -> int:
        """The process of which all others of this server are children."""
        return int((self._folder / "data" / "postmaster.pid").read_text("ascii").split()[0])

    def url_of(self, name: str) -> str:
        return f"postgresql://postal@/{name}?host={self._folder}"

    def create_database(self, name: str = "postal") -> None:
        self._run("createdb", "-h", str(self._folder), "-U", "postal", name)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        user = self._user
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}")


@contextlib.contextmanager
def cluster(options: str = OPTIONS) -> Iterator[Cluster]:
    """A running server with an empty database. Raises `FileNotFoundError` if none is installed."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        server = Cluster(folder, options)
        server.start()
        try:
            server.create_database()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settings(environ: MutableMapping[str, str]) -> dict[str, Any] | None:
    """`DATABASES["default"]` of the server at `TEST_DATABASE_URL`, or, with `TEST_DATABASE=postgresql`, of a
    private one that lasts as long as this process. Null where SQLite is wanted.

    Processes that this one starts, as those of `pytest -n`, share it: its URL is put in `environ`.
    """
    url = environ.get("TEST_DATABASE_URL", "")
    if not url and environ.get("TEST_DATABASE") == "postgresql":
        private = contextlib.ExitStack()
        atexit.register(private.close)
        url = environ["TEST_DATABASE_URL"] = private.enter_context(cluster()).url
    if not url:
        return None
    return database.settings(conf.parse({"storage": {"url": url}}, {}, Path()))
