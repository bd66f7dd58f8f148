import pytest

from postal_server.mail.report import Kind, Part
from postal_server.models import Delivery, Message
from postal_server.rules.classification import Classification
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results.delay import Delayed
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import sent, store
from tests.postal_server.services.reports import arrived

from .conftest import events


@pytest.mark.parametrize(("beyond_postal", "count"), [(True, 1), (False, 0)])
def test_a_delay_is_told_to_webhooks_beyond_postal(world, record, beyond_postal, count):
    world.add_webhook(beyond_postal=beyond_postal)
    [original] = store(world)
    record(sent(original))
    report = arrived(world, b"x")
    expired = Classification(FailureClass.EXPIRED, True, "4.4.1", "")
    part = Part("a@dest.example", action="delayed", status="4.4.1", diagnostic="450 4.4.1 timed out")
    effect = Delayed(original.id, Kind.DELAYED, part, classification=expired)
    record(Decision(report, DeliveryStatus.PROCESSED, "x", effects=(effect,)))
    told = events("MessageDelayed")
    assert len(told) == count
    for payload in told:
        assert (payload["message"]["id"], payload["status"]) == (original.id, "SoftFail")
        assert payload["details"] == (
            f"We've received a notice that this e-mail is delayed. See <msg:{report.id}> for details."
        )
    assert Message.objects.get(pk=original.id).status == "Sent"
    assert list(Delivery.objects.filter(message_id=original.id).values_list("status", flat=True)) == ["Sent"]
