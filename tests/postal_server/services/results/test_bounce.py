import pytest

from postal_server.models import Delivery, Message, Suppression
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.results.bounce import Bounced
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import sent, store

from .conftest import events


def test_the_original_has_bounced_and_the_report_is_done(world, record):
    world.add_webhook()
    [original] = store(world)
    record(sent(original))
    [report] = store(
        world, "s8halm@rp.postal.example.test", scope=Scope.INCOMING, is_bounce=True, mail_from=None
    )
    details = f"This has been detected as a bounce message for <msg:{original.id}>."
    decision = Decision(report, DeliveryStatus.PROCESSED, details, effects=(Bounced(original.id),))
    assert record(decision).finished == [report.id]
    rows = Message.objects.in_bulk([original.id, report.id])
    assert (rows[original.id].status, rows[report.id].status) == ("Bounced", "Processed")
    assert rows[report.id].bounce_for_id == original.id
    bounced = Delivery.objects.get(message_id=original.id, status="Bounced")
    assert bounced.details == (
        f"We've received a bounce message for this e-mail. See <msg:{report.id}> for details."
    )
    [payload] = events("MessageBounced")
    assert (payload["original_message"]["id"], payload["bounce"]["id"]) == (original.id, report.id)
    assert (payload["bounce"]["from"], payload["bounce"]["spam_status"]) == (None, "NotChecked")


def test_a_report_about_two_messages_has_two_events(world, record):
    world.add_webhook()
    one, two = store(world, "a@x.example", "b@x.example")
    [report] = store(world, "s8halm@rp.postal.example.test", scope=Scope.INCOMING, is_bounce=True)
    record(Decision(report, DeliveryStatus.PROCESSED, "x", effects=(Bounced(one.id), Bounced(two.id))))
    assert len(events("MessageBounced")) == 2
    assert Delivery.objects.filter(message_id=report.id).count() == 2


@pytest.mark.parametrize(("is_hard", "suppressed"), [(True, 1), (False, 0)])
def test_a_hard_bounce_suppresses(world, record, is_hard, suppressed):
    [original] = store(world)
    [report] = store(world, "s8halm@rp.postal.example.test", scope=Scope.INCOMING, is_bounce=True)
    record(Decision(report, DeliveryStatus.PROCESSED, "x", effects=(Bounced(original.id, is_hard),)))
    assert Suppression.objects.filter(key="a@dest.example", reason="bad_address").count() == suppressed
