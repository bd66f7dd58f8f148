import email
from datetime import datetime, timezone

from postal_server.mail.dsn import Failure, compose_failure
from postal_server.mail.message import parts, subject
from postal_server.mail.report import Kind, Part, read
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
    report = read(notice(), None)
    assert (report.kind, report.reporting_mta) == (Kind.BOUNCE, "mx.postal.example.test")
    assert report.parts == (Part("in@example.test", None, "failed", "5.1.1", "550 5.1.1 no such user", None),)
    assert report.message_id == "o@r"


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
    assert read(to_7bit(raw), None).kind is Kind.BOUNCE
    assert [file.filename for file in parts(raw).attachments] == [
        "delivery-status.txt",
        "Original Header.txt",
    ]


def test_the_subject_cannot_add_headers():
    assert b"\r\nX-Evil" not in notice(subject="a\r\nX-Evil: 1", sender="a\r\nX-Evil: 1@b.example")
