"""A mail server, and the commands as they are called."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import pytest
import time_machine
from django.core.management import call_command

from postal_server import conf, models
from postal_server.mail import dkim

NOW = datetime.now(timezone.utc)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """Each test begins at `NOW`, however long ago that was."""
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def server(db, monkeypatch, recorded_config, recorded_key) -> models.Server:
    monkeypatch.setattr(conf, "config", lambda: recorded_config)
    monkeypatch.setattr(dkim, "generate_rsa", lambda: recorded_key)
    owner = models.Organization.objects.create(name="Acme", permalink="acme")
    return models.Server.objects.create(organization=owner, name="Shop", permalink="shop", token="shopt0")


@pytest.fixture
def run(server) -> Callable[..., str]:
    """Call a command; what it prints."""

    def call(*words: str) -> str:
        out = io.StringIO()
        call_command(*words, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    return call


@pytest.fixture
def add(server) -> Callable[..., int]:
    """Store a message that waits; its id. `held` is why it is held instead, `reason` that as a word."""
    last = 0

    def call(
        rcpt_to: str = "ann@dest.example",
        tag: str | None = None,
        held: str = "",
        reason: str = "",
        stream: str = "",
        held_for: timedelta = timedelta(),
        **row,
    ) -> int:
        nonlocal last
        last += 1
        models.Body.objects.create(id=last, server_id=server.pk, created_at=NOW, raw=b"x")
        models.Message.objects.create(
            id=last,
            server_id=server.pk,
            body_id=last,
            scope="outgoing",
            rcpt_to=rcpt_to,
            tag=tag,
            size_bytes=1000,
            created_at=NOW,
            status="Held" if held else "Pending",
            stream=stream,
            hold_reason=reason,
            last_attempt_at=NOW - held_for if held else None,
            hold_expires_at=NOW + timedelta(days=7) if held else None,
        )
        if held:
            models.Delivery.objects.create(message_id=last, status="Held", details=held, created_at=NOW)
            return last
        values = {"created_at": NOW - timedelta(hours=2), "expires_at": NOW + timedelta(days=5), **row}
        models.QueuedMessage.objects.create(
            id=last,
            server_id=server.pk,
            destination=rcpt_to.partition("@")[2],
            size_bytes=1000,
            **values,
        )
        return last

    return call
