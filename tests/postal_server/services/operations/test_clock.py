from datetime import timedelta

from postal_server.models import QueuedMessage
from postal_server.models.queue_state import NEVER_DUE
from postal_server.services.operations import clock
from tests.postal_server.services.conftest import NOW, store


def test_deferred_mail_is_brought_forward_and_other_mail_is_left_alone(world):
    ready, deferred, suspended = (claim.id for claim in store(world, *(f"{n}@dest.example" for n in "abc")))
    QueuedMessage.objects.filter(pk=deferred).update(due_at=NOW + timedelta(minutes=5))
    QueuedMessage.objects.filter(pk=suspended).update(due_at=NEVER_DUE)
    assert clock.advance(world.server.pk, timedelta(minutes=1)) == 1
    assert dict(QueuedMessage.objects.values_list("pk", "due_at")) == {
        ready: None,
        deferred: NOW + timedelta(minutes=4),
        suspended: NEVER_DUE,
    }
