"""Why mail was not taken, from the receiving server's answer or report to the project's signals."""

from __future__ import annotations

import json

import pytest
from anymail.message import AnymailMessage

from anymail_postal import events
from anymail_postal.signals import suppression_changed
from tests.anymail_postal.receivers import listening
from tests.our_webhooks import FILE, REPLIES

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.end_to_end.urls")]

RECORDED = json.loads(FILE.read_text("utf-8"))


def send(postal, to, subject="Hello"):
    AnymailMessage(subject=subject, body="Hello\n", from_email=f"app@{postal.domain}", to=[to]).send()


def is_about(recipient, *kinds):
    return lambda event: event.recipient == recipient and event.event_type in kinds


def keys(value):
    """The keys of an event in their order, and those of its parts."""
    return {key: keys(part) for key, part in value.items()} if isinstance(value, dict) else None


def test_each_answer_has_the_class_and_reject_reason_that_were_recorded(project, heard):
    for name, (reply, stage) in REPLIES.items():
        recipient = (
            f"bob@{name}.example"  # each at a host of its own, which is not slowed down for the others
        )
        project.simulate(recipient, reply, stage=stage)
        send(project, recipient)
        found = heard["tracking"].wait_for(is_about(recipient, "bounced", "deferred"), name)
        recorded = events.read(next(post for post in RECORDED[name] if post["event"] == found.postal.name))
        assert (found.event_type, found.reject_reason) == (recorded.event_type, recorded.reject_reason)
        assert found.postal.failure_class == recorded.postal.failure_class
        assert (found.postal.about, found.postal.stage) == (recorded.postal.about, recorded.postal.stage)
        assert keys(found.esp_event) == keys(recorded.esp_event), "python -m tests.our_webhooks records them"
        assert found.mta_response == reply  # Gmail's are longer than what Postal passes on


def test_late_bounce_tells_who_reported_what(project, heard):
    project.simulate("bob@example.org", "550 5.1.1 No such user here", stage="bounce")
    send(project, "bob@example.org")
    found = heard["tracking"].wait_for(is_about("bob@example.org", "bounced"), "the report")
    assert (found.reject_reason, found.description) == ("invalid", "Reported by catch.localhost: 5.1.1")
    assert found.mta_response == "550 5.1.1 No such user here"
    assert (found.postal.evidence, found.postal.report.final_recipient) == ("strong", "bob@example.org")
    assert found.postal.may_suppress


def test_mail_to_a_suppressed_recipient_is_rejected(project, heard):
    project.simulate("bob@example.org", "550 5.1.1 No such user here")
    with listening(suppression_changed) as changes:
        send(project, "bob@example.org")
        heard["tracking"].wait_for(is_about("bob@example.org", "bounced"), "the refusal")
        heard["tracking"].wait_for(lambda event: event.postal.name == "SuppressionAdded", "the entry")
    [change] = changes
    assert change["event"].postal.suppression.address == "bob@example.org"
    send(project, "bob@example.org", subject="Again")
    found = heard["tracking"].wait_for(is_about("bob@example.org", "rejected"), "the hold")
    assert (found.reject_reason, found.postal.name) == ("bounced", "MessageHeld")
    assert (found.postal.failure_class, found.postal.hold_reason) == ("suppressed", "suppressed")
    assert found.postal.suppression.reason == "bad_address"


def test_refusal_because_of_us_may_be_a_failure(project, heard, settings):
    settings.ANYMAIL = {**settings.ANYMAIL, "POSTAL_BLOCKED_AS_FAILED": True}
    project.simulate("bob@example.org", "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org")
    send(project, "bob@example.org")
    found = heard["tracking"].wait_for(is_about("bob@example.org", "failed"), "the refusal")
    assert (found.reject_reason, found.postal.about, found.postal.may_suppress) == ("blocked", "us", False)


def test_vacation_is_an_automatic_reply_and_no_bounce(project, heard):
    send(project, "bob@example.org")
    path = project.outbox.wait_for(to="bob@example.org").mail_from
    project.deliver(path, from_="", subject="Out of office", headers={"Auto-Submitted": "auto-replied"})
    found = heard["tracking"].wait_for(is_about("bob@example.org", "autoresponded"), "the vacation")
    assert (found.description, found.postal.auto_reply.is_challenge) == ("Out of office", False)
    assert not [event for event in heard["tracking"] if event.event_type == "bounced"]
