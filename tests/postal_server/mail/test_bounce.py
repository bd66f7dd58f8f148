import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.bounce import BounceKind, failure_kind, recognize

from .recordings import load
from .test_dsn import RETURNED, notice, report


@pytest.mark.parametrize("record", load("bounces"), ids=lambda record: record["name"])
def test_recorded_bounces(record):
    raw = base64.b64decode(record["data"])
    bounce = recognize(raw)
    has_token = "Bounced" in record["deliveries"]
    assert bool(bounce and bounce.tokens) is has_token
    assert bounce.kind is (BounceKind.HARD if record["name"].startswith("dsn") else BounceKind.SOFT)


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        (
            b"\r\nX-Postal-MsgID: abc123\r\nx-postal-msgid:abc123\r\n_-POSTAL-MSGID:\r\n  XYZ\r\n",
            ("abc123", "XYZ"),
        ),
        (
            b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(b"X-Postal-MsgID: inside"),
            ("inside",),
        ),
        (
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\nX-Postal-Msg=\r\nID: soft",
            ("soft",),
        ),
        (b"X-Postal-MsgID: t1\r\n\r\n", ("t1",)),
    ],
    ids=["raw", "base64", "quoted-printable", "header"],
)
def test_tokens_are_found_wherever_they_are(raw, tokens):
    bounce = recognize(raw)
    assert (bounce.tokens, bounce.kind) == (tokens, BounceKind.SOFT)


def test_tokens_are_bounded():
    assert (
        len(recognize(b"\r\n" + b"".join(b"X-Postal-MsgID: t%d\r\n" % i for i in range(500))).tokens) == 100
    )


def status(*fields):
    lines = [f"Final-Recipient: rfc822; r{i}@d.example\r\n{text}" for i, text in enumerate(fields)]
    return report("\r\n\r\n".join(["Reporting-MTA: dns; mx", *lines]).encode(), RETURNED)


@pytest.mark.parametrize(
    ("fields", "kind", "recipient"),
    [
        (["Action: failed\r\nStatus: 5.1.1"], BounceKind.HARD, "r0@d.example"),
        (["Action: failed\r\nStatus: 5.2.2"], BounceKind.SOFT, "r0@d.example"),
        (["Action: failed\r\nStatus: 4.4.7"], BounceKind.SOFT, "r0@d.example"),
        (["Action: failed\r\nDiagnostic-Code: smtp; 550 no such user"], BounceKind.HARD, "r0@d.example"),
        (["Action: delayed\r\nStatus: 4.4.1"], BounceKind.DELAYED, "r0@d.example"),
        (["Action: delivered\r\nStatus: 2.0.0"], BounceKind.DELIVERED, "r0@d.example"),
        (["Status: 2.1.5"], BounceKind.DELIVERED, "r0@d.example"),
        (["Status: 5.1.1"], BounceKind.HARD, "r0@d.example"),
        (["Action: relayed", "Action: failed\r\nStatus: 5.1.1"], BounceKind.HARD, "r1@d.example"),
        ([], BounceKind.SOFT, None),
    ],
)
def test_reports_say_how_bad_it_is(fields, kind, recipient):
    bounce = recognize(status(*fields))
    assert (bounce.kind, bounce.recipient) == (kind, recipient)
    assert bounce.original_message_id == "a@b"
    assert bounce.report is not None


def test_our_own_notice_is_recognized():
    bounce = recognize(notice())
    assert (bounce.kind, bounce.status, bounce.diagnostic) == (
        BounceKind.HARD,
        "5.1.1",
        "550 5.1.1 no such user",
    )


@pytest.mark.parametrize(
    ("code", "diagnostic", "kind"),
    [
        ("5.1.1", None, BounceKind.HARD),
        ("5.2.1", None, BounceKind.HARD),
        ("5.4.4", None, BounceKind.HARD),
        ("5.2.2", None, BounceKind.SOFT),
        ("5.3.4", None, BounceKind.SOFT),
        ("5.4.7", None, BounceKind.SOFT),
        ("5.7.1", None, BounceKind.SOFT),
        ("4.2.1", None, BounceKind.SOFT),
        ("5.0.0", "550 5.7.1 blocked", BounceKind.SOFT),
        ("5.0.0", "550 mailbox full", BounceKind.SOFT),
        ("5.0.0", "unknown user", BounceKind.HARD),
        (None, "550 unknown user", BounceKind.HARD),
        (None, "450 later", BounceKind.SOFT),
        (None, "said 5.1.1. Good bye", BounceKind.HARD),
        (None, "from 5.1.1.9", BounceKind.SOFT),
        (None, None, BounceKind.SOFT),
    ],
)
def test_only_what_the_address_is_to_blame_for_is_hard(code, diagnostic, kind):
    assert failure_kind(code, diagnostic) is kind


