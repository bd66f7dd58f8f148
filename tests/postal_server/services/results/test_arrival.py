import pytest

from postal_server.mail.report import Kind
from postal_server.models import FailureEvidence, Message, Suppression
from postal_server.rules.status import DeliveryStatus
from postal_server.rules.suppression import Reason
from postal_server.services.results import suppression_entries as entries
from postal_server.services.results.arrival import Arrived
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import NOW, sent, store
from tests.postal_server.services.reports import arrived


@pytest.mark.parametrize(
    ("values", "is_forgiven"),
    [
        ({"is_strong": True}, True),
        ({"is_strong": False}, False),
        ({"is_strong": True, "is_forwarded": True}, False),
    ],
)
def test_an_address_that_mail_has_reached_is_forgiven(world, record, values, is_forgiven):
    [original] = store(world)
    record(sent(original))
    recipient = world.server.pk, "a@dest.example"
    reasons = Reason.BAD_ADDRESS, Reason.COMPLAINT
    entries.put(entries.given_entry(recipient, NOW, keep_until=None, reason=reason) for reason in reasons)
    FailureEvidence.objects.create(
        server_id=world.server.pk,
        key="a@dest.example",
        failure_class="mailbox_full",
        is_sure=False,
        message_id=0,
        created_at=NOW,
    )
    effect = Arrived(original.id, Kind.DELIVERED, **values)
    record(Decision(arrived(world, b"x"), DeliveryStatus.PROCESSED, "x", effects=(effect,)))
    standing = set(Suppression.objects.filter(ended_at=None).values_list("reason", flat=True))
    assert standing == ({"complaint"} if is_forgiven else {"bad_address", "complaint"})
    assert FailureEvidence.objects.exists() is not is_forgiven
    assert Message.objects.get(pk=original.id).status == "Sent"
