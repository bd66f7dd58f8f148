"""A mail server in the database, its directory and a configuration, as the services see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest
from django.db import transaction

from postal_server import conf
from postal_server.mail import dkim
from postal_server.mail.smtp_reply import Reply
from postal_server.models import Domain, Organization, Server, Webhook, WebhookRequest
from postal_server.rules import outcome
from postal_server.rules.status import Scope
from postal_server.services.acceptance import storage
from postal_server.services.operations.context import THE_SERVER, OperationContext
from postal_server.services.results import webhook
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.loader import load
from postal_server.services.shared.work import Accepted, Claimed, NewMessage, Result

NOW = datetime(2026, 11, 22, 18, 58, 0, 250000, tzinfo=timezone.utc)
DNS = {
    "return_path_domain": "rp.postal.example.test",
    "route_domain": "routes.postal.example.test",
}


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> Path:
    """A folder with the installation's key; RSA-1024 is enough for tests, and quick."""
    root = tmp_path_factory.mktemp("installation")
    (root / "signing.key").write_text(dkim.generate_rsa(1024))
    return root


@pytest.fixture(scope="session")
def domain_key() -> str:
    return dkim.generate_rsa(1024)


@pytest.fixture(scope="session")
def config(keys) -> conf.Config:
    return conf.parse(
        {
            "postal": {"smtp_hostname": "mx.postal.example.test", "web_hostname": "postal.example.test"},
            "dns": DNS,
            "delivery": {"mode": "mx"},
        },
        {},
        keys,
    )


@dataclass
class World:
    """What the tests' rows belong to."""

    organization: Organization
    server: Server
    domain: Domain

    def directory(self) -> Directory:
        return load()

    def context(self, config: conf.Config, now: datetime = NOW) -> OperationContext:
        return OperationContext(THE_SERVER, config, now, self.directory(), transaction.atomic)

    def add_webhook(self, **values) -> Webhook:
        values = {"name": "all", "url": "http://hook.example/all", "all_events": True, **values}
        return Webhook.objects.create(server=self.server, **values)


@pytest.fixture
def world(db, domain_key) -> World:
    organization = Organization.objects.create(name="Example", permalink="example")
    server = Server.objects.create(
        organization=organization, name="Live", permalink="live", token="s8halm", mode="Live"
    )
    domain = Domain.objects.create(
        server=server,
        name="example.test",
        verified_at=NOW,
        dkim_suffix="WTgXDd",
        dkim_private_key=domain_key,
        dkim_status="OK",
    )
    return World(organization, server, domain)


RAW = (
    b"Received: from api (x [192.0.2.1]) by postal.example.test with HTTP; now\r\n"
    b"From: sender@example.test\r\nTo: a@dest.example\r\nSubject: Hi\r\n"
    b"Message-ID: <x@rp.postal.example.test>\r\n\r\nHello\r\n"
)


def store(
    world: World, *recipients: str | None, raw: bytes = RAW, attempts: int = 0, **values
) -> list[Claimed]:
    """Store a submission and claim its messages. `values` go to the submission or its messages."""
    of_message = {
        key: values.pop(key)
        for key in (
            "scope",
            "domain_id",
            "credential_id",
            "route_id",
            "endpoint_type",
            "endpoint_id",
            "is_bounce",
        )
        if key in values
    }
    is_manual = values.pop("is_manual", False)
    server = values.pop("server", world.server)
    of_message = {"scope": Scope.OUTGOING, "domain_id": world.domain.pk, **of_message}
    messages = tuple(
        NewMessage(server_id=server.pk, rcpt_to=address, destination="dest.example", **of_message)
        for address in recipients or ("a@dest.example",)
    )
    values = {
        "mail_from": "sender@example.test",
        "subject": "Hi",
        "message_id": "x@rp.postal.example.test",
        **values,
    }
    [stored] = storage.store([Accepted(raw=raw, messages=messages, **values)], NOW)
    return [Claimed(row.id, server.pk, "dest.example", attempts, is_manual, len(raw), NOW) for row in stored]


PEER = outcome.Peer("mx.dest.example", "127.0.0.1", 25, log_id="DUTUY1AE")


def sent(
    claimed: Claimed, answer: str = "250 2.0.0 Ok: queued", changes=None, recipient="a@dest.example"
) -> Result:
    """What a receiver's answer makes of a claimed message."""
    reply = Reply.parse([answer.encode()])
    return Result(
        claimed, outcome.outcome_of_reply(reply, recipient=recipient, peer=PEER, seconds=0.04), changes
    )


def webhook_claim(number, attempts=0) -> Claimed:
    return Claimed(number, 1, "webhook:1", attempts, False, 100, NOW)


def posted(number, code, attempts=0, retry_after=None, text="ok") -> Result:
    """What a receiver's response makes of a claimed webhook request."""
    found = outcome.outcome_of_response(
        code, text, url="http://h.example/", seconds=0.2, retry_after=retry_after
    )
    return Result(webhook_claim(number, attempts), found)


@pytest.fixture
def webhook_requests(world):
    """Three stored requests of one webhook."""
    world.add_webhook()
    events = [webhook.WebhookEvent(world.server.pk, "MessageSent", {"n": n}, n) for n in range(3)]
    webhook.emit(events, world.directory(), NOW)
    return list(WebhookRequest.objects.order_by("id"))
