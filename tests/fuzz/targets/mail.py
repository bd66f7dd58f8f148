"""Mail: headers, MIME, reports, what is done to a message before it leaves."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime, timezone
from types import SimpleNamespace

from postal_server.mail import (
    address,
    address_list,
    dkim,
    dsn,
    header,
    mime,
    report,
    tracking,
    transport_encoding,
)
from postal_server.mail.message import parts
from postal_server.mail.reply_separation import separate
from postal_server.wire import endpoint

from . import target

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
KEY = dkim.SigningKey.load(dkim.generate_rsa(1024))
TOKEN = "0123456789abcdef"
MAX_LINE = 998  # RFC 5322 section 2.1.1
STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")

WORDS = (
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Disposition: attachment; filename*0*=utf-8''a%20",
    b"; charset=",
    b"\r\n--b\r\n",
    b"\r\n--b--\r\n",
    b"=?utf-8?q?=C3=BC?=",
    b"=?iso-2022-jp?B?GyRC?=",
    b"\r\n\r\n",
)
PLAIN = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n"
NESTED = (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSch\xc3\xb6n\r\n"
    b"--c\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b'<a href=3D"https://x.example/?a=3Db">x</a></body>\r\n--c--\r\n--b\r\n'
    b"Content-Type: application/pdf; name*=utf-8''%C3%BC.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"AAECAw==\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--\r\n"
)
REPORT = (
    b"From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered Mail Returned to Sender\r\n"
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\n"
    b"<c@d.example>: 550 5.1.1 no such user\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; c@d.example\r\nAction: failed\r\n"
    b"Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nX-Postal-MsgID: " + TOKEN.encode() + b"\r\n\r\nx\r\n--b--\r\n"
)
QMAIL = (
    b"From: MAILER-DAEMON@q.example\r\nSubject: failure notice\r\n\r\n"
    b"Hi. This is the qmail-send program at q.example.\r\n\r\n"
    b"<c@d.example>:\r\nSorry, no mailbox here. (#5.1.1)\r\n"
)
COMPLAINT = (
    b"From: fbl@isp.example\r\nSubject: abuse\r\n"
    b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nabuse\r\n"
    b"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"
    b"Original-Rcpt-To: c@d.example\r\n\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nX-Postal-MsgID: "
    + TOKEN.encode()
    + b"\r\n\r\nx\r\n--b--\r\n"
)
REPLY = (
    b"Subject: Re: x\r\n\r\nYes.\r\n\r\n"
    b"On Tue, 3 Jan 2023 at 04:05, A <a@b.example> wrote:\r\n> x\r\n-- \r\nB\r\n"
)


def posted(mail: bytes, format: str, encoding: str) -> bytes:
    """The body that an HTTP endpoint is posted for a mail."""
    row = SimpleNamespace(
        id=1, rcpt_to="a@b.example", mail_from=None, subject=None, message_id=None, created_at=NOW,
        size_bytes=len(mail), is_inspected=False, is_spam=False, is_bounce=False, received_with_ssl=None,
        stream="",
    )  # fmt: skip
    if format == endpoint.RAW:
        return endpoint.raw_body(row, mail, encoding)[0]
    payload = endpoint.hash_payload(row, TOKEN, parts(mail), spam="NotSpam", strip_replies=True)
    return endpoint.hash_body(payload, encoding)[0]


@target([PLAIN, b'To: A <a@b.example>, grp: c@d.example, "x\\"y" <e@f>;\r\n\r\n'], WORDS)
def headers(data: bytes) -> None:
    """Header fields, encoded words, addresses."""
    block, body = header.split_header(data)
    assert len(block) + len(body) <= len(data)
    for name, value in header.header_fields(data):
        assert name
        text = header.decode_header(value)
        text.encode("utf-8", "surrogatepass")
        for parse in (address_list.originators, address_list.recipients_in):
            with contextlib.suppress(ValueError):
                parse(text)
        address.suppression_key(address.bare_address(text))
    header.subject(data)
    header.message_id(data)
    changed = header.set_field(block if block.endswith(b"\n") else b"", "Subject", "x")
    assert header.header_values(changed, "Subject") == ["x"]


@target([PLAIN, NESTED, REPORT, REPLY], WORDS)
def mime_parts(data: bytes) -> None:
    """The tree of parts, what the API shows, what an endpoint is posted."""
    for part in mime.parse(data, into_messages=True).walk():
        assert part.start <= part.body_start <= part.end <= len(data)
        assert part.filename is None or isinstance(part.filename, str)
        str(part.content_type)
    seen = parts(data)
    for attachment in seen.attachments:
        assert isinstance(attachment.filename, str)
        assert attachment.sha1
    for format in (endpoint.HASH, endpoint.RAW):
        for encoding in (endpoint.AS_JSON, endpoint.AS_FORM):
            assert posted(data, format, encoding)
    body, _ = separate(seen.plain_body)
    assert len(body) <= len(seen.plain_body or "")


@target(
    [REPORT, QMAIL, COMPLAINT, NESTED, PLAIN],
    (
        *WORDS,
        b"Content-Type: message/delivery-status\r\n",
        b"Content-Type: message/feedback-report\r\n",
        b"Content-Type: text/html\r\n",
        b"\r\nFinal-Recipient: rfc822; c@d.example\r\n",
        b"\r\nAction: delayed\r\n",
        b"\r\nMessage-ID: <x@b.example>\r\n",
        b"X-Failed-Recipients: c@d.example\r\n",
        b"Auto-Submitted: auto-replied\r\n",
        b"<c@d.example>:\r\n",
        b"> ",
    ),
)
def reports(data: bytes) -> None:
    """What kind of report is it, and about whom?"""
    for path in (None, "a@b.example"):
        read = report.read(data, path)
        assert len(read.parts) <= 500
        assert (read.kind is report.Kind.BOUNCE) == any(part.action == "failed" for part in read.parts)
        for part in read.parts:
            assert part.status is None or STATUS.fullmatch(part.status)
            assert len(part.diagnostic or "") <= 2000
            assert part.stage in ("connect", "mail", "rcpt", "data", "dot", "report")


@target(
    [REPORT, QMAIL, PLAIN], (*WORDS, b"Action: failed\r\n", b"Status: 4.2.2\r\n", b"X-Failed-Recipients: ")
)
def bounces(data: bytes) -> None:
    """The report that we send about a mail is one of a failure."""
    text = data[:80].decode("utf-8", "replace")
    made = dsn.compose_failure(
        data,
        sender=text,
        recipient="in@example.test",
        subject=text,
        original_message_id=text,
        token=TOKEN,
        postmaster="postmaster@example.test",
        reporting_mta="mx.example.test",
        failure=dsn.Failure(diagnostic=text),
        message_id="x@example.test",
        date=NOW,
        boundary="--==_mimepart_0123456789",
    )
    names = [name for name, _ in header.header_fields(made)]
    assert names == [
        "Date", "From", "To", "Message-ID", "Subject", "Auto-Submitted", "Mime-Version", "Content-Type",
        "Content-Transfer-Encoding",
    ]  # fmt: skip
    assert [part.action for part in report.read(made, None).parts] == ["failed"]


@target(
    [NESTED, b"\r\nSee http://x.example/a_b?c=d#e, or https+notrack://y.example.\r\n"],
    (
        *WORDS,
        b"<a href='http://",
        b"https+notrack://",
        b"</body>",
        b"X-AMP: skip\r\n",
        b"&amp;",
        b"<!--",
        b"<base href=",
        b"<script>",
        b"<svg>",
        b"&#x",
        b"charset=iso-2022-jp\r\n",
        b"\x1b$B",
        b"Content-Type: text/plain; format=flowed; delsp=yes\r\n",
    ),
)
def tracking_links(data: bytes) -> None:
    """Links and pixel. The header keeps its other fields, and a second reading finds no mark."""
    found = tracking.draft(
        data,
        pixel_url="https://track.example.test/img/x",
        excluded=frozenset(["no.example"]),
        track_clicks=True,
    )
    if found is not None:
        assert found.write(["https://track.example.test/x/y"] * len(found.targets)) != data
        assert all(target.startswith(("http://", "https://")) for target in found.targets)


@target([PLAIN, NESTED, b"\r\n.\r\n..\n.\r.\r\n", b"A: " + b"x " * 700 + b"\r\n\r\n" + b"\xff" * 1200], WORDS)
def transport_encodings(data: bytes) -> None:
    """What a message becomes for SMTP: lines short enough, no bare CR or LF, no early end."""
    repaired = transport_encoding.repair_lines(data)
    assert all(len(line) <= MAX_LINE for line in repaired.split(b"\r\n"))
    assert repaired.count(b"\n") == repaired.count(b"\r") == repaired.count(b"\r\n")
    assert transport_encoding.repair_lines(repaired) == repaired
    reduced = transport_encoding.to_7bit(repaired)
    if not transport_encoding.has_8bit_header(repaired):
        assert transport_encoding.to_7bit(reduced) == reduced
    stuffed = transport_encoding.dot_stuff(data)
    assert stuffed.endswith(b"\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed
    assert stuffed.count(b"\n") == stuffed.count(b"\r") == stuffed.count(b"\r\n")
    field = dkim.sign(data, domain="example.test", selector="s", key=KEY, now=1)
    assert field.startswith(b"DKIM-Signature: ")
    assert field.endswith(b"\r\n")
    assert len(header.header_fields(field + b"\r\n")) == 1
