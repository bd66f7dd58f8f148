from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest

from postal_server.models import (
    Body,
    CaughtMail,
    Credential,
    Delivery,
    Domain,
    Link,
    Message,
    Organization,
    QueuedMessage,
    Report,
    Server,
    WebhookRequest,
)
from postal_server.models.queue_state import NEVER_DUE
from postal_server.services.operations import held, retention
from postal_server.services.results import record
from tests.postal_server.services.conftest import NOW, sent, store


def delivered(world, *recipients, **values):
    """Messages that do not wait: their rows have left the queue."""
    claims = store(world, *recipients, **values)
    QueuedMessage.objects.filter(pk__in=[claim.id for claim in claims]).delete()
    Message.objects.filter(pk__in=[claim.id for claim in claims]).update(status="Sent")
    return [claim.id for claim in claims]


@pytest.fixture
def mail(world, config):
    """Two delivered messages that share a text, with a webhook request each."""
    world.add_webhook()
    claims = store(world, "a@x.example", "b@x.example")
    recorded = record.record([sent(claim) for claim in claims], world.directory(), config, NOW)
    QueuedMessage.objects.filter(pk__in=recorded.finished).delete()
    Link.objects.create(server_id=world.server.pk, message_id=claims[0].id, url="http://x/", created_at=NOW)
    return [claim.id for claim in claims]


@pytest.mark.parametrize(("days", "messages", "bodies"), [(29, 2, 1), (31, 2, 0), (59, 2, 0), (61, 0, 0)])
def test_texts_go_after_30_days_and_messages_after_60(mail, days, messages, bodies):
    retention.prune(NOW + timedelta(days=days))
    assert (Message.objects.count(), Body.objects.count()) == (messages, bodies)
    assert Message.objects.filter(body_id__isnull=False).count() == (2 if bodies else 0)
    assert Delivery.objects.count() == messages
    assert Link.objects.count() == 1


def test_what_a_report_said_goes_with_it(world, mail):
    [report] = delivered(world)
    Report.objects.create(
        server_id=world.server.pk, message_id=report, original_id=mail[0], kind="bounce", created_at=NOW
    )
    retention.prune(NOW + timedelta(days=59))
    assert Report.objects.count() == 1
    retention.prune(NOW + timedelta(days=61))
    assert Report.objects.count() == 0


def test_texts_with_many_recipients_go_in_steps(world):
    for _ in range(3):
        delivered(world, *[f"a{n}@x.example" for n in range(150)])
    retention.prune(NOW + timedelta(days=31))
    assert not Body.objects.exists()
    assert not Message.objects.filter(body_id__isnull=False).exists()


def test_each_server_keeps_as_long_as_it_says(mail):
    Server.objects.update(raw_message_retention_days=90, message_retention_days=90)
    retention.prune(NOW + timedelta(days=80))
    assert (Message.objects.count(), Body.objects.count()) == (2, 1)


def test_the_oldest_texts_go_above_the_size(world):
    Server.objects.update(raw_message_retention_size=1)
    old, middle, new = (delivered(world, raw=b"x" * 600_000)[0] for _ in range(3))
    for number, hours in ((old, 2), (middle, 1), (new, 0)):
        Body.objects.filter(pk=number).update(created_at=NOW - timedelta(hours=hours))
    retention.prune(NOW)
    assert list(Body.objects.values_list("pk", flat=True)) == [new]
    assert list(Message.objects.order_by("id").values_list("body_id", flat=True)) == [None, None, new]


def test_more_than_one_step_is_done(world):
    delivered(world, *[f"a{n}@x.example" for n in range(250)])
    [late] = delivered(world)
    store(world, *[f"b{n}@x.example" for n in range(150)])
    Message.objects.filter(pk=late).update(created_at=NOW + timedelta(days=61))
    retention.prune(NOW + timedelta(days=61))
    assert Message.objects.count() == 151
    assert not Message.objects.filter(status="Sent").exclude(pk=late).exists()


# What waits


def in_queue(**values):
    def wait(number):
        QueuedMessage.objects.filter(pk=number).update(**values)

    return wait


def hold(number):
    QueuedMessage.objects.filter(pk=number).delete()
    until = datetime(2030, 1, 1, tzinfo=timezone.utc)
    Message.objects.filter(pk=number).update(status="Held", hold_expires_at=until)


WAYS_TO_WAIT = {
    "queued": in_queue(),
    "deferred": in_queue(due_at=NOW + timedelta(hours=1), attempts=3),
    "suspended": in_queue(due_at=NEVER_DUE),
    "being tried": in_queue(claimed_by=7),
    "bound to the address of another machine": in_queue(source_id=9),
    "held": hold,
}


