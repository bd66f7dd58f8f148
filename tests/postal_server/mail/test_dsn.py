import email
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.dsn import Failure, RecipientStatus, compose_failure, parse
from postal_server.mail.message import parts, subject
from postal_server.mail.transport_encoding import to_7bit

AT = datetime(2026, 11, 22, 18, 58, tzinfo=timezone.utc)
HEADER = b"X-Postal-Spam: no\r\nFrom: Ext <ext@remote.example>\r\nSubject: s\r\nMessage-ID: <o@r>\r\n"


def notice(header=HEADER, **changes):
    return compose_failure(
        header,
        **{
            "sender": "ext@remote.example",
            "recipient": "in@example.test",
            "subject": "hello",
            "original_message_id": "o@r",
            "token": "8jkpLpO6215SSV2N@s8halm",
            "postmaster": "postmaster@example.test",
            "reporting_mta": "mx.postal.example.test",
            "failure": Failure("5.1.1", "smtp; 550 5.1.1 no\nsuch user"),
            "message_id": "id@rp.test",
            "date": AT,
            "boundary": "b",
            **changes,
        },
    )


def test_the_notice_is_a_report():
    message = email.message_from_bytes(notice())
    assert list(message.items()) == [
        ("Date", "Sun, 22 Nov 2026 18:58:00 +0000"),
        ("From", "Mail Delivery Service <in@example.test>"),
        ("To", "ext@remote.example"),
        ("Message-ID", "<id@rp.test>"),
        ("Subject", "Mail Delivery Failed (hello)"),
        ("Auto-Submitted", "auto-replied"),
        ("Mime-Version", "1.0"),
        ("Content-Type", 'multipart/report;\r\n boundary="b";\r\n report-type=delivery-status'),
        ("Content-Transfer-Encoding", "7bit"),
    ]
    text, status, original = message.get_payload()
    explanation = text.get_payload()
    assert "in@example.test" in explanation
    assert "postmaster@example.test" in explanation
    assert explanation.splitlines()[-4:] == [
        "Message Token: 8jkpLpO6215SSV2N@s8halm",
        "Orginal Message ID: o@r",
        "Mail from: ext@remote.example",
        "Rcpt To: in@example.test",
    ]
    assert status.get_content_type() == "message/delivery-status"
    assert original.get_content_type() == "text/rfc822-headers"
    assert original.get_filename() == "Original Header.txt"
    assert original.get_payload() == HEADER.decode()


def test_the_notice_can_be_parsed():
    report = parse(notice())
    assert report.reporting_mta == "mx.postal.example.test"
    assert report.recipients == (
        RecipientStatus("in@example.test", None, "failed", "5.1.1", "550 5.1.1 no such user", None),
    )
    assert report.original_message_id == "o@r"
    assert report.original_header.startswith(b"X-Postal-Spam: no\r\n")


def test_eight_bit_headers_and_missing_values():
    header = b"Subject: x\nX-Long: \xc3\xbc" + b"y" * 2000 + b"\n"
    raw = notice(
        header, subject=None, original_message_id=None, failure=Failure(), recipient="in@bücher.example"
    )
    assert subject(raw) == "Mail Delivery Failed ()"
    assert (
        b"Final-Recipient: rfc822; in@xn--bcher-kva.example\r\nAction: failed\r\nStatus: 5.0.0\r\nLast" in raw
    )
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert to_7bit(raw).isascii()
    assert parse(to_7bit(raw)) is not None
    assert [file.filename for file in parts(raw).attachments] == [
        "delivery-status.txt",
        "Original Header.txt",
    ]


def test_the_subject_cannot_add_headers():
    assert b"\r\nX-Evil" not in notice(subject="a\r\nX-Evil: 1", sender="a\r\nX-Evil: 1@b.example")


def report(status, returned=b"", kind=b"message/delivery-status"):
    return (
        b"From: MAILER-DAEMON@mx.dest.example\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r\n"
        b"--r\r\n\r\nSorry.\r\n--r\r\nContent-Type: "
        + kind
        + b"\r\n\r\n"
        + status
        + b"\r\n"
        + returned
        + b"--r--\r\n"
    )


RETURNED = b"--r\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <a@b>\r\nSubject: x\r\n"


@pytest.mark.parametrize(
    ("status", "recipients"),
    [
        (
            b"Reporting-MTA: dns; mx\r\n\r\nOriginal-Recipient: rfc822;a@b.example\r\n"
            b"Final-Recipient: RFC822; <c@d.example>\r\nAction: Delayed (x)\r\nStatus: 4.4.1 (no answer)\r\n"
            b"Remote-MTA: dns; mx.d\r\nDiagnostic-Code: smtp; 421\r\n  wait\r\n\r\n\r\n"
            b"Final-Recipient: rfc822; e@f.example\r\nAction: failed\r\n",
            (
                RecipientStatus("c@d.example", "a@b.example", "delayed", "4.4.1", "421  wait", "mx.d"),
                RecipientStatus("e@f.example", None, "failed", None, None, None),
            ),
        ),
        (
            b"Reporting-MTA: dns; mx\nFinal-Recipient: a@b.example\nAction: failed\nStatus: nonsense",
            (RecipientStatus("a@b.example", None, "failed", None, None, None),),
        ),
        (b"Action: failed", (RecipientStatus(None, None, "failed", None, None, None),)),
        (b"", ()),
    ],
    ids=["two recipients", "one group", "no recipient", "empty"],
)
def test_reports_are_parsed(status, recipients):
    parsed = parse(report(status, RETURNED))
    assert parsed.recipients == recipients
    assert parsed.original_message_id == "a@b"


def test_reports_without_the_original_and_with_utf8_addresses():
    parsed = parse(
        report(b"\r\nFinal-Recipient: utf-8; \xc3\xb6@b.example", kind=b"message/global-delivery-status")
    )
    assert parsed.recipients[0].final_recipient == "ö@b.example"
    assert (parsed.original_message_id, parsed.original_header) == (None, b"")


def test_an_attached_report_is_no_report():
    inner = report(b"Action: failed")
    raw = (
        b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
        + inner
        + b"\r\n--o--"
    )
    assert parse(raw) is None
    assert parse(b"Subject: x\r\n\r\nbody") is None


def test_a_flood_of_recipients_is_cut():
    assert len(parse(report(b"Action: failed\r\n\r\n" * 20_000)).recipients) <= 501


@given(st.binary(max_size=300))
def test_hostile_reports_never_raise(data):
    parse(report(data, RETURNED + data))
    parse(data)
