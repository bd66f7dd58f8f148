"""The catch's mailboxes."""

from __future__ import annotations

import email
from datetime import datetime, timezone

import pytest

from postal_server.mail.report import read
from postal_server.models import Message, Organization, Server, Simulation
from postal_server.services.operations import caught_mail
from postal_server.services.shared import token

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
RAW = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <a@b.test>\r\n\r\nHello\r\n"


@pytest.fixture
def server():
    owner = Organization.objects.create(name="Example", permalink="example")
    return Server.objects.create(organization=owner, name="Main", permalink="main")


def keep(server, rcpt_to="ann@example.test", raw=RAW):
    return caught_mail.keep(
        raw, mail_from=f"bounces+{server.token}-x@rp.test", rcpt_to=rcpt_to, tls=False, now=NOW
    )


def test_return_path_names_the_server(server):
    assert keep(server).server_id == server.pk
    assert keep(server).subject == "Grüße"


def test_mail_that_no_database_takes_as_text_is_kept(server):
    raw = b"Subject: a\0\xfc =?utf-7?q?+2AA-?= =?utf-8?q?=00?=\r\nX-Postal-MsgID: \0\r\n\r\nHello\0\r\n"
    kept = caught_mail.keep(raw, mail_from="a@b.test", rcpt_to="c@d.test", tls=False, now=NOW)
    kept.refresh_from_db()
    assert kept.subject == "aü \ufffd"
    assert bytes(kept.raw) == raw


def test_notice_is_identified_by_the_token_of_its_message(server):
    message = Message.objects.create(
        id=77, server_id=server.pk, scope="outgoing", size_bytes=1, created_at=NOW, rcpt_to="x@y.test"
    )
    raw = b"X-Postal-MsgID: " + token.message_token(message.pk).encode() + b"\r\n" + RAW
    assert caught_mail.keep(raw, mail_from=None, rcpt_to="x@y.test", tls=True, now=NOW).server_id == server.pk


@pytest.mark.parametrize("mail_from", [None, "nobody@elsewhere.test", "@"])
def test_unknown_sender_is_server_0(mail_from):
    assert caught_mail.server_of(RAW, mail_from) == 0


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 2),
        ({"to": "ANN@example.test"}, 1),
        ({"to": "nn@example.test"}, 0),
        ({"subject": "grüss"}, 0),
        ({"subject": "Grü"}, 2),
    ],
)
def test_find_by_whole_address_and_part_of_the_subject(server, query, found):
    keep(server)
    keep(server, "bob@example.test")
    assert caught_mail.find(server.pk, **query).count() == found
    assert caught_mail.find(server.pk + 1, **query).count() == 0


def test_wait_for_gives_up_after_its_time(server):
    assert caught_mail.wait_for(server.pk, to=None, subject=None, after=0, timeout=0.05) == []
    row = keep(server)
    assert caught_mail.wait_for(server.pk, to=None, subject=None, after=0, timeout=5) == [row]
    assert caught_mail.wait_for(server.pk, to=None, subject=None, after=row.pk, timeout=0) == []


def simulate(server, recipient, **values):
    return Simulation.objects.create(
        server_id=server.pk, recipient=recipient, stage="rcpt", reply=f"550 {recipient}", **values
    )


def test_simulation_of_an_address_wins_over_that_of_its_domain(server):
    simulate(server, "*@example.test")
    simulate(server, "ann@example.test")
    sender = f"bounces+{server.token}-x@rp.test"
    assert caught_mail.simulation_for(sender, "Ann@example.test").reply == "550 ann@example.test"
    assert caught_mail.simulation_for(sender, "bob@example.test").reply == "550 *@example.test"
    assert caught_mail.simulation_for(sender, "bob@other.test") is None
    assert caught_mail.simulation_for("other@rp.test", "ann@example.test") is None


def test_simulation_that_is_used_up_is_no_more(server):
    simulate(server, "ann@example.test", times=1)
    sender = f"{server.token}@rp.test"
    assert caught_mail.simulation_for(sender, "ann@example.test") is not None
    assert caught_mail.simulation_for(sender, "ann@example.test") is None


def test_report_of_failure_is_one_that_our_own_parser_reads():
    report = caught_mail.report_of_failure(
        RAW,
        return_path="abc@rp.test",
        rcpt_to="ann@example.test",
        reply="550 5.1.1 No such user",
        reporter="mx.test",
        now=NOW,
    )
    [part] = read(report, None).parts
    assert (part.final_recipient, part.action, part.status) == (
        "ann@example.test",
        "failed",
        "5.1.1",
    )
    assert email.message_from_bytes(report).get_content_type() == "multipart/report"