@pytest.mark.parametrize("days", [31, 61, 1000])
@pytest.mark.parametrize("wait", WAYS_TO_WAIT.values(), ids=WAYS_TO_WAIT)
def test_what_waits_is_kept_however_old_it_is(world, wait, days):
    number = store(world)[0].id
    wait(number)
    queued = QueuedMessage.objects.count()
    retention.prune(NOW + timedelta(days=days))
    assert Message.objects.values_list("body_id", flat=True).get() == number
    assert Body.objects.count() == 1
    assert QueuedMessage.objects.count() == queued


@pytest.mark.parametrize("wait", WAYS_TO_WAIT.values(), ids=WAYS_TO_WAIT)
def test_what_waits_is_kept_however_much_it_is(world, wait, caplog):
    Server.objects.update(raw_message_retention_size=1)
    waiting = [store(world, raw=b"x" * 600_000)[0].id for _ in range(3)]
    for number in waiting:
        wait(number)
    [new] = delivered(world, raw=b"x" * 1000)
    retention.prune(NOW)
    assert set(Body.objects.values_list("pk", flat=True)) == set(waiting)
    assert Message.objects.get(pk=new).body_id is None
    assert "example/live keeps 0.7 MB of texts above its limit of 1 MB" in caplog.text
    assert Server.objects.get().raw_message_excess_bytes == 3 * 600_000 - retention.MEGABYTE


def test_a_text_is_kept_as_long_as_one_of_its_recipients_waits(world):
    waiting, done = (claim.id for claim in store(world, "a@x.example", "b@x.example"))
    QueuedMessage.objects.filter(pk=done).delete()
    retention.prune(NOW + timedelta(days=31))
    assert list(Message.objects.order_by("pk").values_list("body_id", flat=True)) == [waiting, waiting]
    QueuedMessage.objects.filter(pk=waiting).delete()
    retention.prune(NOW + timedelta(days=31))
    assert list(Message.objects.values_list("body_id", flat=True)) == [None, None]
    assert not Body.objects.exists()


def test_what_is_above_the_size_goes_once_it_waits_no_more(world, caplog):
    Server.objects.update(raw_message_retention_size=1)
    store(world, raw=b"x" * 2_000_000)
    retention.prune(NOW)
    QueuedMessage.objects.all().delete()
    caplog.clear()
    retention.prune(NOW)
    assert not Body.objects.exists()
    assert caplog.text == ""
    assert Server.objects.get().raw_message_excess_bytes == 0


def test_no_more_goes_than_the_size_asks_for(world):
    Server.objects.update(raw_message_retention_size=1)
    waiting = store(world, raw=b"x" * 600_000)[0].id
    numbers = [delivered(world, raw=b"x" * 3000)[0] for _ in range(250)]
    retention.prune(NOW)
    room = (retention.MEGABYTE - 600_000) // 3000
    assert list(Body.objects.order_by("pk").values_list("pk", flat=True)) == [waiting, *numbers[-room:]]


@pytest.mark.parametrize("days", [31, 61])
def test_a_message_that_a_person_sends_again_meanwhile_keeps_its_text(world, config, days):
    [number] = delivered(world)

    @contextmanager
    def write_transaction():
        sum(held.requeue([number], world.context(config)))
        yield

    retention.prune(NOW + timedelta(days=days), write_transaction)
    assert Message.objects.get().body_id == number
    assert Body.objects.exists()


def test_events_that_wait_for_a_receiver_are_kept(world, mail):
    before = WebhookRequest.objects.count()
    retention.prune(NOW + timedelta(days=1000))
    assert (Message.objects.count(), WebhookRequest.objects.count()) == (0, before)
    assert before > 0


@pytest.mark.parametrize(("days", "kept"), [(29, 1), (31, 0)])
def test_caught_mail_is_kept_as_long_as_texts(world, days, kept):
    for server_id in (world.server.pk, 0):
        CaughtMail.objects.create(server_id=server_id, mail_from="", rcpt_to="a", raw=b"", created_at=NOW)
    retention.prune(NOW + timedelta(days=days))
    assert CaughtMail.objects.count() == 2 * kept


# Servers that are gone


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


def test_deleted_organizations_take_their_servers_along(world, mail):
    Organization.objects.update(deleted_at=NOW)
    retention.delete_removed()
    assert not Organization.objects.exists()
    assert not Message.objects.exists()
