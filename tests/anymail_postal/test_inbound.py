import copy
import pickle
from collections import defaultdict
from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta, timezone
from itertools import product

import pytest
from anymail.inbound import AnymailInboundMessage
from anymail.signals import AnymailInboundEvent
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import body, inbound
from anymail_postal.errors import UnreadableBody
from anymail_postal.structure import MAX_PARTS
from anymail_postal.testing import form_bytes, hash_fields, json_bytes, mime_base64, raw_fields
from tests.each import each

from .recorded import MAILS

FORM = "application/x-www-form-urlencoded"


def mail(*parts: str | bytes, headers: str = "") -> bytes:
    """A mail of header text and body, with CRLF line ends."""
    head = "From: Ann <ann@remote.example>\nTo: in@example.test\nSubject: Hi\n" + headers
    text = b"".join(part if isinstance(part, bytes) else part.encode() for part in (head, "\n", *parts))
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def raw(content: bytes, **fields):
    return inbound.read({**raw_fields("ann@remote.example", "in@example.test", content), **fields})


def from_hash(**fields):
    return inbound.read(hash_fields("ann@remote.example", "in@example.test", fields))


# --- the event ---


def test_raw_mail():
    fields = raw_fields("ann@remote.example", "in+tag@example.test", mail("Hello\n"))
    event = inbound.read(fields, server="second")
    assert isinstance(event, AnymailInboundEvent)
    assert (event.event_type, event.event_id) == ("inbound", fields["id"])
    assert event.esp_event is fields
    message = event.message
    assert isinstance(message, AnymailInboundMessage)
    assert (message.envelope_sender, message.envelope_recipient) == (
        "ann@remote.example",
        "in+tag@example.test",
    )
    assert (message.subject, message.text, message.html) == ("Hi", "Hello\n", None)
    assert (message.stripped_text, message.stripped_html) == (None, None)
    assert (message.spam_detected, message.spam_score) == (None, None)
    assert event.postal == inbound.PostalInbound(id=fields["id"], server="second", size=len(mail("Hello\n")))


def test_hash_mail():
    fields = hash_fields(
        "ann@remote.example",
        "in@example.test",
        {
            "subject": "Grüße",
            "from": "Ann Example <ann@remote.example>",
            "to": "Team <in@example.test>, b@example.test",
            "cc": "c@example.test",
            "reply_to": ["r@remote.example"],
            "message_id": "id@remote.example",
            "in_reply_to": "<orig@example.test>",
            "references": "<a@example.test> <orig@example.test>",
            "plain_body": "Hello\r\nthere",
            "html_body": "<p>Hello</p>",
            "size": "345",
            "token": "abcdef",
        },
    )
    event = inbound.read(fields)
    message = event.message
    assert message.subject == "Grüße"
    assert str(message.from_email) == "Ann Example <ann@remote.example>"
    assert [each.addr_spec for each in message.to] == ["in@example.test", "b@example.test"]
    assert [each.addr_spec for each in message.cc] == ["c@example.test"]
    assert message["Reply-To"] == "r@remote.example"
    assert message["Message-ID"] == "<id@remote.example>"
    assert message["In-Reply-To"] == "<orig@example.test>"
    assert message["References"] == "<a@example.test> <orig@example.test>"
    assert message.date == datetime(2023, 1, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=1)))
    assert (message.text, message.html) == ("Hello\nthere", "<p>Hello</p>")
    assert (message.spam_detected, message.spam_score, message.stripped_text) == (False, None, None)
    assert event.postal == inbound.PostalInbound(
        id=fields["id"], token="abcdef", size=345, bounce=False, received_with_ssl=True
    )


def test_facts_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        raw(mail()).postal.id = 5


@pytest.mark.parametrize(
    ("given", "stripped"),
    [
        ({}, None),
        ({"replies_from_plain_body": None}, "New"),
        ({"replies_from_plain_body": "> old"}, "New"),
    ],
)
def test_postal_strips_replies_where_the_route_says_so(given, stripped):
    message = from_hash(plain_body="New", **given).message
    assert (message.text, message.stripped_text) == ("New", stripped)


