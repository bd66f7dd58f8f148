from __future__ import annotations

from dataclasses import dataclass

import pytest

from postal_server.models import Delivery, Message
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results.batch import Batch, Entry
from postal_server.services.shared.work import Decision, Effect, Result
from tests.fakes import NOW, claimed


@dataclass(frozen=True)
class One(Effect):
    number: int


@dataclass(frozen=True)
class Other(Effect):
    pass


def entry(number: int = 1, *effects: Effect, details: str = "") -> Entry:
    decision = Decision(claimed(number), DeliveryStatus.FAILED, details, effects=effects)
    return Entry(decision, Message(id=number), DeliveryStatus.FAILED, details, Delivery(message_id=number))


def batch(*entries: Entry) -> Batch:
    return Batch([entry.result for entry in entries], entries, None, None, NOW)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ("Received a 404 from http://h.example/in", "Received a 404 from http://h.example/in. It was."),
        ("Maximum reached.", "Maximum reached. It was."),
        ("", "It was."),
    ],
)
def test_a_sentence_is_appended_to_the_details(details, expected):
    one = entry(details=details)
    one.add_sentence("It was.")
    assert one.details == expected


def test_effects_are_found_by_their_type_in_the_order_of_the_batch():
    first, second = entry(1, One(7), Other(), One(8)), entry(2, One(9))
    result = Entry(Result(claimed(3), None), Message(id=3), DeliveryStatus.SENT, "", Delivery(message_id=3))
    assert batch(first, result, second).carrying(One) == [(first, One(7)), (first, One(8)), (second, One(9))]


def test_details_of_further_deliveries_are_cut_to_their_column():
    recorded = batch()
    recorded.add_delivery(5, DeliveryStatus.BOUNCED, "d" * 300)
    [row] = recorded.further_deliveries
    assert (row.message_id, row.status, len(row.details), row.created_at) == (5, "Bounced", 250, NOW)
