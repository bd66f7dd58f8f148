from datetime import timedelta

import pytest

from postal_server.models import OperatorAnswers, Suppression, WebhookRequest
from postal_server.rules.suppression import Reason, State
from postal_server.services.results import suppression_event
from postal_server.services.results.suppression_entries import given_entry, put
from tests.postal_server.services.conftest import NOW, sent, store

from .conftest import LATER, events

UNKNOWN_USER = "550 5.1.1 <a@dest.example>: Recipient address rejected: User unknown"


def test_an_address_that_came_on_the_list_is_told_after_the_failure(world, record):
    world.add_webhook()
    [claim] = store(world)
    record(sent(claim, UNKNOWN_USER))
    names = list(WebhookRequest.objects.order_by("id").values_list("event", "message_id"))
    assert names == [("MessageDeliveryFailed", claim.id), ("SuppressionAdded", claim.id)]
    [payload] = events("SuppressionAdded")
    entry = payload["suppression"]
    assert (entry["address"], entry["reason"], entry["source_message"]) == (
        "a@dest.example",
        "bad_address",
        claim.id,
    )
    assert entry["evidence"]["answer"] == UNKNOWN_USER
    assert entry["ended_at"] is None


def test_an_address_that_mail_reached_is_told(world, record):
    world.add_webhook()
    put([given_entry((world.server.pk, "a@dest.example"), NOW, keep_until=None, reason=Reason.BAD_ADDRESS)])
    record(sent(*store(world, is_manual=True)))
    [payload] = events("SuppressionRemoved")
    assert payload["suppression"]["ended_by"] == "success"
    assert payload["suppression"]["ended_at"] == LATER.timestamp()


def test_an_imported_webhook_meets_neither(world, record):
    world.add_webhook(beyond_postal=False)
    record(sent(*store(world), UNKNOWN_USER))
    assert set(WebhookRequest.objects.values_list("event", flat=True)) == {"MessageDeliveryFailed"}


@pytest.mark.parametrize(("state", "count"), [(State.ACTIVE, 1), (State.PROPOSED, 0)])
def test_what_is_only_proposed_is_not_told(world, state, count):
    world.add_webhook()
    row = Suppression(server_id=world.server.pk, address="a@dest.example", state=state, created_at=NOW)
    assert len(suppression_event.added([row], world.directory())) == count
    assert len(suppression_event.removed([row], world.directory())) == count


def test_what_becomes_proposed_in_a_storm_is_taken_back(world, record):
    world.add_webhook()
    record(sent(*store(world, "before@dest.example"), UNKNOWN_USER))
    OperatorAnswers.objects.create(operator="dest.example", since=NOW, answers=100, blamed=50)
    record(sent(*store(world, "during@dest.example"), UNKNOWN_USER))
    assert set(Suppression.objects.values_list("state", flat=True)) == {"proposed"}
    assert [payload["suppression"]["address"] for payload in events("SuppressionAdded")] == [
        "before@dest.example"
    ]
    [payload] = events("SuppressionRemoved")
    assert (payload["suppression"]["address"], payload["suppression"]["ended_at"]) == (
        "before@dest.example",
        None,
    )


def test_an_entry_that_lasts_longer_is_told_again(world, record):
    world.add_webhook()
    until = NOW + timedelta(days=1)
    put([given_entry((world.server.pk, "a@dest.example"), NOW, keep_until=until, reason=Reason.BAD_ADDRESS)])
    record(sent(*store(world, is_manual=True), UNKNOWN_USER))
    [payload] = events("SuppressionAdded")
    assert payload["suppression"]["keep_until"] == (LATER + timedelta(days=30)).timestamp()
