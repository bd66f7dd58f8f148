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
from collections.abc import Iterator, Mapping
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


@contextlib.contextmanager
def cluster(options: str = OPTIONS) -> Iterator[str]:
    """A running server; the value is the URL of its empty database. Raises `FileNotFoundError`."""
    programs = binaries()
    if programs is None:
        raise FileNotFoundError("PostgreSQL's initdb is not installed")
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    data = folder / "data"
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(programs / program), *arguments],
            cwd=folder,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr or done.stdout}")

    try:
        run("initdb", "-D", str(data), "-U", "postal", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        log = str(folder / "log")
        run("pg_ctl", "-D", str(data), "-l", log, "-w", "-o", f"{options} -k {folder}", "start")
        try:
            run("createdb", "-h", str(folder), "-U", "postal", "postal")
            yield f"postgresql://postal@/postal?host={folder}"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settings(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """`DATABASES["default"]` of the server at `TEST_DATABASE_URL`, or, with `TEST_DATABASE=postgresql`, of a
    private one that lasts as long as this process. Null where SQLite is wanted.
    """
    url = environ.get("TEST_DATABASE_URL", "")
    if not url and environ.get("TEST_DATABASE") == "postgresql":
        private = contextlib.ExitStack()
        atexit.register(private.close)
        url = private.enter_context(cluster())
    if not url:
        return None
    return database.settings(conf.parse({"storage": {"url": url}}, {}, Path()))
