from datetime import timedelta

import pytest

from postal_server.models import (
    Body,
    Credential,
    Delivery,
    Domain,
    Link,
    Message,
    Organization,
    QueuedMessage,
    Server,
    WebhookAttempt,
    WebhookRequest,
)
from postal_server.services import delivery, retention, webhook

from .conftest import NOW, sent, store


@pytest.fixture
def mail(world, config):
    """Two delivered messages that share a text, with a webhook request each."""
    world.add_webhook()
    claims = store(world, "a@x.example", "b@x.example")
    delivery.record([sent(claim) for claim in claims], world.directory(), config, NOW)
    Link.objects.create(server_id=world.server.pk, message_id=claims[0].id, url="http://x/", created_at=NOW)
    return [claim.id for claim in claims]


@pytest.mark.parametrize(("days", "messages", "bodies"), [(29, 2, 1), (31, 2, 0), (59, 2, 0), (61, 0, 0)])
def test_texts_go_after_30_days_and_messages_after_60(mail, days, messages, bodies):
    retention.prune(NOW + timedelta(days=days))
    assert (Message.objects.count(), Body.objects.count()) == (messages, bodies)
    assert Message.objects.filter(body_id__isnull=False).count() == (2 if bodies else 0)
    assert Delivery.objects.count() == messages
    assert QueuedMessage.objects.count() == messages
    assert Link.objects.count() == 1


def test_each_server_keeps_as_long_as_it_says(mail):
    Server.objects.update(raw_message_retention_days=90, message_retention_days=90)
    retention.prune(NOW + timedelta(days=80))
    assert (Message.objects.count(), Body.objects.count()) == (2, 1)


def test_the_oldest_texts_go_above_the_size(world):
    Server.objects.update(raw_message_retention_size=1)
    old, middle, new = (store(world, raw=b"x" * 600_000)[0].id for _ in range(3))
    for number, hours in ((old, 2), (middle, 1), (new, 0)):
        Body.objects.filter(pk=number).update(created_at=NOW - timedelta(hours=hours))
    retention.prune(NOW)
    assert list(Body.objects.values_list("pk", flat=True)) == [new]
    assert list(Message.objects.order_by("id").values_list("body_id", flat=True)) == [None, None, new]


def test_more_than_one_step_is_done(world):
    store(world, *[f"a{n}@x.example" for n in range(250)])
    retention.prune(NOW + timedelta(days=61))
    assert not Message.objects.exists()


def test_deleted_servers_go_with_all_they_have(world, mail):
    other = Server.objects.create(organization=world.organization, name="O", permalink="o")
    Credential.objects.create(server=world.server, name="c")
    kept = store(world, server=other)[0].id
    retention.delete_removed()
    assert Message.objects.count() == 3
    Server.objects.filter(pk=world.server.pk).update(deleted_at=NOW)
    retention.delete_removed()
    assert list(Server.objects.all()) == [other]
    assert list(Message.objects.values_list("pk", flat=True)) == [kept]
    assert list(Body.objects.values_list("pk", flat=True)) == [kept]
    for model in (Delivery, Link, WebhookRequest, Credential, Domain):
        assert not model.objects.exists(), model


def test_deleted_organisations_take_their_servers_along(world, mail):
    Organization.objects.update(deleted_at=NOW)
    retention.delete_removed()
    assert not Organization.objects.exists()
    assert not Message.objects.exists()


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
