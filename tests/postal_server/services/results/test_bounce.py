import pytest

from postal_server.mail.report import Kind, Part
from postal_server.models import Delivery, FailureEvidence, Message, Suppression
from postal_server.rules.classification import Classification
from postal_server.rules.failure_class import FailureClass, Stage
from postal_server.rules.status import DeliveryStatus
from postal_server.services.operations import stored_message
from postal_server.services.results.bounce import Bounced
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import sent, store
from tests.postal_server.services.reports import arrived

from .conftest import LATER, events

DIAGNOSTIC = "550 5.1.1 No such user " + "x" * 3000
BAD_ADDRESS = Classification(FailureClass.BAD_ADDRESS, True, "5.1.1", "dest.example", Stage.REPORT)
PART = Part("a@dest.example", "a@dest.example", "failed", "5.1.1", DIAGNOSTIC, "mx.dest.example")


@pytest.fixture
def bounce(world, record):
    """Record a report about a message."""

    def call(original_id, **values):
        values = {"part": PART, "classification": BAD_ADDRESS, "is_strong": True, **values}
        effect = Bounced(original_id, Kind.BOUNCE, reporting_mta="mx.dest.example", **values)
        report = arrived(world, b"x")
        assert record(Decision(report, DeliveryStatus.PROCESSED, "x", effects=(effect,))).finished == [
            report.id
        ]
        return report.id

    return call


def test_the_original_has_bounced_and_says_why(world, record, bounce):
    world.add_webhook()
    [original] = store(world)
    record(sent(original))
    report = bounce(original.id)
    assert Message.objects.get(pk=original.id).status == "Bounced"
    delivery = Delivery.objects.get(message_id=original.id, status="Bounced")
    assert delivery.details == (
        f"We've received a bounce message for this e-mail. See <msg:{report}> for details."
    )
    assert (delivery.failure_class, delivery.rule, delivery.stage) == ("bad_address", "5.1.1", "report")
    assert (delivery.operator, delivery.is_sure, len(delivery.diagnostic)) == ("dest.example", True, 2000)
    [payload] = events("MessageBounced")
    assert (payload["original_message"]["id"], payload["bounce"]["id"]) == (original.id, report)
    assert (payload["bounce"]["from"], payload["bounce"]["spam_status"]) == (None, "NotChecked")
    found = payload["classification"]
    assert (found["class"], found["enhanced_status"], found["permanent"]) == ("bad_address", "5.1.1", True)
    assert found["suppressed"]["reason"] == "bad_address"
    assert payload["report"] == {
        "kind": "bounce",
        "evidence": "strong",
        "final_recipient": "a@dest.example",
        "original_recipient": "a@dest.example",
        "action": "failed",
        "reporting_mta": "mx.dest.example",
        "remote_mta": "mx.dest.example",
        "forwarded": False,
    }


def test_a_message_that_is_held_meanwhile_is_held_no_longer(world, bounce):
    [original] = store(world)
    Message.objects.filter(pk=original.id).update(status="Held", hold_expires_at=LATER)
    bounce(original.id)
    assert Message.objects.get(pk=original.id).hold_expires_at is None


def test_the_api_lists_what_came_back(world, bounce):
    [original], [other] = store(world), store(world, "b@dest.example")
    report = bounce(original.id)
    found = stored_message.find(world.server.pk, original.id)
    [shown] = stored_message.show(found, ["reports"])["reports"]
    assert (shown["id"], shown["kind"], shown["evidence"]) == (report, "bounce", "strong")
    assert (shown["status"], shown["class"], shown["forwarded"]) == ("5.1.1", "bad_address", False)
    assert len(shown["diagnostic"]) == 2000
    assert shown["timestamp"] == LATER.timestamp()
    nothing = stored_message.find(world.server.pk, other.id)
    assert stored_message.show(nothing, ["reports"]) == {
        "id": other.id,
        "token": nothing.token,
        "reports": [],
    }
    Message.objects.filter(pk=report).update(kind="bounce")
    shown = stored_message.show(stored_message.find(world.server.pk, report), ["details"])["details"]
    assert (shown["kind"], shown["stream"]) == ("bounce", None)


def test_the_status_of_the_report_stands_where_its_diagnostic_has_none(world, bounce):
    world.add_webhook()
    bounce(store(world)[0].id, part=Part(status="5.1.1", diagnostic="User unknown"))
    [payload] = events("MessageBounced")
    assert payload["classification"]["enhanced_status"] == "5.1.1"


@pytest.mark.parametrize(
    ("values", "strikes", "entries"),
    [
        ({}, 1, 1),
        ({"is_strong": False}, 0, 0),
        ({"is_forwarded": True}, 1, 0),
        ({"classification": Classification(FailureClass.REPUTATION, True, "x", "")}, 0, 0),
        ({"classification": Classification(FailureClass.MAILBOX_FULL, True, "5.2.2", "")}, 1, 0),
    ],
)
def test_what_follows_for_the_recipient(world, bounce, values, strikes, entries):
    [original] = store(world)
    bounce(original.id, **values)
    assert Message.objects.get(pk=original.id).status == "Bounced"
    assert FailureEvidence.objects.count() == strikes
    assert Suppression.objects.filter(key="a@dest.example").count() == entries


def test_a_forwarded_failure_is_a_strike_of_unknown(world, bounce):
    bounce(store(world)[0].id, is_forwarded=True)
    assert FailureEvidence.objects.get().failure_class == "unknown"


def test_strong_evidence_after_weak_counts_though_it_is_not_told(world, bounce):
    world.add_webhook()
    [original] = store(world)
    for is_strong, entries in ((False, 0), (True, 1), (True, 1)):
        bounce(original.id, is_strong=is_strong)
        assert Suppression.objects.count() == entries
    assert len(events("MessageBounced")) == 1
    assert FailureEvidence.objects.count() == 1
