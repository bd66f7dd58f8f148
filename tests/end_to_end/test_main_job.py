"""The main job over real HTTP and real SMTP: send, sign, deliver, track, reply, refuse."""

from __future__ import annotations

import json
import smtplib

import dkim
import pytest
import requests
from anymail.message import AnymailMessage
from django.core.mail import EmailMultiAlternatives

from anymail_postal.replies import reply_address
from postal_server.testing import mail_backend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.end_to_end.urls")]


def send(postal, to="bob@example.org", **values):
    mail = AnymailMessage(
        **{"subject": "Hello", "body": "Hello\n", "from_email": f"app@{postal.domain}", "to": [to], **values}
    )
    mail.send()
    return mail


def is_event(kind, recipient="bob@example.org"):
    return lambda event: event.event_type == kind and event.recipient == recipient


def test_mail_is_accepted_signed_and_delivered_with_all_it_has(project):
    mail = AnymailMessage(
        subject="Grüße",
        body="Text\n",
        from_email=f"App <app@{project.domain}>",
        to=["Bob <bob@example.org>"],
        reply_to=["a@example.org", "b@example.org"],
        tags=["notification"],
        metadata={"id": 7},
    )
    cid = mail.attach_inline_image(b"\x89PNG\r\n\x1a\n", "logo.png")
    mail.attach_alternative(f'<p><img src="cid:{cid}"></p>', "text/html")
    mail.send()
    caught = project.outbox.wait_for(to="bob@example.org", subject="Grüße")
    assert caught.tls
    assert caught.text == "Text\n"
    assert f"cid:{cid}" in caught.html
    assert caught.message["X-Postal-Tag"] == "notification"
    assert [address.addr_spec for address in caught.message["Reply-To"].addresses] == [
        "a@example.org",
        "b@example.org",
    ]
    assert mail.anymail_status.message_id.token in caught.message["X-Postal-MsgID"]
    assert caught.mail_from.startswith(f"bounces+{project.token}-")


def test_dkimpy_verifies_what_was_delivered(project):
    send(project)
    caught = project.outbox.wait_for(to="bob@example.org")
    record = project.dkim_record.encode()
    wanted = f"{project.dkim_name}.".encode()
    assert dkim.DKIM(caught.raw).verify(dnsfunc=lambda name, timeout=5: record if name == wanted else None)


def test_signed_webhook_brings_the_delivery_with_metadata_and_tag(project, heard):
    mail = send(project, metadata={"id": 7}, tags=["notification"])
    event = heard["tracking"].wait_for(is_event("delivered"), "the delivery")
    assert event.metadata == {"id": 7}
    assert event.tags == ["notification"]
    assert event.message_id == mail.anymail_status.message_id


def test_reply_by_mail_reaches_the_project_without_quoted_text(project, heard):
    send(project, reply_to=[reply_address(41, 5)])
    caught = project.outbox.wait_for(to="bob@example.org")
    project.deliver(
        caught.reply_to,
        from_="bob@example.org",
        subject="Re: Hello",
        text="Yes, gladly.\n\nOn Tue, 3 Jan 2023 at 04:05, App wrote:\n> Hello\n",
    )
    reply = heard["reply_received"].wait_for(lambda kwargs: True, "the reply")
    assert (reply["match"].object_id, reply["match"].user_id) == (41, 5)
    assert reply["message"].stripped_text.strip() == "Yes, gladly."
    assert reply["message"].envelope_sender == "bob@example.org"


def test_automatic_answer_is_no_reply(project, heard):
    project.deliver(
        reply_address(41, 5),
        from_="bob@example.org",
        subject="Out of office",
        text="I am away.",
        headers={"Auto-Submitted": "auto-replied"},
    )
    rejected = heard["reply_rejected"].wait_for(lambda kwargs: True, "the automatic answer")
    assert rejected["reason"] == "auto_response"
    assert not heard["reply_received"]


def test_forged_reply_address_is_refused(project, heard):
    local, _, domain = reply_address(41, 5).partition("@")
    forged = f"{local[:-1]}{'b' if local[-1] == 'a' else 'a'}@{domain}"
    project.deliver(forged, from_="mallory@example.org", text="It is me.")
    rejected = heard["reply_rejected"].wait_for(lambda kwargs: True, "the forgery")
    assert (rejected["reason"], rejected["match"]) == ("token", None)
    assert not heard["reply_received"]