@each("status, spam", [("Spam", True), ("NotSpam", False), ("NotChecked", None), (None, None)])
def test_spam_in_a_hash(status, spam):
    assert from_hash(spam_status=status).message.spam_detected is spam


POSTAL_HEADERS = [
    # headers -> spam detected, score, threat
    ("", None, None, None),
    ("X-Postal-Spam: no\nX-Postal-Spam-Score: 0\nX-Postal-Threat: no\n", False, 0.0, False),
    ("X-Postal-Spam: yes\nX-Postal-Spam-Score: 12.5\nX-Postal-Threat: yes\n", True, 12.5, True),
    (
        "X-Postal-Spam: yes\nX-Postal-Spam: no\nX-Postal-Spam-Score: 9\nX-Postal-Spam-Score: 0\n",
        True,
        9.0,
        None,
    ),
    ("X-Postal-Spam: maybe\nX-Postal-Spam-Score: high\n", None, None, None),
    ("X-Postal-Spam-Score: nan\n", None, None, None),
    ("X-Postal-Spam-Score: inf\n", None, None, None),
]


@each("headers, spam, score, threat", POSTAL_HEADERS)
def test_topmost_inspection_headers_count(headers, spam, score, threat):
    event = raw(mail(headers=headers))
    assert (event.message.spam_detected, event.message.spam_score) == (spam, score)
    assert event.postal.threat is threat


@each(
    "event, automatic",
    [
        (raw(mail()), False),
        (raw(mail(), mail_from=None), True),
        (raw(mail(headers="Auto-Submitted: auto-replied\n")), True),
        (from_hash(), False),
        (from_hash(bounce=True), True),
        (from_hash(auto_submitted="auto-replied"), True),
    ],
    ids=["person", "null sender", "auto-replied", "hash", "bounce", "hash auto-replied"],
)
def test_automatic_mail_is_marked(event, automatic):
    assert event.postal.is_auto_response is automatic


def test_null_sender_is_none():
    assert raw(mail(), mail_from=None).message.envelope_sender is None


