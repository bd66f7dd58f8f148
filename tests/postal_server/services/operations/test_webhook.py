from datetime import timedelta

import pytest

from postal_server.models import Webhook, WebhookAttempt, WebhookRequest
from postal_server.services.operations import webhook
from postal_server.services.results import webhook as results
from tests.postal_server.services.conftest import NOW, posted


def resend(attempts) -> int:
    return sum(webhook.resend(attempts, NOW))


@pytest.fixture
def tried(world, webhook_requests, config):
    """Have a request answered with `code` for the `attempts`-th time, and end it as the engine would."""

    def call(number: int, code: int, attempts: int = 16) -> WebhookAttempt:
        row = webhook_requests[number]
        result = posted(row.id, code, attempts=attempts - 1)
        recorded = results.record([result], world.directory(), config, NOW)
        WebhookRequest.objects.filter(pk__in=recorded.finished).delete()
        for pk, due_at in recorded.deferred:
            WebhookRequest.objects.filter(pk=pk).update(due_at=due_at)
        return WebhookAttempt.objects.order_by("-pk")[0]

    return call


def test_what_was_given_up_is_posted_again_byte_by_byte(webhook_requests, tried):
    attempt = tried(0, 500)
    assert resend(webhook.given_up()) == 1
    row = WebhookRequest.objects.get(uuid=attempt.uuid)
    assert (bytes(row.body), row.event, row.attempts, row.due_at) == (
        bytes(webhook_requests[0].body),
        "MessageSent",
        0,
        None,
    )
    assert row.expires_at == NOW + webhook.WEBHOOK_LIFETIME


def test_once(tried):
    tried(0, 500)
    assert resend(webhook.given_up()) == 1
    assert resend(webhook.given_up()) == 0


def test_what_arrived_or_waits_was_not_given_up(tried):
    tried(0, 200), tried(1, 500, attempts=1)
    assert not webhook.given_up().exists()


def test_what_waits_is_brought_forward(tried):
    attempt = tried(0, 500, attempts=1)
    assert WebhookRequest.objects.get(uuid=attempt.uuid).due_at > NOW
    assert resend(WebhookAttempt.objects.filter(pk=attempt.pk)) == 1
    assert WebhookRequest.objects.get(uuid=attempt.uuid).due_at is None


def test_what_is_being_posted_is_left_alone(tried):
    attempt = tried(0, 500, attempts=1)
    before = WebhookRequest.objects.get(uuid=attempt.uuid).due_at
    WebhookRequest.objects.filter(uuid=attempt.uuid).update(claimed_by=7)
    resend(WebhookAttempt.objects.filter(pk=attempt.pk))
    assert WebhookRequest.objects.get(uuid=attempt.uuid).due_at == before


def test_what_arrived_can_be_sent_again_when_asked_for(tried):
    attempt = tried(0, 200)
    assert resend(WebhookAttempt.objects.filter(pk=attempt.pk)) == 1
    assert WebhookRequest.objects.filter(uuid=attempt.uuid).count() == 1


def test_in_steps(tried, monkeypatch):
    monkeypatch.setattr(webhook, "RESENT_TOGETHER", 2)
    for number in range(3):
        tried(number, 500)
    assert list(webhook.resend(webhook.given_up(), NOW)) == [2, 1]


def test_of_one_server_or_webhook(world, tried):
    attempt = tried(0, 500)
    assert webhook.given_up(server_id=world.server.pk, webhook_id=attempt.webhook_id).count() == 1
    assert webhook.given_up(server_id=world.server.pk + 1).count() == 0
    assert webhook.given_up(webhook_id=attempt.webhook_id + 1).count() == 0


def test_nothing_is_posted_once_the_webhook_is_deleted(tried):
    tried(0, 500)
    Webhook.objects.all().delete()
    WebhookRequest.objects.all().delete()
    assert resend(webhook.given_up()) == 0
    assert not WebhookRequest.objects.exists()
    assert webhook.given_up().count() == 1  # nobody tries it again


@pytest.mark.parametrize(("days", "kept"), [(9, 120), (11, 0)])
def test_the_webhook_log_is_kept_ten_days(db, days, kept):
    WebhookAttempt.objects.bulk_create(
        WebhookAttempt(
            server_id=1,
            webhook_id=1,
            uuid="00000000-0000-0000-0000-000000000000",
            event="MessageSent",
            url="http://h/",
            attempt=1,
            status_code=200,
            payload="{}",
            will_retry=False,
            created_at=NOW,
        )
        for _ in range(120)
    )
    webhook.prune_attempts(NOW + timedelta(days=days))
    assert WebhookAttempt.objects.count() == kept
