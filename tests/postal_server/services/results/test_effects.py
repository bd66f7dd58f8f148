"""A new subject needs a recognizer, an effect and an event, and nothing else: here a complaint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from postal_server.mail.report import Kind
from postal_server.models import Delivery, Message, QueuedMessage, Suppression
from postal_server.rules.status import DeliveryStatus
from postal_server.rules.suppression import Reason
from postal_server.services.preparation import messages, report
from postal_server.services.results import record as results
from postal_server.services.results import suppression_entries as entries
from postal_server.services.results.effects import EFFECT_STEPS, EFFECT_STEPS_ON_SHARED_ROWS
from postal_server.services.results.report import Reported
from postal_server.services.shared.token import message_token
from postal_server.services.shared.work import Effect
from postal_server.wire import webhook as wire
from tests.postal_server.services.conftest import NOW, store
from tests.postal_server.services.reports import arrived, feedback, path_of, status_report

from .conftest import LATER, events


@dataclass(frozen=True)
class Complained(Reported):
    """The recipient of an outgoing message has complained about it."""

    type: str = ""


def recognize_complaint(read, ours) -> list[Complained]:
    """A complaint about each message that the report is about."""
    return [
        replace(read.reported(original, Complained), type=read.report.feedback.type)
        for original in read.found.originals
    ]


def apply_complaints(batch) -> None:
    """The message gets a delivery and keeps its status; the address comes on the list; webhooks report it."""
    complained = batch.news_of(Complained)
    for _, complaint, original in complained:
        batch.add_delivery(original.id, DeliveryStatus.SENT, f"The recipient complained: {complaint.type}")
        payload = partial(complaint_payload, kind=complaint.type)
        batch.emit("MessageComplained", original, payload=payload)
    entries.put(
        entries.given_entry(
            (original.server_id, original.rcpt_to), batch.now, keep_until=None, reason=Reason.COMPLAINT
        )
        for _, _, original in complained
    )


def complaint_payload(original: Message, token: str, *, kind: str) -> Mapping[str, Any]:
    return {"original_message": wire.message_hash(original, token), "complaint": {"type": kind}}


@pytest.fixture
def complaint(world, monkeypatch):
    """An outgoing message, and the claim of a complaint about it."""
    monkeypatch.setattr(report, "RECOGNIZERS", {**report.RECOGNIZERS, Kind.COMPLAINT: recognize_complaint})
    monkeypatch.setattr(results, "EFFECT_STEPS", (*EFFECT_STEPS, apply_complaints))
    [original] = store(world)
    Message.objects.update(status=DeliveryStatus.SENT.value)
    QueuedMessage.objects.all().delete()
    return original, arrived(world, feedback(), path_of(original.id), "fbl@dest.example")


def test_a_new_effect_takes_a_recognizer_and_what_applies_it(world, config, complaint):
    world.add_webhook()
    original, claim = complaint
    directory = world.directory()
    [decision] = messages.prepare([claim], directory, config, NOW)
    [effect] = decision.effects
    assert (effect.original_id, effect.type) == (original.id, "abuse")

    assert results.record([decision], directory, config, LATER).finished == [claim.id]

    rows = Message.objects.in_bulk([original.id, claim.id])
    assert (rows[original.id].status, rows[claim.id].status) == ("Sent", "Processed")
    deliveries = dict(Delivery.objects.values_list("message_id", "details"))
    assert deliveries == {
        claim.id: f"This has been detected as a complaint about <msg:{original.id}>.",
        original.id: "The recipient complained: abuse",
    }
    assert Suppression.objects.get().reason == "complaint"
    [payload] = events("MessageComplained")
    assert payload["original_message"]["token"] == message_token(original.id)
    assert payload["complaint"] == {"type": "abuse"}


def test_other_reports_are_still_recognized_beside_it(world, config, complaint):
    original, _ = complaint
    claim = arrived(world, status_report(), path_of(original.id))
    directory = world.directory()
    results.record(messages.prepare([claim], directory, config, NOW), directory, config, LATER)
    assert Message.objects.get(pk=original.id).status == "Bounced"


def test_an_event_without_a_subscriber_is_not_built(world, config, complaint, django_assert_max_num_queries):
    _, claim = complaint
    directory = world.directory()
    decisions = messages.prepare([claim], directory, config, NOW)
    # messages, originals, earlier reports, reports, the entry, deliveries, the status; no tokens for payloads
    with django_assert_max_num_queries(7):
        results.record(decisions, directory, config, LATER)


def test_every_effect_that_decisions_may_carry_is_applied():
    applied = {apply.__module__ for apply in (*EFFECT_STEPS, *EFFECT_STEPS_ON_SHARED_ROWS)}
    defined = {kind.__module__ for kind in Effect.__subclasses__()}
    assert {name for name in defined if name.startswith("postal_server.")} <= applied
