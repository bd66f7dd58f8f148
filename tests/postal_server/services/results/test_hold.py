from dataclasses import replace
from datetime import timedelta

import pytest

from postal_server.models import Message
from postal_server.rules.hold import HoldEnd, HoldReason
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results import record as results
from postal_server.services.results.hold import HoldEnded
from postal_server.services.shared.work import Changes, Decision
from tests.postal_server.services.conftest import sent, store

from .conftest import LATER, events


def held(claim, reason, changes=None):
    return Decision(claim, DeliveryStatus.HELD, "x", changes=changes, hold_reason=reason)


def test_each_reason_is_noted_and_ends_in_its_own_time(world, config):
    config = replace(config, hold=replace(config.hold, expiry=(("suppressed", 2), ("spam", 30))))
    claims = store(world, *[f"a{n}@dest.example" for n in range(len(HoldReason) * 2)])
    changes = Changes(prefix=b"X: y\r\n")
    decisions = [
        held(claim, reason, changes if n % 2 else None)
        for n, (claim, reason) in enumerate(zip(claims, [*HoldReason, *HoldReason], strict=True))
    ]
    results.record(decisions, world.directory(), config, LATER)
    days = {HoldReason.SUPPRESSED: 2, HoldReason.SPAM: 30}
    rows = Message.objects.in_bulk([claim.id for claim in claims])
    for decision in decisions:
        row, reason = rows[decision.claimed.id], decision.hold_reason
        assert (row.status, row.hold_reason) == ("Held", reason.value)
        assert row.hold_expires_at == LATER + timedelta(days=days.get(reason, 7))


@pytest.mark.parametrize("reason", HoldReason)
def test_the_event_says_why_and_until_when(world, record, reason):
    world.add_webhook()
    [claim] = store(world)
    record(held(claim, reason))
    [payload] = events("MessageHeld")
    assert list(payload)[-3:] == ["hold_reason", "hold_expires_at", "suppression"]
    assert payload["hold_reason"] == reason.value
    assert payload["hold_expires_at"] == (LATER + timedelta(days=7)).timestamp()


@pytest.mark.parametrize("count", [1, 40])
def test_held_mail_takes_one_statement_for_each_reason(world, config, count, django_assert_num_queries):
    claims = store(world, *[f"a{n}@dest.example" for n in range(count)])
    directory = world.directory()
    batch = [held(claim, HoldReason.ADMIN) for claim in claims]
    # messages, deliveries, statuses, the holds
    with django_assert_num_queries(4):
        results.record(batch, directory, config, LATER)


def test_a_hold_that_ends_is_told_with_its_reason(world, record):
    world.add_webhook(beyond_postal=True)
    world.add_webhook(name="as Postal", beyond_postal=False)
    [claim] = store(world)
    record(held(claim, HoldReason.SUPPRESSED))
    ended = Decision(
        claim, DeliveryStatus.HOLD_CANCELLED, "The hold ended.", effects=(HoldEnded(HoldEnd.API),)
    )
    record(ended)
    [payload] = events("MessageHoldCancelled")
    assert list(payload) == ["message", "hold_reason", "by"]
    assert (payload["message"]["id"], payload["hold_reason"], payload["by"]) == (
        claim.id,
        "suppressed",
        "api",
    )
    row = Message.objects.get()
    assert (row.status, row.hold_expires_at, row.hold_reason) == ("HoldCancelled", None, "suppressed")


def test_sent_mail_has_no_reason(world, record):
    [claim] = store(world)
    record(sent(claim))
    assert Message.objects.get().hold_reason == ""
