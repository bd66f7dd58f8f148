"""A new subject needs a recognizer, an effect and an event, and nothing else: here a complaint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from postal_server.mail.message import header_values
from postal_server.models import Delivery, Message, QueuedMessage, Suppression
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.rules.suppression import Reason
from postal_server.services.preparation import messages, report
from postal_server.services.results import record as results
from postal_server.services.results.effects import EFFECT_STEPS, EFFECT_STEPS_ON_SHARED_ROWS
from postal_server.services.results.suppression_entries import given_entry, put
from postal_server.services.shared.token import message_id_of, message_token
from postal_server.services.shared.work import Decision, Effect
from postal_server.wire import webhook as wire
from tests.postal_server.services.conftest import NOW, store

from .conftest import LATER, events


@dataclass(frozen=True)
class Complained(Effect):
    """The recipient of an outgoing message has complained about it."""

    message_id: int
    kind: str


def recognize_complaints(jobs, directory, config, now) -> dict[int, Decision]:
    """Reports with a `Feedback-Type`, about the message whose token they name."""
    decisions = {}
    for job in jobs:
        for kind in header_values(job.body, "Feedback-Type"):
            [token] = header_values(job.body, "X-Complaint-About")
            effect = Complained(message_id_of(token), kind)
            decisions[job.message.id] = Decision(
                job.claimed, DeliveryStatus.PROCESSED, "This is a complaint.", effects=(effect,)
            )
    return decisions


def apply_complaints(batch) -> None:
    """The message gets a delivery and keeps its status; the address comes on the list; webhooks report it."""
    complaints = batch.carrying(Complained)
    originals = Message.objects.in_bulk([complained.message_id for _, complained in complaints])
    for entry, complained in complaints:
        original = originals[complained.message_id]
        entry.add_sentence(f"It is about <msg:{original.id}>.")
        batch.add_delivery(original.id, DeliveryStatus.SENT, f"The recipient complained: {complained.kind}")
        payload = partial(complaint_payload, kind=complained.kind)
        batch.emit("MessageComplained", original, payload=payload)
        recipient = original.server_id, original.rcpt_to
        put([given_entry(recipient, batch.now, keep_until=None, reason=Reason.COMPLAINT)])


def complaint_payload(original: Message, token: str, *, kind: str) -> Mapping[str, Any]:
    return {"original_message": wire.message_hash(original, token), "complaint": {"type": kind}}


@pytest.fixture
def complaint(world, monkeypatch):
    """An outgoing message, and the claim of a complaint about it."""
    monkeypatch.setattr(report, "RECOGNIZERS", (recognize_complaints, *report.RECOGNIZERS))
    monkeypatch.setattr(results, "EFFECT_STEPS", (*EFFECT_STEPS, apply_complaints))
    [original] = store(world)
    Message.objects.update(status=DeliveryStatus.SENT.value)
    QueuedMessage.objects.all().delete()
    raw = f"Feedback-Type: abuse\r\nX-Complaint-About: {message_token(original.id)}\r\n\r\n".encode()
    path = "s8halm@rp.postal.example.test"
    [claim] = store(world, path, raw=raw, scope=Scope.INCOMING, is_bounce=True, mail_from=None)
    return original, claim


def test_a_new_effect_takes_a_recognizer_and_what_applies_it(world, config, complaint):
    world.add_webhook()
    original, claim = complaint
    directory = world.directory()
    [decision] = messages.prepare([claim], directory, config, NOW)
    assert decision.effects == (Complained(original.id, "abuse"),)

    assert results.record([decision], directory, config, LATER).finished == [claim.id]

    rows = Message.objects.in_bulk([original.id, claim.id])
    assert (rows[original.id].status, rows[claim.id].status) == ("Sent", "Processed")
    deliveries = dict(Delivery.objects.values_list("message_id", "details"))
    assert deliveries == {
        claim.id: f"This is a complaint. It is about <msg:{original.id}>.",
        original.id: "The recipient complained: abuse",
    }
    assert Suppression.objects.get().reason == "complaint"
    [payload] = events("MessageComplained")
    assert payload["original_message"]["token"] == message_token(original.id)
    assert payload["complaint"] == {"type": "abuse"}


def test_other_reports_are_still_recognized_beside_it(world, config, complaint):
    original, _ = complaint
    path = f"s8halm+{message_token(original.id)}@rp.postal.example.test"
    [claim] = store(world, path, raw=b"Subject: failed\r\n\r\n", scope=Scope.INCOMING, is_bounce=True)
    directory = world.directory()
    results.record(messages.prepare([claim], directory, config, NOW), directory, config, LATER)
    assert Message.objects.get(pk=original.id).status == "Bounced"


def test_an_event_without_a_subscriber_is_not_built(world, config, complaint, django_assert_max_num_queries):
    _, claim = complaint
    directory = world.directory()
    decisions = messages.prepare([claim], directory, config, NOW)
    # messages, the original, the suppression, deliveries, the status; no tokens for payloads
    with django_assert_max_num_queries(5):
        results.record(decisions, directory, config, LATER)


def test_every_effect_that_decisions_may_carry_is_applied():
    applied = {apply.__module__ for apply in (*EFFECT_STEPS, *EFFECT_STEPS_ON_SHARED_ROWS)}
    defined = {kind.__module__ for kind in Effect.__subclasses__()}
    assert {name for name in defined if name.startswith("postal_server.")} <= applied
