"""The fixture waits for the application: until all is answered, and for the answer to a mail."""

from __future__ import annotations

import smtplib
import time

import pytest
from anymail.message import AnymailMessage
from anymail.signals import inbound, tracking

from anymail_postal.replies import reply_address
from anymail_postal.signals import reply_received

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.end_to_end.urls")]


@pytest.fixture
def connect():
    """Connect receivers for the time of the test."""
    connected = []

    def connect(signal, receiver):
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)


def send(postal, to="bob@example.org"):
    AnymailMessage(subject="Hello", body="Hello", from_email=f"app@{postal.domain}", to=[to]).send()


def test_quiet_is_when_the_last_event_was_answered(project, connect):
    heard = []

    def slow(event, **kwargs):
        time.sleep(0.5)
        heard.append(event.event_type)

    connect(tracking, slow)
    send(project)
    project.wait_until_quiet()
    assert heard == ["delivered"]


def test_quiet_includes_the_report_of_a_late_failure(project, heard):
    project.simulate("bob@example.org", "550 5.1.1 No such user", stage="bounce")
    send(project)
    project.wait_until_quiet()
    found = {event.postal.name: event.event_type for event in heard["tracking"]}
    assert found == {"MessageSent": "delivered", "MessageBounced": "bounced", "SuppressionAdded": "unknown"}


def test_quiet_includes_what_a_receiver_sends(project, connect):
    def answer(match, message, **kwargs):
        send(project, "ann@example.org")

    connect(reply_received, answer)
    project.deliver(reply_address(41, 5), from_="bob@example.org", text="Yes")
    project.wait_until_quiet()
    assert [mail.rcpt_to for mail in project.outbox] == ["ann@example.org"]


def test_another_attempt_in_some_minutes_is_not_waited_for(project):
    project.simulate("bob@example.org", "451 4.7.1 Try later")
    send(project)
    started = time.monotonic()
    project.wait_until_quiet()
    assert time.monotonic() - started < 10
    assert project.messages()[0]["status"] == "SoftFail"


def test_what_is_not_quiet_in_time_is_named(project):
    project.simulate("bob@example.org", "250 2.0.0 OK", delay=3)
    send(project)
    with pytest.raises(AssertionError, match=r"Still under way after 0\.5 s:\n  outgoing mail for bob@ex"):
        project.wait_until_quiet(timeout=0.5)
    project.wait_until_quiet()


def test_a_mail_can_be_delivered_to_the_applications_very_end(project, heard):
    project.deliver(reply_address(41, 5), from_="bob@example.org", text="Yes", wait=True)
    [reply] = heard["reply_received"]
    assert reply["match"].object_id == 41


def test_the_applications_failure_is_the_tests(project, connect):
    def fail(event, **kwargs):
        raise ValueError("NOT NULL constraint failed: talk_note.text")

    connect(inbound, fail)
    with pytest.raises(AssertionError, match="The application did not take it") as error:
        project.deliver(reply_address(41, 5), from_="bob@example.org", text="Yes", wait=True)
    assert f"@{project.domain}: SoftFail: " in str(error.value)
    assert "500" in str(error.value)


def test_a_url_that_the_project_does_not_have_is_the_tests_failure(project, live_server):
    project.post_mail_to(f"{live_server.url}/ours/postal/nothing/", name="lost")
    with pytest.raises(AssertionError, match="404"):
        project.deliver(f"lost@{project.domain}", text="Hello?", wait=True)


def test_an_event_that_the_application_refuses_is_the_tests_failure(project, connect, live_server):
    def fail(event, **kwargs):
        raise ValueError("no such notification")

    send(project)
    caught = project.outbox.wait_for(to="bob@example.org")
    project.wait_until_quiet()
    connect(tracking, fail)
    report = (
        f"From: MAILER-DAEMON@example.org\r\nTo: {caught.mail_from}\r\nSubject: Undelivered\r\n"
        f"X-Postal-MsgID: {caught.message['X-Postal-MsgID']}\r\n\r\nNo such user\r\n"
    )
    with pytest.raises(AssertionError, match=r"MessageBounced for http://.*: 500"):
        project.deliver(caught.mail_from, report.encode(), from_="", wait=True)


def test_mail_without_a_route_is_refused_at_once_with_what_to_do(project):
    with pytest.raises(AssertionError, match=r"There is no route for nobody@.*: call post_mail_to\(\) first"):
        project.deliver(f"nobody@{project.domain}", text="Hello?", wait=True)


def test_other_refusals_are_raised_as_smtplib_does(project):
    with pytest.raises(smtplib.SMTPException):
        project.deliver(f"reply@{project.domain}", b"X: " + b"x" * 300_000 + b"\r\n\r\nHello?\r\n")


def test_where_no_message_came_the_failure_asks_for_the_settings(postal):
    with pytest.raises(AssertionError, match=r"none: does the project use `postal\.settings`"):
        postal.outbox.wait_for(to="ann@example.com", timeout=0)
