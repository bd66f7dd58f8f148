"""The suppression list of a running server: what is on it, and tasks of the night brought forward."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, NamedTuple

COLUMNS = "key, reason, scope, times, state, created_at, keep_until, ended_by"
SET_UP = """\
import django, datetime
django.setup()
from django.db import transaction
from postal_server.models import Incident
from postal_server.services.operations import incidents, suppressed_domains
from postal_server.services.operations.context import THE_SERVER, OperationContext
from postal_server.services.shared.loader import load
from postal_server import conf
now = datetime.datetime.now(datetime.timezone.utc)
hours = lambda count: now + datetime.timedelta(hours=count)
"""


class Listed(NamedTuple):
    """An entry. `lasts` are whole days, None without end."""

    key: str
    reason: str
    scope: str
    times: int
    state: str
    lasts: int | None
    ended_by: str


def entries(postal: Any, **wanted: Any) -> list[Listed]:
    """The entries of a mail server that are as wanted, oldest first, with those that ended."""
    found = []
    path = postal.running.folder / "postal.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        query = f"SELECT {COLUMNS} FROM postal_server_suppression WHERE server_id = ? ORDER BY id"
        for *values, created_at, keep_until, ended_by in database.execute(query, [postal.id]):
            lasts = _moment(keep_until) - _moment(created_at) if keep_until else None
            days = None if lasts is None else round(lasts / timedelta(days=1))
            found.append(Listed(*values, days, ended_by))
    return [row for row in found if all(getattr(row, name) == value for name, value in wanted.items())]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def run_inside(running: Any, code: str) -> None:
    """Run code beside a server, on its database: what its worker does at night, with another time."""
    environment = {
        **os.environ,
        "POSTAL_CONFIG_FILE_PATH": str(running.folder / "postal.yml"),
        "DJANGO_SETTINGS_MODULE": "postal_server.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", SET_UP + code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
