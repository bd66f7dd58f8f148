from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.core.management.base import CommandError

from postal_server.models import Webhook, WebhookAttempt, WebhookRequest

from .conftest import NOW


@pytest.fixture
def webhook(server) -> Webhook:
    return Webhook.objects.create(server=server, name="App", url="https://app.example/hook")


@pytest.fixture
def attempt(webhook):
    def call(status_code: int = 500, **values) -> WebhookAttempt:
        return WebhookAttempt.objects.create(
            server_id=webhook.server_id,
            webhook_id=webhook.pk,
            uuid=uuid.uuid4(),
            event="MessageSent",
            url=webhook.url,
            attempt=16,
            status_code=status_code,
            payload="{}",
            **{"will_retry": False, "created_at": NOW, **values},
        )

    return call


def test_list_shows_state_and_what_waits(run, webhook, attempt):
    webhook.enabled, webhook.disabled_reason = False, "The receiver answered 410 Gone."
    webhook.save()
    attempt(), attempt(200), attempt(will_retry=True)
    WebhookRequest.objects.create(
        webhook_id=webhook.pk,
        server_id=webhook.server_id,
        uuid=uuid.uuid4(),
        event="MessageSent",
        body=b"{}",
        created_at=NOW - timedelta(hours=3, minutes=1),
        expires_at=NOW + timedelta(days=3),
    )
    cells = [cell.strip() for cell in run("webhooks", "list").splitlines()[1].split("  ") if cell]
    assert cells == [
        str(webhook.pk),
        "acme/shop",
        "App",
        "https://app.example/hook",
        "off. The receiver answered 410 Gone.",
        "yes",
        "1",
        "3 h 1 min",
        "1",
    ]


def test_webhooks_are_told_what_postal_lacks_or_not(run, webhook):
    number = str(webhook.pk)
    assert run("webhooks", "set", number, "--beyond-postal", "no") == "1 webhook is changed.\n"
    webhook.refresh_from_db()
    assert not webhook.beyond_postal
    run("webhooks", "set", number, "--beyond-postal", "yes")
    webhook.refresh_from_db()
    assert webhook.beyond_postal
    with pytest.raises(CommandError, match="There is no webhook 99"):
        run("webhooks", "set", number, "99", "--beyond-postal", "no")


def test_resend_all_that_failed(run, attempt):
    attempt(), attempt(404), attempt(200), attempt(will_retry=True)
    assert run("webhooks", "resend", "--failed", "--dry-run") == "2 events would be posted again.\n"
    assert not WebhookRequest.objects.exists()
    assert run("webhooks", "resend", "--failed") == "2 events are posted again.\n"
    assert WebhookRequest.objects.count() == 2


def test_resend_some_of_what_failed(run, webhook, attempt):
    attempt(), attempt(created_at=NOW - timedelta(hours=5))
    other = Webhook.objects.create(server=webhook.server, name="Other", url="https://other.example/")
    assert run("webhooks", "resend", "--failed", "--webhook", str(other.pk)).startswith("0 ")
    assert run("webhooks", "resend", "--failed", "--hours", "2").startswith("1 ")
    assert run("webhooks", "resend", "--failed", "--server", "acme/shop").startswith("1 ")


def test_resend_by_uuid_whatever_became_of_it(run, attempt):
    assert run("webhooks", "resend", str(attempt(200).uuid)) == "1 event is posted again.\n"


@pytest.mark.parametrize("words", [[], [str(uuid.uuid4()), "--failed"]])
def test_either_events_or_all_that_failed(run, words):
    with pytest.raises(CommandError, match="Name events, or say --failed"):
        run("webhooks", "resend", *words)


@pytest.mark.parametrize("narrowed", [["--server", "acme/shop"], ["--webhook", "1"]])
def test_events_that_are_named_are_not_narrowed(run, attempt, narrowed):
    with pytest.raises(CommandError, match="narrows what was given up"):
        run("webhooks", "resend", str(attempt().uuid), *narrowed)
    assert not WebhookRequest.objects.exists()


def test_a_webhook_and_an_event_that_are_not_there_are_named(run):
    with pytest.raises(CommandError, match=r"There is no webhook 99; `webhooks list`"):
        run("webhooks", "resend", "--failed", "--webhook", "99")
    unknown = str(uuid.uuid4())
    with pytest.raises(CommandError, match=f"No event is known as {unknown}"):
        run("webhooks", "resend", unknown)
