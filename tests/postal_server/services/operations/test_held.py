import contextlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction

from postal_server.models import Body, Delivery, Message, QueuedMessage, WebhookRequest
from postal_server.rules.hold import HoldEnd, HoldReason
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.operations import held
from postal_server.services.results import record
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import NOW, sent, store


@pytest.fixture
def make_held(world, config):
    def call(*recipients, reason=HoldReason.DEVELOPMENT_MODE, config=config, **values):
        claims = store(world, *recipients, **values)
        decisions = [Decision(claim, DeliveryStatus.HELD, "x", hold_reason=reason) for claim in claims]
        record.record(decisions, world.directory(), config, NOW)
        QueuedMessage.objects.all().delete()
        return [claim.id for claim in claims]

    return call


class TestRelease:
    def test_held_mail_is_queued_again_as_a_persons_wish(self, world, make_held, config):
        [number] = make_held("a@dest.example")
        assert sum(held.release([number], world.context(config))) == 1
        row = QueuedMessage.objects.get()
        assert (row.id, row.destination, row.is_manual, row.due_at) == (number, "dest.example", True, None)
        assert row.expires_at > NOW
        message = Message.objects.get()
        assert (message.hold_expires_at, message.hold_reason) == (None, "")

    @pytest.mark.parametrize(
        ("values", "lane"),
        [
            ({"endpoint_type": "HTTPEndpoint", "endpoint_id": 4}, "http:4"),
            ({"endpoint_type": "AddressEndpoint", "endpoint_id": 4}, "address:4"),
            ({}, "local"),
        ],
    )
    def test_incoming_mail_goes_back_to_its_lane(self, world, make_held, config, values, lane):
        make_held("in@example.test", scope=Scope.INCOMING, **values)
        sum(held.release([Message.objects.get().pk], world.context(config)))
        assert QueuedMessage.objects.get().destination == lane

    @pytest.mark.parametrize(
        ("field", "priority"), [("Precedence: list", 1), ("List-Unsubscribe: <x:y>", 1), ("Subject: x", 0)]
    )
    def test_bulk_mail_stays_bulk(self, world, make_held, config, field, priority):
        [number] = make_held("a@dest.example")
        Body.objects.update(raw=f"{field}\r\n\r\nPrecedence: bulk\r\n".encode())
        assert sum(held.release([number], world.context(config))) == 1
        assert QueuedMessage.objects.get().priority == priority

    def test_what_is_not_held_is_not_released(self, world, config):
        [claim] = store(world)
        record.record([sent(claim)], world.directory(), config, NOW)
        QueuedMessage.objects.all().delete()
        assert sum(held.release([claim.id], world.context(config))) == 0
        assert not QueuedMessage.objects.exists()


def test_each_reason_is_found_alone_and_released(world, make_held, config):
    ids = {reason: make_held(f"{reason.value}@dest.example", reason=reason) for reason in HoldReason}
    for reason, expected in ids.items():
        found = list(held.held(reason=reason).values_list("pk", flat=True))
        assert found == expected
        assert sum(held.release(found, world.context(config))) == 1
    assert not held.held().exists()
    assert set(Message.objects.values_list("hold_reason", flat=True)) == {""}
    assert QueuedMessage.objects.count() == len(HoldReason)


@pytest.mark.parametrize(
    ("values", "which"),
    [
        ({"held_before": NOW - timedelta(days=2)}, ["old"]),
        ({"held_before": NOW}, ["old", "new"]),
        ({"stream": "news"}, ["new"]),
        ({"tag": "t"}, ["old"]),
        ({"recipient": "@DEST.example", "held_before": NOW - timedelta(days=2)}, ["old"]),
        ({"server_id": 10**9}, []),
        ({"because": "x"}, ["old", "new"]),
    ],
)
def test_held_mail_is_found_by_what_is_given(make_held, values, which):
    ids = {"old": make_held("a@dest.example", tag="t"), "new": make_held("b@dest.example", stream="news")}
    Message.objects.filter(pk__in=ids["old"]).update(last_attempt_at=NOW - timedelta(days=2))
    assert [
        name for name in ids if set(ids[name]) <= set(held.held(**values).values_list("pk", flat=True))
    ] == which


def test_what_waits_for_an_address_is_known_by_its_key(world, make_held):
    suppressed = HoldReason.SUPPRESSED
    ids = make_held("Ann@bücher.example", "ann@xn--bcher-kva.example", reason=suppressed)
    make_held("bob@dest.example", reason=suppressed)
    make_held("ann@xn--bcher-kva.example", reason=HoldReason.SPAM)
    assert held.waiting_for(world.server.pk, ["ann@BÜCHER.example"]) == ids


def test_many_are_released_step_by_step_and_what_stops_it_does_no_harm(world, make_held, config):
    recipients = [f"a{n}@dest.example" for n in range(1000)]
    for start in range(0, len(recipients), 500):
        make_held(*recipients[start : start + 500], reason=HoldReason.SEND_LIMIT)
    make_held("other@dest.example", reason=HoldReason.SPAM)
    waiting = held.held(reason=HoldReason.SEND_LIMIT)
    steps = held.release(list(waiting.values_list("pk", flat=True)), world.context(config))
    assert [next(steps) for _ in range(3)] == [100] * 3
    steps.close()
    assert (QueuedMessage.objects.count(), waiting.count()) == (300, 700)

    steps = held.release(list(waiting.values_list("pk", flat=True)), world.context(config))
    assert list(steps) == [100] * 7
    assert (QueuedMessage.objects.count(), waiting.count()) == (1000, 0)
    assert held.held().get().hold_reason == "spam"


