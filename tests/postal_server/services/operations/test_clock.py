from datetime import timedelta

from postal_server.models import FailureEvidence, QueuedMessage, Suppression
from postal_server.models.queue_state import NEVER_DUE
from postal_server.services.operations import clock
from postal_server.services.results.suppression_entries import given_entry, put
from tests.postal_server.services.conftest import NOW, store


def test_deferred_mail_is_brought_forward_and_other_mail_is_left_alone(world):
    ready, deferred, suspended = (claim.id for claim in store(world, *(f"{n}@dest.example" for n in "abc")))
    QueuedMessage.objects.filter(pk=deferred).update(due_at=NOW + timedelta(minutes=5))
    QueuedMessage.objects.filter(pk=suspended).update(due_at=NEVER_DUE)
    QueuedMessage.objects.update(expires_at=NOW + timedelta(hours=1))
    assert clock.advance(world.server.pk, timedelta(minutes=1)) == 1
    assert QueuedMessage.objects.get(pk=deferred).expires_at == NOW + timedelta(minutes=59)
    assert dict(QueuedMessage.objects.values_list("pk", "due_at")) == {
        ready: None,
        deferred: NOW + timedelta(minutes=4),
        suspended: NEVER_DUE,
    }


def test_strikes_and_entries_of_the_server_grow_older(world):
    for server_id in (world.server.pk, world.server.pk + 1):
        recipient = server_id, "a@x.example"
        put(
            [
                given_entry(recipient, NOW, keep_until=NOW + timedelta(days=9)),
                given_entry(recipient, NOW, keep_until=None, scope="stream:x"),
            ]
        )
        FailureEvidence.objects.create(
            server_id=server_id, key="a@x.example", is_sure=True, message_id=1, created_at=NOW
        )
    clock.advance(world.server.pk, timedelta(days=2))
    changed, same = (
        list(
            Suppression.objects.filter(server_id=number)
            .order_by("scope")
            .values_list("created_at", "keep_until", "ended_at")
        )
        for number in (world.server.pk, world.server.pk + 1)
    )
    before = NOW - timedelta(days=2)
    assert changed == [(before, NOW + timedelta(days=7), None), (before, None, None)]
    assert same == [(NOW, NOW + timedelta(days=9), None), (NOW, None, None)]
    assert list(FailureEvidence.objects.order_by("pk").values_list("created_at", flat=True)) == [before, NOW]
