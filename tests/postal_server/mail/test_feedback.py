import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.feedback import Feedback, find_jmrp, is_feedback, read_feedback
from tests.each import each

FULL = b"""Feedback-Type: Abuse
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <s8halm+abc@rp.example>
Original-Rcpt-To: <a@dest.example>
Original-Rcpt-To: b@dest.example
Arrival-Date: Thu, 8 Mar 2026 14:00:00 +0000
Reporting-MTA: dns; mail.dest.example
Source-IP: 192.0.2.1
Reported-Domain: Example.ORG
Original-Envelope-ID: abc
"""


def test_the_fields_of_a_report_are_read():
    assert read_feedback(FULL) == Feedback(
        type="abuse",
        user_agent="SomeGenerator/1.0",
        source_ip="192.0.2.1",
        original_mail_from="s8halm+abc@rp.example",
        original_recipients=("a@dest.example", "b@dest.example"),
        arrival_date="Thu, 8 Mar 2026 14:00:00 +0000",
        reporting_mta="mail.dest.example",
        reported_domains=("example.org",),
        envelope_id="abc",
    )


@each(
    "content, name, value",
    [
        (b"", "type", "abuse"),
        (b"\r\n\r\nFeedback-Type: opt-out; x=y\r\n", "type", "opt-out"),
        (b"Feedback-Type: auth-failure\r\nAuth-Failure: dmarc\r\n", "auth_failure", "dmarc"),
        (b"Received-Date: now\r\n", "arrival_date", "now"),
        (b"Original-Rcpt-To: <>\r\n", "original_recipients", ()),
    ],
    ids=["nothing", "blank lines above", "authentication", "the date's older name", "no address"],
)
def test_missing_and_odd_fields(content, name, value):
    assert getattr(read_feedback(content), name) == value


def test_a_flood_of_addresses_is_cut():
    assert len(read_feedback(b"Original-Rcpt-To: a@b.example\r\n" * 1000).original_recipients) == 100


@given(st.binary(max_size=300))
def test_hostile_fields_never_raise(data):
    read_feedback(data)
    read_feedback(FULL + data)


RETURNED = b"X-HmXmrOriginalRecipient: <a@hotmail.example>\r\nSubject: x\r\n"


@pytest.mark.parametrize(
    ("header", "returned", "recipients"),
    [
        (b"From: staff@hotmail.com\r\n", RETURNED, ("a@hotmail.example",)),
        (b'From: "Hotmail" <staff@hotmail.com>\r\n', b"Subject: x\r\n", ()),
        (b"From: relay@x.example\r\n", RETURNED, ("a@hotmail.example",)),
    ],
)
def test_microsofts_complaints_return_the_mail_alone(header, returned, recipients):
    feedback = find_jmrp(header, returned)
    assert (feedback.type, feedback.original_recipients) == ("abuse", recipients)


def test_other_mail_is_no_complaint_of_microsofts():
    assert find_jmrp(b"From: staff@hotmail.com\r\n", b"") is None
    assert find_jmrp(b"From: a@x.example\r\n", b"Subject: x\r\n") is None


@each(
    "text, answer",
    [
        ("Feedback-Type: abuse\r\n", True),
        ("\r\nUser-Agent: x\r\nVersion: 1\r\nfeedback-type : fraud\r\n", True),
        ("Hello\r\nFeedback-Type: abuse\r\n", False),
        ("", False),
    ],
)
def test_feedback_is_known_by_its_fields(text, answer):
    assert is_feedback(text) is answer