class TestRequeue:
    def test_what_waits_is_brought_forward_with_new_attempts(self, world, config):
        [claim] = store(world)
        QueuedMessage.objects.update(due_at=NOW + timedelta(hours=1), attempts=18)
        assert sum(held.requeue([claim.id], world.context(config))) == 1
        row = QueuedMessage.objects.get()
        assert (row.due_at, row.attempts, row.is_manual) == (None, 0, True)

    def test_what_is_being_tried_is_left_alone(self, world, config):
        [claim] = store(world)
        QueuedMessage.objects.update(claimed_by=7)
        assert sum(held.requeue([claim.id], world.context(config))) == 0
        assert not QueuedMessage.objects.get().is_manual

    def test_a_purged_text_cannot_be_sent_again(self, world, make_held, config):
        ids = make_held("a@dest.example")
        Message.objects.update(body_id=None)
        assert sum(held.requeue(ids, world.context(config))) == 0


@pytest.mark.parametrize(
    ("take_out", "status"), [(held.keep_back, "Held"), (held.remove, "HardFail")], ids=["hold", "remove"]
)
class TestTakeOut:
    def test_what_waits_leaves_the_queue(self, world, config, take_out, status):
        [claim] = store(world)
        assert sum(take_out([claim.id], world.context(config))) == 1
        assert not QueuedMessage.objects.exists()
        assert Message.objects.get().status == status

    def test_what_is_being_tried_is_left_alone(self, world, config, take_out, status):
        [claim] = store(world)
        QueuedMessage.objects.update(claimed_by=7)
        assert sum(take_out([claim.id], world.context(config))) == 0
        assert QueuedMessage.objects.exists()
        assert Message.objects.get().status == "Pending"


class TestCancel:
    def test_the_message_is_never_sent(self, world, make_held, config):
        [number] = make_held("a@dest.example")
        assert sum(held.cancel([number], world.context(config), HoldEnd.ADMIN)) == 1
        row = Message.objects.get()
        assert (row.status, row.hold_expires_at) == ("HoldCancelled", None)
        assert Delivery.objects.get(status="HoldCancelled").details == (
            "The hold on this message has been removed without action."
        )
        assert sum(held.cancel([number], world.context(config), HoldEnd.ADMIN)) == 0

    def test_only_webhooks_beyond_postal_hear_of_it(self, world, make_held, config):
        [number] = make_held("a@dest.example")
        world.add_webhook(name="as Postal", beyond_postal=False)
        ours = world.add_webhook(beyond_postal=True)
        sum(held.cancel([number], world.context(config), HoldEnd.ADMIN))
        row = WebhookRequest.objects.get()
        payload = json.loads(bytes(row.body))["payload"]
        assert (row.webhook_id, row.event) == (ours.pk, "MessageHoldCancelled")
        assert (payload["hold_reason"], payload["by"]) == ("development_mode", "admin")

    def test_released_mail_is_not_cancelled(self, world, make_held, config):
        [number] = make_held("a@dest.example")
        sum(held.release([number], world.context(config)))
        assert sum(held.cancel([number], world.context(config), HoldEnd.ADMIN)) == 0


class TestExpire:
    @pytest.mark.parametrize(("days", "ended"), [(6.9, 0), (7, 150)])
    def test_holds_end_after_a_week(self, make_held, config, days, ended):
        make_held(*[f"a{n}@dest.example" for n in range(150)])
        assert held.expire(config, NOW + timedelta(days=days), transaction.atomic) == ended
        assert Message.objects.filter(status="HoldCancelled").count() == ended

    def test_each_reason_has_its_time_and_an_event(self, world, make_held, config):
        config = replace(config, hold=replace(config.hold, expiry=(("suppressed", 1),)))
        for reason in HoldReason:
            make_held(f"{reason.value}@dest.example", reason=reason, config=config)
        world.add_webhook(beyond_postal=True)
        assert held.expire(config, NOW + timedelta(days=1), transaction.atomic) == 1
        assert held.expire(config, NOW + timedelta(days=7), transaction.atomic) == len(HoldReason) - 1
        told = [json.loads(bytes(row.body))["payload"] for row in WebhookRequest.objects.order_by("pk")]
        assert told[0]["hold_reason"] == "suppressed"
        assert {payload["hold_reason"] for payload in told} == {reason.value for reason in HoldReason}
        assert {payload["by"] for payload in told} == {"expiry"}

    def test_nothing_due_costs_one_query(self, make_held, config, django_assert_num_queries):
        make_held("a@dest.example")
        with django_assert_num_queries(1):
            assert held.expire(config, NOW, transaction.atomic) == 0

    def test_in_turn(self, make_held, config):
        make_held("a@dest.example")
        turns = []

        @contextlib.contextmanager
        def write_transaction():
            turns.append(1)
            yield

        assert held.expire(config, NOW + timedelta(days=8), write_transaction) == 1
        assert len(turns) == 1
