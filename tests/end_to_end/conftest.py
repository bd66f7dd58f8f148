"""A Django project under test whose receivers write down what they hear."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from anymail.signals import inbound, tracking
from pytest_django.live_server_helper import LiveServer

from anymail_postal.signals import reply_received, reply_rejected

WAIT_SECONDS = 20.0
QUIET_SECONDS = 2.0


@pytest.fixture(scope="package")
def live_server():
    """The project's server. It finishes what it has begun before it goes.

    The mail server goes on trying what was refused. Django's live server leaves requests to daemon threads:
    one that outlives it may not close its database connection any more, fails, and leaves its socket open.
    """
    server = LiveServer("localhost")
    httpd = server.thread.httpd
    httpd.daemon_threads = False  # so that stop() waits for them
    httpd.set_app(one_at_a_time(httpd.get_app()))
    yield server
    server.stop()


def one_at_a_time(application: Callable[..., Any]) -> Callable[..., Any]:
    """The application without requests beside each other, such as a failure and its suppression.

    All of them use the one connection that a database in memory has. It takes one transaction at a time.
    """
    lock = threading.Lock()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        with lock:
            return application(environ, start_response)

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