EXIM = b"""X-Failed-Recipients: a@dest.example, b@dest.example
From: Mail Delivery System <Mailer-Daemon@mx.example>
Subject: Mail delivery failed: returning message to sender

A message that you sent could not be delivered to all of its recipients.

  a@dest.example
    host mx.dest.example: 550 5.1.1 User unknown

------ This is a copy
"""
QMAIL = b"""From: MAILER-DAEMON@qmail.example
Subject: failure notice

Hi. This is the qmail-send program at qmail.example.
I could not deliver your message.

<a@dest.example>:
192.0.2.1 does not like recipient.
Remote host said: 552 5.2.2 Mailbox full

--- Below this line is a copy of the message.
"""
EXCHANGE = b"""From: MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@x.example
Subject: Undeliverable: hello

Your message to a@dest.example couldn't be delivered.
Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound'
"""
DELAY = b"""From: MAILER-DAEMON (Mail Delivery System)
Subject: Delivery status: delayed

Still trying to reach a@dest.example, 421 4.4.1 no answer.
"""


@pytest.mark.parametrize(
    ("raw", "kind", "recipient", "code"),
    [
        (EXIM, BounceKind.HARD, "a@dest.example", "5.1.1"),
        (QMAIL, BounceKind.SOFT, "a@dest.example", "5.2.2"),
        (EXCHANGE, BounceKind.HARD, "a@dest.example", "5.1.10"),
        (DELAY, BounceKind.DELAYED, "a@dest.example", "4.4.1"),
        (b"From: postmaster@x\nSubject: Undeliverable\n\nNo reason given.\n", BounceKind.SOFT, None, None),
    ],
    ids=["exim", "qmail", "exchange", "delay", "no address"],
)
def test_other_servers_are_recognized(raw, kind, recipient, code):
    bounce = recognize(raw)
    assert (bounce.kind, bounce.recipient, bounce.status) == (kind, recipient, code)


@pytest.mark.parametrize(
    "raw",
    [
        b"From: ann@x.example\nSubject: Undeliverable parcels\n\nHello\n",
        b"From: postmaster@x.example\nSubject: Welcome\n\nHello\n",
        b"Subject: x\n\nHi. This is the end.\n",
        b"Content-Type: image/png\n\nx",
    ],
)
def test_ordinary_mail_is_no_bounce(raw):
    assert recognize(raw) is None


@given(st.binary(max_size=300))
def test_hostile_mail_never_raises(data):
    recognize(data)
    recognize(
        b"From: postmaster@x\r\nX-Failed-Recipients: " + data + b"\r\nSubject: failure notice\r\n\r\n" + data
    )


@pytest.mark.parametrize(
    "flood", [b"a", b"a@", b"<a@b>:\n", b"x-postal-msgid: ", b"5.1", b"\n ", b"x-failed-recipients: a\n"]
)
def test_a_flood_is_read_in_linear_time(flood):
    start = time.process_time()
    recognize(
        b"From: postmaster\nSubject: failure notice\n\nHi. This is the\n" + flood * (300_000 // len(flood))
    )
    recognize(flood * (300_000 // len(flood)))
    assert time.process_time() - start < 4


REPORT = (
    b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
)
MAILER = b"From: MAILER-DAEMON@x\r\nSubject: undeliverable\r\n\r\n"
QMAIL = b"Subject: x\r\n\r\nHi. This is the\n"
FLOODS = {
    "groups of a report": (REPORT, b"a:\n\n"),
    "fields of a report": (REPORT, b"final-recipient: a\n"),
    "folds of a report": (REPORT + b"a:", b"\n "),
    "encoded words of a report": (REPORT + b"final-recipient:", b"=?utf-8?q?a?= x"),
    "tokens": (b"\r\n", b"X-Postal-MsgID: a"),
    "blanks before a token": (b"\r\n-Postal-MsgID:", b" "),
    "base64": (b"Content-Transfer-Encoding: base64\r\n\r\n", b"QUJD"),
    "quoted-printable": (b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", b"= "),
    "addresses": (MAILER, b"a@"),
    "one word": (MAILER, b"a"),
    "failed recipients": (QMAIL, b"a@a:\n"),
    "nearly addresses": (QMAIL, b"a" * 64 + b"@" + b"a" * 253),
    "lines without an end": (b"", b"a\n"),
}


@pytest.mark.parametrize(("beginning", "flood"), FLOODS.values(), ids=FLOODS)
def test_time_to_recognize_a_hostile_report_is_bounded(beginning, flood):
    """50 ms at most on a machine of today; ten times as much for a slow one."""
    raw = beginning + flood * (13_000_000 // len(flood))
    start = time.process_time()
    recognize(raw)
    assert time.process_time() - start < 0.5


def test_a_token_in_the_beginning_of_an_encoded_part_is_found():
    inner = base64.encodebytes(b"X-Postal-MsgID: abc123\r\n" + b"x" * 2_000_000)
    assert recognize(b"Content-Transfer-Encoding: base64\r\n\r\n" + inner).tokens == ("abc123",)