TAKEN_AT = datetime(2026, 11, 30, 12, 0, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize("value", [TAKEN_AT.timestamp(), str(TAKEN_AT.timestamp()), "1796040005"])
def test_time_of_a_hash_is_when_postal_took_the_mail(value):
    assert from_hash(timestamp=value).timestamp == TAKEN_AT


@pytest.mark.parametrize("value", [None, ""])
def test_hash_without_a_time(value):
    fields = hash_fields("ann@remote.example", "in@example.test", {"timestamp": None})
    assert inbound.read(fields).timestamp is None


RECEIVED = {
    "by Postal": ("Received: from mx by postal; Mon, 30 Nov 2026 13:00:05 +0100\n", TAKEN_AT),
    "the topmost counts": (
        "X-Postal-Spam: no\nReceived: from b by postal; Mon, 30 Nov 2026 12:00:05 +0000\n"
        "Received: from a by b; Sun, 29 Nov 2026 12:00:05 +0000\n",
        TAKEN_AT,
    ),
    "folded": ("Received: from mx\n by postal;\n Mon, 30 Nov 2026 12:00:05 +0000\n", TAKEN_AT),
    "no time": ("Received: from mx by postal\n", None),
    "no zone": ("Received: from mx by postal; Mon, 30 Nov 2026 12:00:05\n", None),
    "no header": ("", None),
}


@each("headers, taken_at", RECEIVED.values(), ids=RECEIVED)
def test_time_of_a_raw_mail_is_when_postal_took_it(headers, taken_at):
    content = headers.encode() + mail("x")
    assert raw(content).timestamp == taken_at


# --- unreadable posts ---

GOOD = raw_fields("a@b.example", "in@example.test", mail())
HASH = hash_fields("a@b.example", "in@example.test", {"plain_body": "x"})
ATTACHMENT = {"filename": "a.txt", "content_type": "text/plain", "size": 1, "data": "YQ=="}
UNREADABLE = {
    "nothing": {},
    "no id": {**GOOD, "id": None},
    "id is text": {**GOOD, "id": "x"},
    "id is gigantic": {**GOOD, "id": 10**40},
    "no recipient": {**GOOD, "rcpt_to": None},
    "recipient is a list": {**GOOD, "rcpt_to": ["a@b.example"]},
    "sender is a number": {**GOOD, "mail_from": 5},
    "message is no base64": {**GOOD, "message": "%%%"},
    "message is cut": {**GOOD, "message": GOOD["message"].strip()[:-3]},
    "message is a list": {**GOOD, "message": []},
    "base64 is text": {**GOOD, "base64": "maybe"},
    "size is text": {**GOOD, "size": "big"},
    "neither format": {"id": 1, "rcpt_to": "a@b.example"},
    "body is a number": {**HASH, "plain_body": 5},
    "HTML is a list": {**HASH, "html_body": []},
    "subject is a number": {**HASH, "subject": 5},
    "reply_to holds numbers": {**HASH, "reply_to": [5]},
    "bounce is text": {**HASH, "bounce": "perhaps"},
    "attachments are text": {**HASH, "attachments": "a.txt"},
    "attachment is text": {**HASH, "attachments": ["a.txt"]},
    "attachment data is no base64": {**HASH, "attachments": [{**ATTACHMENT, "data": "%"}]},
    "attachment data is a number": {**HASH, "attachments": [{**ATTACHMENT, "data": 5}]},
    "attachment name is a list": {**HASH, "attachments": [{**ATTACHMENT, "filename": []}]},
    "attachment type is a number": {**HASH, "attachments": [{**ATTACHMENT, "content_type": 5}]},
}


@each("fields", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_post(fields):
    with pytest.raises(UnreadableBody):
        inbound.read(fields)


@pytest.mark.parametrize("base64_flag", [False, None])
def test_message_may_come_as_text(base64_flag):
    message = raw(b"", message="Subject: Grüße\r\n\r\nHello", base64=base64_flag).message
    assert (message.subject, message.text) == ("Grüße", "Hello")


@pytest.mark.parametrize("event", ["raw", "hash"])
def test_subject_is_known_without_reading_the_mail(event):
    fields = GOOD if event == "raw" else {**HASH, "subject": "Hi"}
    assert inbound.subject(fields) == "Hi"


# --- attachments of a Hash post ---


def attachment(**values):
    (found,) = from_hash(attachments=[{**ATTACHMENT, **values}]).message.attachments
    return found


@pytest.mark.parametrize("encoding", ["JSON", "form"])
def test_attachments(encoding):
    fields = {
        **HASH,
        "attachments": [
            {
                "filename": 'ü "1".pdf',
                "content_type": "application/pdf",
                "size": 3,
                "data": mime_base64(b"\0\xff\n"),
            },
            {"filename": None, "content_type": "image/png", "size": 100, "data": mime_base64(b"x" * 100)},
            {"filename": "empty.txt", "content_type": "text/plain; charset=utf-8", "size": 0, "data": ""},
        ],
    }
    content, content_type = (json_bytes(fields), "") if encoding == "JSON" else (form_bytes(fields), FORM)
    found = inbound.read(body.parse(content, content_type)).message.attachments
    assert [each.get_filename() for each in found] == ['ü "1".pdf', "attachment.png", "empty.txt"]
    assert [each.get_content_type() for each in found] == ["application/pdf", "image/png", "text/plain"]
    assert [each.get_content_bytes() for each in found] == [b"\0\xff\n", b"x" * 100, b""]


def test_form_attachments_are_in_order_of_their_numbers():
    fields = {**HASH, "plain_body": "x"}
    for number in (10, 2, 0):
        fields[f"attachments[{number}][filename]"] = f"{number}.txt"
    found = inbound.read(fields).message.attachments
    assert [each.get_filename() for each in found] == ["0.txt", "2.txt", "10.txt"]


@each("name", ["a\r\nb.txt", "a\nSubject: x", "a\x00b.txt", "\ud800.txt", "a/b\\c.txt", "x" * 5000])
def test_attachment_with_a_strange_name(name):
    found = attachment(filename=name)
    assert found.get_content_bytes() == b"a"
    assert "\n" not in found.get_filename()
    assert found.keys() == ["Content-Type", "Content-Disposition", "Content-Transfer-Encoding"]
    assert b"\nSubject:" not in found.as_bytes()


def test_hash_post_has_so_many_attachments():
    event = from_hash(attachments=[ATTACHMENT] * (MAX_PARTS + 5))
    assert len(event.message.attachments) == MAX_PARTS


@each("content_type", ["", "x", "multipart/mixed", "text/plain; x=\r\ny", "\x00/\x00", "a/b/c", "message"])
def test_attachment_with_a_strange_type(content_type):
    assert attachment(content_type=content_type).get_content_bytes() == b"a"


def test_attached_mail():
    found = attachment(
        content_type="message/rfc822", filename="1.eml", data=mime_base64(mail(b"Gr\xfc\xdfe\n"))
    )
    assert found.get_content_bytes().replace(b"\n", b"\r\n") == mail(b"Gr\xfc\xdfe\n")
    assert "Subject: Hi" in found.get_content_text()


def test_rebuilt_mail_can_be_written():
    message = from_hash(subject="Grüße", plain_body="Hello\n", attachments=[ATTACHMENT]).message
    again = inbound.parse(message.as_bytes())
    assert (again.subject, again.text) == (message.subject, message.text)
    assert [each.get_content_bytes() for each in again.attachments] == [b"a"]


HOSTILE_HEADERS = [
    "a\r\nBcc: x@y.example",
    "\x00",
    "\ud800",
    "=?utf-8?q?=ff?=",
    "=?",
    "x" * 10_000,
    "<<<>>>",
    ",;:@",
]


@each("field, value", list(product(sorted(inbound.HASH_HEADERS.keys() - {"reply_to"}), HOSTILE_HEADERS)))
def test_hash_header_with_a_strange_value(field, value):
    message = from_hash(**{field: value}).message
    assert "Bcc" not in message
    message.as_bytes()


# --- odd mail ---


def part(content_type, content, headers=""):
    return f"--b\nContent-Type: {content_type}\n{headers}\n{content}\n"


def test_eight_bit_mail_in_a_declared_charset():
    headers = (
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n"
    )
    assert raw(mail("Grüße\n".encode("latin-1"), headers=headers)).message.text == "Grüße\n"


@each(
    "content_type, content, text",
    [
        ("text/plain", "Grüße".encode(), "Grüße"),
        ("text/plain", b"Gr\xfc\xdfe", "Grüße"),
        ("text/plain; charset=no-such", "Grüße".encode(), "Grüße"),
        ("text/plain; charset=no-such", b"Gr\xfc", "Grü"),
        ("text/plain; charset=idna", b"Gr\xfc", "Grü"),
        ("text/plain; charset=rot13", b"Hello", "Hello"),
        ("text/plain; charset=utf-8", b"Gr\xfc", "Gr\N{REPLACEMENT CHARACTER}"),
        ("text/plain; charset=windows-1252", b"\x80 5", "\N{EURO SIGN} 5"),
    ],
)
def test_text_in_any_charset(content_type, content, text):
    message = raw(mail(content, headers=f"MIME-Version: 1.0\nContent-Type: {content_type}\n")).message
    assert message.text == text


def test_caller_may_insist_on_a_charset():
    message = raw(mail("Grüße".encode())).message
    assert message.get_content_text("latin-1") == "Grüße".encode().decode("latin-1")
    with pytest.raises(UnicodeDecodeError):
        message.get_content_text("ascii", "strict")
    with pytest.raises(LookupError):
        message.get_content_text("no-such")


@each("encoding", ["x-uuencode", "base64", "quoted-printable", "no-such"])
def test_contents_that_are_not_in_the_encoding_they_claim(encoding):
    content = mail("begin 666 a\nSubject: Hi\n", headers=f"Content-Transfer-Encoding: {encoding}\n")
    assert isinstance(raw(content).message.get_content_bytes(), bytes)


def test_addresses_that_cannot_be_read_are_left_out():
    message = raw(
        mail(headers="Cc: good@example.test, bad, <>, undisclosed:;, Bea <bea@example.test>\n")
    ).message
    assert [each.addr_spec for each in message.cc] == ["good@example.test", "bea@example.test"]


@each("date", ["yesterday", "Tue, 99 Jan 2023 04:05:06 +0100", f"Tue, 1 Jan {'9' * 30} 0:0:0 +0000", ""])
def test_date_that_no_calendar_has(date):
    assert raw(mail(headers=f"Date: {date}\n")).message.date is None


def test_attached_mail_in_a_raw_mail_keeps_its_long_headers():
    long_header = "X-Long: " + " ".join(["word"] * 40)
    attached = f"From: Ann <ann@remote.example>\n{long_header}\nSubject: Inner\n\nbody"
    content = mail(
        part("text/plain", "see below"),
        part("message/rfc822", attached, "Content-Disposition: attachment\n"),
        "--b--\n",
        headers="MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n",
    )
    (found,) = raw(content).message.attachments
    assert found.get_content_bytes() == attached.encode()
    assert found.get_content_text() == attached


def test_delivery_status_has_contents_too():
    content = mail(
        part("message/delivery-status", "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b.example\n"),
        "--b--\n",
        headers="MIME-Version: 1.0\nContent-Type: multipart/report; boundary=b\n",
    )
    status = next(
        each for each in raw(content).message.walk() if each.get_content_type() == "message/delivery-status"
    )
    assert b"Final-Recipient: rfc822; a@b.example" in status.get_content_bytes()
    assert "Reporting-MTA: dns; x" in status.get_content_text()


def test_contents_of_a_container_are_an_error_as_documented():
    message = raw(
        mail(part("text/plain", "x"), "--b--\n", headers="Content-Type: multipart/mixed; boundary=b\n")
    ).message
    with pytest.raises(ValueError, match="multipart"):
        message.get_content_bytes()
    with pytest.raises(ValueError, match="multipart"):
        message.get_content_text()


def test_hundreds_of_parts_within_parts():
    nested = "".join(
        f"Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n" for depth in range(2000)
    )
    message = raw(("Subject: Deep\n" + nested).replace("\n", "\r\n").encode()).message
    assert message.subject == "Deep"
    assert message.attachments == []
    assert message.text.startswith("--b30\n")
    assert message.text.endswith("--b1999\n")


def test_message_can_be_copied_and_pickled():
    message = raw(mail("Hello\n", headers="Content-Type: text/plain; charset=utf-8\n")).message
    for again in (copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert (again.subject, again.text, again.envelope_recipient) == ("Hi", "Hello\n", "in@example.test")


def test_inline_parts_by_content_id():
    content = mail(
        part("text/html", '<img src="cid:i">'),
        part(
            "image/png",
            "iVBORw0KGgo=",
            "Content-ID: <i>\nContent-Disposition: inline; filename=i.png\n"
            "Content-Transfer-Encoding: base64\n",
        ),
        "--b--\n",
        headers="MIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n",
    )
    message = raw(content).message
    assert message.content_id_map["i"].get_content_bytes() == b"\x89PNG\r\n\x1a\n"
    assert [each.get_filename() for each in message.inlines] == ["i.png"]
    assert message.attachments == []


# --- the same as Anymail's class, only faster ---

TYPES = [
    "text/plain",
    "Text/HTML; Charset=UTF-8",
    'text/plain; charset="utf-8"; format=flowed',
    'multipart/mixed; boundary="----=_Part_1"',
    "multipart/mixed; boundary=abc;",
    'application/pdf; name="a b.pdf"',
    'application/pdf; name="a  b.pdf"',
    'application/pdf; name=" a.pdf "',
    "application/pdf; name=a.pdf; name=b.pdf",
    'application/pdf; name="=?utf-8?q?=C3=BC.zip?="',
    "application/pdf; name*=utf-8''%C3%BC.pdf",
    "application/pdf; name*0=a; name*1=b.pdf",
    'application/pdf; name="a\\"b.pdf"',
    "text/plain; charset=utf-8 (comment)",
    "text/plain;\n charset=utf-8",
    'application/pdf;\n name="a\n b.pdf"',
    "text",
    "text/plain/x",
    "",
    'text/plain; charset=""',
    "text/plain;; charset=utf-8",
    "message/rfc822",
    "image/png; name=ü.png",
]
DISPOSITIONS = [
    None,
    "attachment",
    "ATTACHMENT; filename=a.pdf",
    'inline; filename="b.png"',
    "attachment; filename*=utf-8''%C3%BC.pdf",
    'attachment; filename="a.pdf"; size=5',
    "form-data/x",
    "",
]


def seen(message):
    return (
        message.get_content_type(),
        message.get_content_maintype(),
        message.get_content_disposition(),
        message.is_attachment(),
        message.is_inline(),
        message.get_filename("none"),
        message.get_boundary(),
        message.get_content_charset(),
        message.get_param("name"),
        message.get_param("format", "none"),
        message.get_param("charset", unquote=False),
        message.get_params()[1:] if "Content-Type" in message else None,
        message.get_param("size", header="Content-Disposition"),
        str(message["Content-Type"]).lower().replace(" ;", ";"),
        message.subject,
        [each.get_content_type() for each in message.walk()],
    )


# What mail programs understand, and Python does not.
ODD_TYPES = {
    "text/plain (comment); charset=utf-8": ("text/plain", "utf-8", None),
    "text/plain charset=utf-8": ("text/plain", "utf-8", None),
    "text/plain, charset=utf-8": ("text/plain", "utf-8", None),
    "text / html ; charset = utf-8": ("text/html", "utf-8", None),
    "text/html(x);charset=utf-8": ("text/html", "utf-8", None),
    "text/": ("text/plain", None, None),
    "/plain": ("text/plain", None, None),
    "text plain": ("text/plain", None, None),
    ";": ("text/plain", None, None),
    "text/plain; charset": ("text/plain", None, None),
    "text/plain; charset=": ("text/plain", "", None),
    "application/pdf; name=report(1).pdf": ("application/pdf", None, "report(1).pdf"),
    "application/pdf; name=a b.pdf; x=y": ("application/pdf", None, "a b.pdf"),
    'application/pdf; name="a;b.pdf"': ("application/pdf", None, "a;b.pdf"),
    'application/pdf; name="a.pdf': ("application/pdf", None, "a.pdf"),
    "application/pdf; name==?utf-8?q?=C3=BC.pdf?=": ("application/pdf", None, "ü.pdf"),
    'application/pdf; name="=?utf-8?q?a?=\n =?utf-8?q?b.pdf?="': ("application/pdf", None, "ab.pdf"),
    "application/pdf; name*0*=utf-8''%C3; name*1*=%BC.pdf": ("application/pdf", None, "ü.pdf"),
    "application/pdf; name*1=b.pdf; name*0=a": ("application/pdf", None, "ab.pdf"),
    "application/pdf; name=x.pdf; name*=iso-8859-1'de'%FC.pdf": ("application/pdf", None, "ü.pdf"),
}


@each("content_type", ODD_TYPES)
def test_odd_types_are_read_as_mail_programs_read_them(content_type):
    message = inbound.parse(mail("x\n", headers=f"Content-Type: {content_type}\n"))
    found = message.get_content_type(), message.get_content_charset(), message.get_param("name")
    assert found == ODD_TYPES[content_type]


def test_file_name_with_a_blank_needs_no_quotes():
    message = inbound.parse(mail("x\n", headers="Content-Disposition: attachment; filename=a b.pdf\n"))
    assert message.get_filename() == "a b.pdf"


@each("content_type, disposition", list(product(TYPES, DISPOSITIONS)))
def test_headers_are_read_as_anymail_reads_them(content_type, disposition):
    headers = f"Content-Type: {content_type}\n"
    if disposition is not None:
        headers += f"Content-Disposition: {disposition}\n"
    assert_same_as_anymail(mail("Hello\n", headers=headers))


def assert_same_as_anymail(content):
    ours, anymails = inbound.parse(content), AnymailInboundMessage.parse_raw_mime_bytes(content)
    try:
        wanted = seen(anymails)
    except Exception:
        seen(ours)  # where Anymail's raises, ours reads on
    else:
        assert seen(ours) == wanted


name = st.text(st.sampled_from("ab-_."), min_size=1, max_size=5)
token = st.text(st.sampled_from("ab-_."), min_size=1, max_size=5)
value = token | st.text(st.sampled_from("ab =?*%.'/;(ü"), max_size=6).map(lambda text: f'"{text}"')
parameter = st.builds("{}{}={}".format, st.sampled_from(["; ", ";", " ;\n "]), name, value)
content_type = st.builds(
    "{}/{}{}".format,
    st.sampled_from(["text", "TEXT", "a-b"]),
    st.sampled_from(["plain", "x.y"]),
    st.lists(parameter, max_size=3).map("".join),
)


@given(content_type, st.booleans())
def test_any_parameters_are_read_as_anymail_reads_them(header, is_disposition):
    name = "Content-Disposition" if is_disposition else "Content-Type"
    assert_same_as_anymail(mail("Hello\n", headers=f"{name}: {header}\n"))


def read_everything(message):
    for part in message.walk():
        seen(part)
        if part.get_content_maintype() != "multipart":
            part.get_content_bytes()
            part.get_content_text()
    return (
        message.from_email,
        message.to,
        message.cc,
        message.bcc,
        message.date,
        message.inlines,
        message.content_id_map,
        [*message.items()],
        [message.get_all(name) for name in message],
    )


FRAGMENTS = [
    "Subject: Hi\n",
    "From: ",
    "To: a@b.example",
    "Date: Tue, 3 Jan 2023 1:2:3 +0100\n",
    "Cc: =?utf-8?q?=C3?= <",
    "\n",
    "Content-Type: multipart/mixed; boundary=b\n",
    "Content-Type: text/plain; charset=",
    "--b\n",
    "--b--\n",
    " ",
    ";",
    "Content-Transfer-Encoding: base64\n",
    "Content-Transfer-Encoding: x-uuencode\n",
    "begin 666 a\n",
    "Message-ID: <",
    "Content-Type: message/rfc822\n",
    "Content-Disposition: attachment; filename*0*=",
    "=?",
    "?=",
    "Content-ID: <a",
    "\0",
    "Content-Type: message/delivery-status\n",
    "utf-16",
    "@",
    "<",
    ">",
    ",",
    ":",
    '"',
    "(",
    "ü",
    "\r",
    "9" * 20,
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5)).map("".join) | st.binary(max_size=300))
def test_no_mail_is_too_odd(content):
    content = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    event = raw(content)
    read_everything(event.message)
    read_everything(inbound.parse(content, headers_only=True))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
hostile = st.fixed_dictionaries(
    {"id": st.integers(0, 10) | anything, "rcpt_to": st.text() | anything},
    optional={
        **dict.fromkeys(
            [*(HASH.keys() - {"id", "rcpt_to"}), "message", "base64", "replies_from_plain_body"],
            st.text() | anything,
        ),
        "attachments": st.lists(
            st.fixed_dictionaries({}, optional=dict.fromkeys(ATTACHMENT, st.text() | anything)), max_size=2
        ),
        "attachments[0][data]": st.text(),
    },
)


@given(hostile | st.dictionaries(st.text(), anything))
def test_any_fields_are_a_mail_or_unreadable(fields):
    try:
        event = inbound.read(fields)
    except UnreadableBody:
        return
    read_everything(event.message)


# --- the recording ---

FOUR_FORMATS = ("in", "hash-form", "raw-json", "raw-form")
# Where formats cannot agree: Postal cuts a Hash subject at 200 characters, drops Content-IDs and all but the
# last Reply-To, and replaces or cannot post 8-bit text without a charset.
LONG_SUBJECT, UNDECLARED = "subject-long", ("reply-french", "body-latin1-undeclared", "subject-latin1-8bit")


def recorded_mails():
    """The same mail by endpoint, by its name in the recording."""
    found = defaultdict(dict)
    for post in MAILS:
        event = inbound.read(body.parse(post.body, post.content_type))
        name, _, _ = str(event.message["Message-ID"] or "<no-subject-no-id--").strip("<>").partition("--")
        if post.endpoint in FOUR_FORMATS and "--" in str(event.message["Message-ID"] or "--"):
            found[name][post.endpoint] = event
    return found


RECORDED = recorded_mails()


def contents(name, event):
    message = event.message
    files = [*message.attachments, *message.inlines]
    subject = (message.subject or "").partition("--")[0]
    return {
        "subject": subject[:200] if name == LONG_SUBJECT else subject,
        "text": None if name in UNDECLARED else (message.text or "").partition("--")[0],
        "html": message.html,
        "files": [
            (each.get_filename(), each.get_content_type(), each.get_content_bytes())
            for each in files
            if each.get_filename("")  # Postal's Hash has no others
        ],
        "from": str(message.from_email),
        "to": [str(each) for each in message.to],
        "cc": [str(each) for each in message.cc],
        "date": message.date,
        "in_reply_to": message["In-Reply-To"],
        "references": message["References"],
        "envelope": (message.envelope_sender, message.envelope_recipient.partition("@")[2]),
        "spam": message.spam_detected,
        "automatic": event.postal.is_auto_response,
    }


def test_recording_has_the_same_mails_in_four_formats():
    assert len(RECORDED) >= 17
    complete = [name for name, formats in RECORDED.items() if set(formats) == set(FOUR_FORMATS)]
    assert len(complete) >= 16


@each("name", RECORDED)
def test_recorded_mail_is_the_same_in_all_formats(name):
    formats = RECORDED[name]
    first, *others = (contents(name, event) for event in formats.values())
    for other in others:
        assert other == first


def test_every_recorded_mail_is_read():
    for post in MAILS:
        event = inbound.read(body.parse(post.body, post.content_type))
        assert event.postal.id == event.event_id
        assert event.message.envelope_recipient.lower().endswith(
            ("@example.test", "@wild.test", ".example.test")
        )
        read_everything(event.message)


def test_multipart_of_8_bit_text_without_parts_is_written_as_it_came():
    raw = b"Content-Type: multipart/mixed; boundary=b\n\nSch\xc3\xb6n\n"
    assert inbound.parse(raw).as_bytes() == raw


def test_charset_with_a_nul_in_its_name_is_unknown():
    message = inbound.parse(b"Content-Type: text/plain; charset=utf\0-8\n\nSch\xc3\xb6n\n")
    assert message.text == "Schön\n"
    assert inbound.parse(message.as_string().encode()).text == "Schön\n"


@pytest.mark.parametrize("name", ["Content-Type", "Content-Disposition"])
def test_long_names_of_parameters_do_not_keep_python_folding_for_ever(name):
    raw = f"{name}: text/plain;\n {'n' * 80}=\xfc\n\nx\n".encode("latin-1")
    message = inbound.parse(raw)
    assert message.as_bytes() == raw
    assert "n" * 80 in message.as_string()
    post = {**HASH, "attachments": [{"content_type": f"a/b; {'n' * 80}=\xfc", "data": ""}]}
    assert b"n" * 80 in inbound.read(post).message.as_bytes()
