import pytest

from postal_server.mail.report import Kind
from postal_server.models import Message
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results.autoreply import AutoReplied
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import sent, store
from tests.postal_server.services.reports import arrived

from .conftest import events


@pytest.mark.parametrize(("kind", "is_challenge"), [(Kind.AUTOREPLY, False), (Kind.CHALLENGE, True)])
def test_it_is_told_and_the_message_stays_as_it_was(world, record, kind, is_challenge):
    world.add_webhook()
    [original] = store(world)
    record(sent(original))
    report = arrived(world, b"x", subject="Out of office")
    effect = AutoReplied(original.id, kind, is_strong=True)
    record(Decision(report, DeliveryStatus.PROCESSED, "x", effects=(effect,)))
    [payload] = events("MessageAutoReplied")
    assert payload["original_message"]["id"] == original.id
    assert payload["reply"] == {"subject": "Out of office", "challenge": is_challenge}
    assert events("MessageBounced") == []
    assert Message.objects.get(pk=original.id).status == "Sent"


def test_webhooks_of_postal_get_none(world, record):
    world.add_webhook(beyond_postal=False)
    [original] = store(world)
    effect = AutoReplied(original.id, Kind.AUTOREPLY)
    record(Decision(arrived(world, b"x"), DeliveryStatus.PROCESSED, "x", effects=(effect,)))
    assert events("MessageAutoReplied") == []
