"""The browser of an administrator, and something to look at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from postal_server import conf, models
from postal_server.engine import directory
from postal_server.mail import dkim

NOW = datetime.now(timezone.utc)
MAIL = b"""\
From: x@example.test\r
To: ann@dest.example\r
Subject: <script>alert(1)</script>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
<script>alert(2)</script>\r
--b\r
Content-Type: text/html\r
\r
<script>alert(3)</script>\r
--b\r
Content-Type: text/html; name="../../etc/pass\\"wd.html"\r
Content-Disposition: attachment; filename="../../etc/pass\\"wd.html"\r
\r
<script>alert(4)</script>\r
--b--\r
"""


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """Each test begins at `NOW`, however long ago that was."""
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def page(client, db, monkeypatch, recorded_config, recorded_key) -> Client:
    """The browser of an administrator, who has no password: hashing one takes longer than a test."""
    monkeypatch.setattr(conf, "config", lambda: recorded_config)
    monkeypatch.setattr(dkim, "generate_rsa", lambda bits=2048: recorded_key)
    # The directory that the tests before this one have read is of other rows.
    monkeypatch.setattr(directory, "refresh", directory.DirectoryKeeper().refresh)
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def server() -> models.Server:
    owner = models.Organization.objects.create(name="Example", permalink="example")
    return models.Server.objects.create(organization=owner, name="Live", permalink="live")


@pytest.fixture
def message(server) -> models.Message:
    models.Body.objects.create(id=7, server_id=server.pk, created_at=NOW, raw=MAIL)
    return models.Message.objects.create(
        id=7,
        server_id=server.pk,
        body_id=7,
        scope="outgoing",
        size_bytes=len(MAIL),
        created_at=NOW,
        rcpt_to="ann@dest.example",
        subject="<script>alert(1)</script>",
        status="HardFail",
    )


def hold(message: models.Message) -> None:
    models.Message.objects.update(status="Held", hold_expires_at=NOW + timedelta(days=7))


def enqueue(message: models.Message, **values) -> None:
    models.QueuedMessage.objects.create(
        id=message.pk,
        server_id=message.server_id,
        size_bytes=1,
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
        **{"destination": "dest.example", **values},
    )
