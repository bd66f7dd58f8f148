"""A Django project under test whose receivers write down what they hear."""

from __future__ import annotations

import contextlib
import io
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from anymail.signals import inbound, tracking
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from anymail_postal.signals import reply_received, reply_rejected

WAIT_SECONDS = 20.0
QUIET_SECONDS = 2.0
OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF",
}


@pytest.fixture(scope="package")
def database_file(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[None]:
    """A test and the live server have a database connection each, as in production.

    Threads share the one connection to a database in memory, which takes one transaction at a time: it is
    copied to a file for the tests of this folder.
    """
    if connection.vendor != "sqlite":
        yield
        return
    database = connection.settings_dict
    in_memory = {name: database[name] for name in ("NAME", "OPTIONS")}
    path = tmp_path_factory.mktemp("database") / "project.sqlite3"
    with django_db_blocker.unblock():
        connection.ensure_connection()
        held, connection.connection = connection.connection, None
    with contextlib.closing(sqlite3.connect(path)) as copy:
        held.backup(copy)
    database.update({"NAME": str(path), "OPTIONS": OPTIONS})
    yield
    with django_db_blocker.unblock():
        connection.close()
    database.update(in_memory)
    connection.connection = held


@pytest.fixture(scope="package")
def live_server(database_file) -> Iterator[LiveServer]:
    """The project's server. It finishes what it has begun before it goes.

    The mail server goes on trying what was refused. Django's live server leaves requests to daemon threads:
    one that outlives it may not close its database connection any more, fails, and leaves its socket open.
    """
    server = LiveServer("localhost")
    httpd = server.thread.httpd
    httpd.daemon_threads = False  # so that stop() waits for them
    httpd.set_app(repeated_at_once(httpd.get_app()))
    yield server
    server.stop()


def repeated_at_once(application: Callable[..., Any]) -> Callable[..., Any]:
    """The application without Postal's two minutes until it posts again what was answered 503.

    On a busy machine an event may come before what was sent is in the store.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        end = time.monotonic() + WAIT_SECONDS
        while True:
            started: list[Any] = []
            response = application(
                environ | {"wsgi.input": io.BytesIO(body)},
                lambda *given, started=started: started.append(given),
            )
            if not started[0][0].startswith("503") or time.monotonic() > end:
                start_response(*started[0])
                return response
            response.close()
            time.sleep(0.05)

    return answer


class Heard(list):
    """What a signal brought, in order of arrival."""

    def wait_for(self, holds: Callable[[Any], bool], wish: str) -> Any:
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            for item in list(self):
                if holds(item):
                    return item
            time.sleep(0.02)
        raise AssertionError(f"Nobody heard of {wish}. Heard: {list(self)}")


@pytest.fixture
def project(settings, postal, live_server):
    """The project sends through `postal`, which posts events and mail for reply@ to it."""
    for name, value in postal.settings.items():
        setattr(settings, name, value)
    settings.ANYMAIL = {**settings.ANYMAIL, "POSTAL_STRIP_REPLIES": True}
    postal.post_events_to(f"{live_server.url}/ours/postal/tracking/")
    postal.post_mail_to(f"{live_server.url}/ours/postal/inbound/")
    yield postal
    # A post that comes while the database is emptied would be answered over the same connection.
    with contextlib.suppress(AssertionError):
        postal.wait_until_quiet(QUIET_SECONDS)


@pytest.fixture
def heard():
    """What each signal brought: `heard["tracking"]`, `heard["reply_received"]`, ..."""
    signals = {
        "tracking": (tracking, "event"),
        "inbound": (inbound, "event"),
        "reply_received": (reply_received, None),
        "reply_rejected": (reply_rejected, None),
    }
    found = {name: Heard() for name in signals}
    receivers = []
    for name, (signal, argument) in signals.items():

        def receive(sender, *, _name=name, _argument=argument, **kwargs):
            found[_name].append(kwargs[_argument] if _argument else kwargs)

        signal.connect(receive, weak=False)
        receivers.append((signal, receive))
    yield found
    for signal, receive in receivers:
        signal.disconnect(receive)
