from datetime import timedelta

import pytest

from postal_server.models import Delivery, Message, QueuedMessage
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.selection import Selection
from postal_server.services.operations import retry
from postal_server.services.operations.retry import Failures
from postal_server.services.results import record
from tests.postal_server.services.conftest import NOW, sent, store

BLOCKED = "553 5.3.0 alpd682 DNSBL:ATTRBL 521< 192.0.2.1 >_is_blocked"
UNKNOWN_USER = "550 5.1.1 <a@dest.example>: User unknown"
EVERYTHING = Selection()


@pytest.fixture
def fail(world, config):
    """Have messages to these recipients answered so, `ago`; their ids."""

    def call(*recipients, answer=BLOCKED, ago=timedelta(), **values):
        claims = store(world, *recipients, **values)
        record.record([sent(claim, answer) for claim in claims], world.directory(), config, NOW - ago)
        QueuedMessage.objects.filter(pk__in=[claim.id for claim in claims]).delete()
        return [claim.id for claim in claims]

    return call


def failures(since=timedelta(days=5), part=EVERYTHING, operator="", name=FailureClass.REPUTATION):
    return Failures(name, NOW - since, part, operator)


def found(about):
    return [pk for step in retry.find(about) for pk in step.ids]


def test_what_failed_so_is_sent_again_like_new_mail(world, config, fail):
    ids = fail("a@att.example", "b@att.example")
    fail("c@att.example", answer=UNKNOWN_USER)
    fail("d@att.example", answer="250 ok")
    assert sum(retry.send_again(failures(), world.context(config))) == 2
    rows = QueuedMessage.objects.order_by("pk")
    assert [(row.pk, row.destination, row.attempts, row.is_manual) for row in rows] == [
        (pk, "att.example", 0, False) for pk in ids
    ]
    assert rows[0].expires_at > NOW


def test_what_waits_already_is_left_alone(world, config, fail):
    fail("a@att.example")
    sum(retry.send_again(failures(), world.context(config)))
    QueuedMessage.objects.update(due_at=NOW + timedelta(hours=1), attempts=3)
    assert sum(retry.send_again(failures(), world.context(config))) == 0
    assert QueuedMessage.objects.get().attempts == 3


@pytest.mark.parametrize(
    ("about", "which"),
    [
        (failures(), [0, 1, 2]),
        (failures(since=timedelta(days=1)), [0, 1]),
        (failures(part=Selection(destination="att.example")), [0, 2]),
        (failures(part=Selection(tag="news")), [1]),
        (failures(part=Selection(server_id=999_999)), []),
        (failures(operator="nobody.example"), []),
        (failures(operator="att.net"), [1]),
        (failures(name=FailureClass.RATE), []),
    ],
)
def test_by_time_part_and_operator(fail, about, which):
    old = fail("c@att.example", ago=timedelta(days=3))
    ids = [*fail("a@att.example"), *fail("b@other.example", tag="news"), *old]
    Delivery.objects.filter(message_id=ids[1]).update(operator="att.net")
    assert set(found(about)) == {ids[number] for number in which}


def test_only_the_last_failure_counts(world, config, fail):
    [number] = fail("a@att.example")
    Delivery.objects.create(
        message_id=number, status="HardFail", failure_class="bad_address", details="", created_at=NOW
    )
    assert found(failures()) == []
    assert found(failures(name=FailureClass.BAD_ADDRESS)) == [number]


def test_mail_without_its_text_is_counted(fail):
    fail("a@att.example", "b@att.example")
    Message.objects.filter(rcpt_to="b@att.example").update(body_id=None)
    [step] = retry.find(failures())
    assert (len(step.ids), step.purged) == (1, 1)


@pytest.mark.parametrize("step", [1, 3, 5000])
def test_deliveries_are_looked_through_step_by_step_from_the_time_on(fail, monkeypatch, step):
    monkeypatch.setattr(retry, "STEP", step)
    for days in (9, 8, 7):
        fail(f"old{days}@att.example", ago=timedelta(days=days))
    ids = [fail(f"a{hours}@att.example", ago=timedelta(hours=hours))[0] for hours in (30, 20, 0)]
    steps = list(retry.find(failures()))
    assert [pk for each in steps for pk in each.ids] == ids
    assert len(steps) == -(-3 // step)  # none for those before


def test_nothing_at_all(world):
    assert list(retry.find(failures())) == []
