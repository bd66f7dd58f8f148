"""An installation with a mail server, its back-up, and functions that make and restore them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from postal_server import conf
from postal_server.installation.backup import making, restoring, verifying
from tests import commands

ROOT = Path(__file__).resolve().parents[4]
NOW = datetime(2026, 12, 1, 3, 15, tzinfo=timezone.utc)


def nothing(*_: Any) -> None:
    """The report that nobody reads."""


def postal_server(*words: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; `environ` has more variables, other `options` are of `commands.run`."""
    return commands.run(*words, folder=folder, environ=environment(**options.pop("environ", {})), **options)


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "POSTAL_", "TEST_DATABASE"))}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture(scope="session")
def new_installation(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "postal"
    done = postal_server("--config", "postal/postal.yml", "initialize", folder=folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def _only_the_server_s_apps(new_installation, monkeypatch) -> None:
    """The tests' own Django has more."""
    rows = query(new_installation / "postal.sqlite3", "SELECT app, name FROM django_migrations")
    known = {f"{app}.{name}" for app, name in rows}
    monkeypatch.setattr(verifying, "known_migrations", lambda: known)


@pytest.fixture
def installation(new_installation, tmp_path) -> Path:
    """The folder of an installation: to make one takes seconds, so it is a copy."""
    return Path(shutil.copytree(new_installation, tmp_path / "postal"))


@pytest.fixture
def back_up(installation, tmp_path) -> Callable[..., Path]:
    """Make a back-up of the installation; its path."""

    def make(name: str = "postal.tar.gz", *, with_certificate: bool = True, **environ: str) -> Path:
        config = conf.load(installation / "postal.yml", environ)
        path = tmp_path / name
        making.make(
            config, str(path), NOW, environ=environ, with_certificate=with_certificate, report=nothing
        )
        return path

    return make


@pytest.fixture
def restore(_only_the_server_s_apps) -> Callable[..., restoring.Restored]:
    """Restore a back-up to a folder."""

    def call(
        file: Path,
        target: Path,
        *,
        url: str | None = None,
        replace: bool = False,
        now: datetime = NOW,
        **environ: str,
    ) -> restoring.Restored:
        with file.open("rb") as stream:
            return restoring.restore(stream, restoring.Wish(target, url, replace, environ), now, nothing)

    return call


def tree(folder: Path) -> dict[str, bytes]:
    """All files in a folder but locks, and what is in them."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-processes")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def query(database: Path, sql: str, *values: Any) -> list[Any]:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(sql, values).fetchall()