def test_refused_recipient_comes_back_as_a_bounce(project, heard):
    project.simulate("bob@example.org", "550 5.1.1 No such user here")
    send(project)
    event = heard["tracking"].wait_for(is_event("bounced"), "the refusal")
    assert event.reject_reason == "invalid"
    assert "550 5.1.1 No such user here" in event.mta_response


def test_deferred_mail_is_tried_again_and_delivered(project, heard):
    project.simulate("bob@example.org", "451 4.7.1 Try later", times=1)
    send(project)
    heard["tracking"].wait_for(is_event("deferred"), "the deferral")
    assert len(project.outbox) == 0
    assert project.advance(3600) >= 1
    project.outbox.wait_for(to="bob@example.org")
    heard["tracking"].wait_for(is_event("delivered"), "the delivery")


def test_late_bounce_names_its_message(project, heard):
    project.simulate("bob@example.org", "550 5.2.2 Mailbox full", stage="bounce")
    mail = send(project, metadata={"id": 9})
    event = heard["tracking"].wait_for(is_event("bounced"), "the report")
    assert event.message_id == mail.anymail_status.message_id
    assert event.metadata == {"id": 9}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Postal-Signature-256": "AAAA"},
        {"X-Postal-Signature-256": "QQ" * 171 + "=="},
        {"X-Postal-Signature": "QQ" * 171 + "=="},
    ],
    ids=["none", "short", "wrong", "wrong SHA-1"],
)
def test_forged_webhook_is_refused(project, heard, live_server, headers):
    body = json.dumps({"event": "MessageSent", "payload": {}, "timestamp": 0.0, "uuid": "x"})
    answer = requests.post(f"{live_server.url}/ours/postal/tracking/", body, headers=headers, timeout=10)
    assert answer.status_code == 400
    assert not heard["tracking"]


def test_failed_wait_shows_what_did_arrive(project):
    send(project, subject="Another")
    project.outbox.wait_for(subject="Another")
    with pytest.raises(AssertionError) as failure:
        project.outbox.wait_for(to="nobody@example.org", timeout=0.2)
    text = str(failure.value)
    assert "to='nobody@example.org'" in text
    assert "bob@example.org: Another" in text
    assert "outgoing bob@example.org: Sent" in text


def test_mail_servers_of_two_tests_do_not_see_each_other(postal_server):
    first, second = postal_server.add(), postal_server.add()
    with smtplib.SMTP(*first.smtp_address) as client:
        client.login("anybody", first.smtp_key)
        client.sendmail(
            f"app@{first.domain}", "bob@example.org", f"From: app@{first.domain}\r\nSubject: x\r\n\r\nHi\r\n"
        )
    first.outbox.wait_for(to="bob@example.org")
    assert len(second.outbox) == 0


class TestAnymailsOwnClasses:
    """django-anymail's backend and views, unmodified, against our server."""

    @pytest.fixture
    def theirs(self, settings, postal, live_server):
        for name, value in mail_backend("anymail.backends.postal.EmailBackend").items():
            setattr(settings, name, value)
        bare = postal.webhook_key.partition("p=")[2].strip("; ")
        settings.ANYMAIL = {**postal.settings["ANYMAIL"], "POSTAL_WEBHOOK_KEY": bare}
        postal.post_events_to(f"{live_server.url}/theirs/postal/tracking/")
        postal.post_mail_to(f"{live_server.url}/theirs/postal/inbound/")
        return postal

    def test_sends_and_tracks(self, theirs, heard):
        mail = EmailMultiAlternatives("Hello", "Text", f"app@{theirs.domain}", ["bob@example.org"])
        mail.attach_alternative("<p>Text</p>", "text/html")
        mail.attach("a.txt", "Attached", "text/plain")
        mail.send()
        assert mail.anymail_status.status == {"queued"}
        caught = theirs.outbox.wait_for(to="bob@example.org")
        assert [part.get_filename() for part in caught.message.iter_attachments()] == ["a.txt"]
        event = heard["tracking"].wait_for(is_event("delivered"), "the delivery")
        assert event.message_id == mail.anymail_status.message_id

    def test_receives_raw_mail(self, theirs, heard):
        theirs.deliver(f"reply+tag@{theirs.domain}", from_="bob@example.org", subject="Grüße", text="Schön\n")
        event = heard["inbound"].wait_for(lambda event: True, "the mail")
        assert event.message.subject == "Grüße"
        assert event.message.text.strip() == "Schön"
        assert event.message.envelope_recipient == f"reply+tag@{theirs.domain}"
