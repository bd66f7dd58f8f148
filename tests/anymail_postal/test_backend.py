"""The default mode, auto, and raw: which call carries a mail, what is in it, what becomes of recipients."""

from __future__ import annotations

import base64
import email
import email.policy
import pickle
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.message import EmailMessage as RawMail
from pathlib import Path
from typing import Any

import django.core.mail
import pytest
import requests
import responses
from anymail.exceptions import (
    AnymailConfigurationError,
    AnymailRecipientsRefused,
    AnymailSerializationError,
    AnymailUnsupportedFeature,
)
from anymail.message import AnymailMessage, attach_inline_image
from django.core.mail import EmailMessage
from django.template import TemplateDoesNotExist

from anymail_postal import conf, errors, metadata
from anymail_postal.backend import EmailBackend
from anymail_postal.ports import ScheduledSend, SentMessage
from tests.each import each

from .answers import KEY, URL, FakePostal, answer, error, success


class FakeStore:
    """Remembers what it is told."""

    def __init__(self, suppressed: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.sent: list[tuple[str, SentMessage]] = []
        self.scheduled: list[ScheduledSend] = []
        self.suppressions = suppressed

    def record_sent(self, server: str, messages: Any) -> None:
        self.sent += [(server, message) for message in messages]

    def schedule(self, sends: Any) -> None:
        self.scheduled += sends

    def suppressed(self, server: str, addresses: Any) -> set[str]:
        return {address for address in addresses if address in self.suppressions}


@pytest.fixture
def postal(monkeypatch: pytest.MonkeyPatch) -> FakePostal:
    return FakePostal().install(monkeypatch)


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "store", lambda: None)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    found = FakeStore()
    monkeypatch.setattr(conf, "store", lambda: found)
    return found


def mail(**fields: Any) -> AnymailMessage:
    defaults = {
        "subject": "Subject", "body": "Body", "from_email": "from@example.test", "to": ["to@example.test"],
    }  # fmt: skip
    return AnymailMessage(**{**defaults, **fields})


def with_attachment(*attachment: Any, **fields: Any) -> AnymailMessage:
    message = mail(**fields)
    message.attach(*attachment)
    return message


def with_alternative(content: str, kind: str, **fields: Any) -> AnymailMessage:
    message = mail(**fields)
    message.attach_alternative(content, kind)
    return message


def with_inline_image(**fields: Any) -> AnymailMessage:
    message = with_alternative("<img src='cid:dot'>", "text/html", **fields)
    attach_inline_image(message, b"\x89PNG", filename="dot.png", subtype="png")
    return message


def send(message: EmailMessage, **options: Any) -> int:
    backend = EmailBackend(**{"api_key": KEY, "api_url": URL, **options})
    return backend.send_messages([message])  # type: ignore[no-any-return]


def raw_mail(body: dict[str, Any]) -> RawMail:
    return email.message_from_bytes(base64.b64decode(body["data"]), policy=email.policy.default)  # type: ignore[return-value]


# --- which call ---


def attached_mail() -> AnymailMessage:
    return with_attachment("m.eml", b"Subject: x\n\nHello", "message/rfc822")


NEEDS_RAW = {
    "inline image": with_inline_image,
    "amp": lambda: with_alternative("<html amp4email>", "text/x-amp-html"),
    "calendar": lambda: with_alternative("BEGIN:VCALENDAR", "text/calendar; method=REQUEST"),
    "watch": lambda: with_alternative("<b>w</b>", "text/watch-html"),
    "message-id": lambda: mail(headers={"message-id": "<own@example.test>"}),
    "metadata": lambda: mail(metadata={"user": 7}),
    "spoofed to": lambda: mail(headers={"To": "Readers <list@example.test>"}),
    "51 to": lambda: mail(to=[f"r{index}@example.test" for index in range(51)]),
    "51 cc": lambda: mail(cc=[f"r{index}@example.test" for index in range(51)]),
    "51 bcc": lambda: mail(bcc=[f"r{index}@example.test" for index in range(51)]),
    "two authors": lambda: mail(from_email="a@b.test, C <c@d.test>"),
    "attached mail": attached_mail,
    "empty attachment": lambda: with_attachment("a.bin", b"", "application/octet-stream"),
    "blank attachment": lambda: with_attachment("a.txt", " \n", "text/plain"),
    "7-bit data with bare LF": lambda: with_attachment("a.json", b"{\n}", "application/json"),
    "7-bit data with bare CR": lambda: with_attachment("a.json", b"{\r}\r\n", "application/json"),
    "no body": lambda: mail(body=""),
    "blank body": lambda: mail(body=" \n"),
    "only an attachment": lambda: with_attachment("a.pdf", b"\xff", "application/pdf", body=""),
    "asked for": lambda: mail(esp_extra={"api": "raw"}),
}

NEEDS_NOT = {
    "plain": mail,
    "html": lambda: with_alternative("<p>x", "text/html"),
    "empty text beside html": lambda: with_alternative("<p>x", "text/html", body=""),
    "50 to": lambda: mail(to=[f"r{index}@example.test" for index in range(50)]),
    "reply-tos": lambda: mail(reply_to=["a@b.test", "C <c@d.test>"]),
    "8-bit attachment": lambda: with_attachment("a.pdf", b"\xff\n", "application/pdf"),
    "7-bit data with CRLF": lambda: with_attachment("a.json", b"{\r\n}", "application/json"),
    "text attachment": lambda: with_attachment("a.csv", "a\nb\n", "text/csv"),
    "empty metadata": lambda: mail(metadata={}),
    "empty merge data": lambda: mail(merge_data={}),
    "asked for": lambda: mail(esp_extra={"api": "message"}),
}


@pytest.mark.parametrize("case", NEEDS_RAW)
def test_what_send_message_cannot_carry_goes_raw(postal: FakePostal, case: str) -> None:
    message = NEEDS_RAW[case]()
    assert send(message) == 1
    assert postal.endpoints == ["send/raw"]
    assert set(message.anymail_status.status) == {"queued"}
    assert len(message.anymail_status.recipients) == len(message.recipients())
    assert not raw_mail(postal.body).defects


@pytest.mark.parametrize("case", NEEDS_NOT)
def test_all_else_goes_by_send_message(postal: FakePostal, case: str) -> None:
    message = NEEDS_NOT[case]()
    assert send(message) == 1
    assert postal.endpoints == ["send/message"]
    assert message.anymail_status.status == {"queued"}


@pytest.mark.parametrize("case", NEEDS_NOT)
def test_raw_mode_sends_everything_raw(postal: FakePostal, case: str) -> None:
    message = NEEDS_NOT[case]()
    assert send(message, api="raw") == 1
    assert postal.endpoints == (["send/message"] if case == "asked for" else ["send/raw"])


def test_an_unknown_api_is_an_error(postal: FakePostal) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match="'smtp'"):
        send(mail(esp_extra={"api": "smtp"}))


def test_message_asked_for_a_mail_that_needs_raw_is_unsupported(postal: FakePostal) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match="metadata"):
        send(mail(metadata={"a": 1}, esp_extra={"api": "message"}))
    assert postal.calls == []


# --- send/message ---


MESSAGE_BODIES = {
    "reply-tos": (NEEDS_NOT["reply-tos"](), {"reply_to": "a@b.test, C <c@d.test>"}),
    "none-header": (mail(headers={"X-None": None, "X-Int": 5}), {"headers": {"X-Int": 5}}),
    "sender-header": (mail(headers={"sender": "S <s@b.test>"}), {"sender": "S <s@b.test>", "headers": None}),
    "envelope-sender": (mail(envelope_sender="e@b.test"), {"sender": "e@b.test"}),
    "both-senders": (
        mail(envelope_sender="e@b.test", headers={"Sender": "s@b.test"}),
        {"sender": "s@b.test"},
    ),
    "reply-to-header": (mail(headers={"Reply-To": "r@b.test"}), {"reply_to": "r@b.test", "headers": None}),
    "date-header": (mail(headers={"Date": "now"}), {"headers": {"Date": "now"}}),
    "otherwise-written": (
        mail(headers={"X-Postal-MsgID": "x", "Subject": "y", "Content-Type": "z", "Bcc": "b@b.test"}),
        {"headers": None, "subject": "Subject"},
    ),
    "unnamed-attachment": (
        with_attachment(None, b"\xff", "application/pdf"),
        {"attachments": [{"name": "attachment.pdf", "data": "/w==", "content_type": "application/pdf"}]},
    ),
    "unnamed-text": (
        with_attachment(None, "x", "text/plain"),
        {
            "attachments": [
                {"name": "attachment.txt", "data": "eA==", "content_type": 'text/plain; charset="utf-8"'}
            ]
        },
    ),
    "unnamed-odd": (
        with_attachment(None, b"\xff", "application/x-odd"),
        {"attachments": [{"name": "attachment", "data": "/w==", "content_type": "application/x-odd"}]},
    ),
    "empty-text": (NEEDS_NOT["empty text beside html"](), {"plain_body": None, "html_body": "<p>x"}),
    "no-subject": (mail(subject=""), {"subject": ""}),
    "tag": (mail(tags=["one"]), {"tag": "one"}),
    "duplicates": (
        mail(to=["a@b.test", "A@B.test", "c@d.test"], cc=["a@b.test", "e@f.test"], bcc=["E <e@f.test>"]),
        {"to": ["a@b.test", "c@d.test"], "cc": ["e@f.test"], "bcc": None},
    ),
    "esp-extra": (
        mail(esp_extra={"bounce": True, "tag": "t", "api": "auto", "metadata": "auto"}),
        {"bounce": True, "tag": "t", "api": None, "metadata": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MESSAGE_BODIES)
def test_the_body_of_send_message(postal: FakePostal, case: str) -> None:
    message, expected = MESSAGE_BODIES[case]
    assert send(message) == 1
    assert {key: postal.body.get(key) for key in expected} == expected
    assert message.anymail_status.status == {"queued"}


@each(
    "fields",
    [
        {"subject": "a\nb"},
        {"headers": {"X-A": "a\nb"}},
        {"headers": {"X-A\nB": "a"}},
        {"headers": {"X-A: b": "a"}},
        {"headers": {"Sender": "a@b.test\nX: y"}},
        {"headers": {"Message-ID": "<a\n@b>"}},
        {"headers": {"Message-ID": f"<{'a' * 250}@b.test>"}},
        {"headers": {"Message-ID": "<>"}},
        {"headers": {"Message-ID": "<a b@c.test>"}},
        {"headers": {"Message-ID": "<ä@c.test>"}},
    ],
    ids=str,
)  # fmt: skip
def test_headers_that_cannot_be_written_are_refused(postal: FakePostal, fields: dict[str, Any]) -> None:
    with pytest.raises(errors.PostalHeaderError):
        send(mail(**fields))
    assert postal.calls == []


PROMISED = ValueError if django.VERSION >= (6, 0) else django.core.mail.BadHeaderError
LINE_BREAKS = {
    "from": {"from_email": "a@b.test\nBcc: x@y.test"},
    "from, CR": {"from_email": "a@b.test\r"},
    "name": {"from_email": "Ann\nBcc: x@y.test <a@b.test>"},
    "quoted name": {"to": ['"Ann\r\n Bo" <a@b.test>']},
    "to": {"to": ["a@b.test\nBcc: x@y.test"]},
    "to, at the end": {"to": ["good@b.test", "a@b.test\n"]},
    "to, CRLF": {"to": ["a@b.test\r\nBcc: x@y.test"]},
    "cc": {"cc": ["a@b.test\n\nHello"]},
    "bcc": {"bcc": ["a@b.test,\nc@d.test"]},
    "reply_to": {"reply_to": ["a@b.test\nBcc: x@y.test"]},
    "envelope_sender": {"envelope_sender": "a@b.test\nX: y"},
    "From header": {"headers": {"From": "a@b.test\nX: y"}},
    "To header": {"headers": {"To": "a@b.test\nX: y"}},
    "Reply-To header": {"headers": {"Reply-To": "a@b.test\nX: y"}},
}


@each("api", ["auto", "raw", "message"])
@each("fields", LINE_BREAKS.values(), ids=LINE_BREAKS)
def test_line_breaks_in_addresses_are_refused_as_django_promises(
    postal: FakePostal, fields: dict[str, Any], api: str
) -> None:
    with pytest.raises(PROMISED) as raised:
        send(mail(**fields), api=api)
    assert isinstance(raised.value, errors.PostalHeaderError)
    assert postal.calls == []


@each(
    "fields",
    [
        {"subject": "a\nb"},
        {"subject": "a\r"},
        {"headers": {"X-A": "a\r\nb"}},
        {"headers": {"Subject": "a\nX: y"}},
        {"headers": {"Content-Type": "text/plain\nX: y"}},
    ],
    ids=str,
)
def test_line_breaks_in_headers_are_refused_as_django_promises(
    postal: FakePostal, fields: dict[str, Any]
) -> None:
    with pytest.raises(PROMISED):
        send(mail(**fields))
    assert postal.calls == []


UNICODE_ADDRESS = "jürgen@bücher.test"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"metadata": {"order": 7}},
        {"esp_extra": {"api": "raw"}},
        {"headers": {"Message-ID": "<a@b.test>"}},
    ],
    ids=["message", "metadata", "raw", "own-id"],
)
def test_local_parts_may_be_unicode(postal: FakePostal, fields: dict[str, Any]) -> None:
    message = mail(
        from_email=f"Jürgen <{UNICODE_ADDRESS}>",
        to=[UNICODE_ADDRESS, "用户@b.test"],
        reply_to=[UNICODE_ADDRESS],
        **fields,
    )
    send(message)
    written = ["jürgen@xn--bcher-kva.test", "用户@b.test"]
    body = postal.body
    assert body.get("rcpt_to", body.get("to")) == written
    assert message.anymail_status.status == {"queued"}
    assert message.anymail_status.recipients.keys() == {UNICODE_ADDRESS, "用户@b.test"}
    if "data" in body:
        raw = base64.b64decode(body["data"])
        found = email.message_from_string(raw.decode(), policy=email.policy.default)
        assert [each.addr_spec for each in found["To"].addresses] == written
        assert found["From"].addresses[0].addr_spec == found["Reply-To"].addresses[0].addr_spec == written[0]


def test_the_key_is_not_taken_along_by_a_redirect(settings: Any) -> None:
    with responses.RequestsMock() as mock:
        mock.post(f"{URL}/api/v1/send/message", status=307, headers={"Location": "https://evil.test/"})
        with pytest.raises(errors.PostalResponseError, match="307"):
            send(mail())
        assert [call.request.url for call in mock.calls] == [f"{URL}/api/v1/send/message"]


# --- send/raw ---


def test_the_body_of_send_raw(postal: FakePostal) -> None:
    message = with_inline_image(
        from_email="Ann <ann@bücher.test>",
        to=["Bö <b@b.test>", "b@b.test"],
        cc=["c@b.test"],
        bcc=["d@b.test"],
        reply_to=["r@b.test", "s@b.test"],
        subject="Grüße",
        tags=["welcome"],
        headers={"Message-ID": "<own@b.test>", "References": "<x@y>", "X-Int": 5, "X-Postal-Tag": "other"},
    )
    message.attach(None, b"%PDF\n", "application/pdf")
    send(message)
    body = postal.body
    assert body.keys() == {"mail_from", "rcpt_to", "data"}
    assert body["mail_from"] == "ann@xn--bcher-kva.test"
    assert body["rcpt_to"] == ["b@b.test", "c@b.test", "d@b.test"]
    found = raw_mail(body)
    assert {name: found[name] for name in set(found.keys()) - {"Date", "Content-Type"}} == {
        "From": "Ann <ann@xn--bcher-kva.test>",
        "To": "Bö <b@b.test>",
        "Cc": "c@b.test",
        "Reply-To": "r@b.test, s@b.test",
        "Message-ID": "<own@b.test>",
        "Subject": "Grüße",
        "References": "<x@y>",
        "X-Int": "5",
        "X-Postal-Tag": "welcome",
        "MIME-Version": "1.0",
    }
    assert [part.get_content_type() for part in found.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html",
        "image/png", "application/pdf",
    ]  # fmt: skip
    (pdf,) = found.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ("attachment.pdf", b"%PDF\n")
    image = list(found.walk())[5]
    assert image.get_filename() == "dot.png"
    assert image["Content-ID"].endswith(".img@inline>")


def test_every_raw_mail_has_an_id_and_a_date(postal: FakePostal) -> None:
    send(mail(), api="raw")
    send(mail(headers={"Date": "Mon, 1 Jan 2024 00:00:00 +0100"}), api="raw", message_id_domain="ids.test")
    first, second = map(raw_mail, postal.bodies)
    assert first["Message-ID"].endswith("@example.test>")
    assert abs(first["Date"].datetime - datetime.now(timezone.utc)) < timedelta(minutes=1)
    assert second["Message-ID"].endswith("@ids.test>")
    assert b"Date: Mon, 1 Jan 2024 00:00:00 +0100\r\n" in base64.b64decode(postal.bodies[1]["data"])


RAW_SENDERS = {
    "from": ({}, "from@example.test", None),
    "envelope": ({"envelope_sender": "E <e@b.test>"}, "e@b.test", None),
    "header": ({"headers": {"Sender": "S <s@b.test>"}}, "s@b.test", "S <s@b.test>"),
    "esp-extra": ({"esp_extra": {"sender": "S <s@b.test>"}}, "s@b.test", "S <s@b.test>"),
    "two": ({"envelope_sender": "e@b.test", "esp_extra": {"sender": "s@b.test"}}, "e@b.test", "s@b.test"),
    "authors": ({"from_email": "A <a@b.test>, c@d.test"}, "a@b.test", "A <a@b.test>"),
    "from-header": ({"headers": {"From": "h@b.test"}}, "from@example.test", None),
}


@pytest.mark.parametrize("case", RAW_SENDERS)
def test_senders_of_raw_mail(postal: FakePostal, case: str) -> None:
    fields, mail_from, sender = RAW_SENDERS[case]
    send(mail(**fields), api="raw")
    assert postal.body["mail_from"] == mail_from
    assert raw_mail(postal.body)["Sender"] == sender
    assert "sender" not in postal.body


def test_esp_extra_is_merged_into_raw_calls(postal: FakePostal) -> None:
    send(mail(esp_extra={"bounce": True, "api": "raw"}))
    assert postal.body["bounce"] is True
    assert "api" not in postal.body


def test_a_spoofed_to_is_the_header_only(postal: FakePostal) -> None:
    send(mail(to=["real@b.test"], headers={"To": "Jürgens Liste <list@b.test>"}))
    assert postal.body["rcpt_to"] == ["real@b.test"]
    assert raw_mail(postal.body)["To"] == "Jürgens Liste <list@b.test>"


def test_a_cc_header_takes_the_place_of_the_recipients(postal: FakePostal) -> None:
    send(mail(cc=["real@b.test"], headers={"Cc": "list@b.test"}), api="raw")
    assert postal.body["rcpt_to"] == ["to@example.test", "real@b.test"]
    assert raw_mail(postal.body)["Cc"] == "list@b.test"


def test_send_defaults_reach_raw_mail(postal: FakePostal, settings: Any) -> None:
    settings.ANYMAIL = {
        "SEND_DEFAULTS": {"subject": "Default", "tags": ["general"], "esp_extra": {"api": "raw"}}
    }
    message = mail()
    del message.subject
    send(message)
    found = raw_mail(postal.body)
    assert (found["Subject"], found["X-Postal-Tag"]) == ("Default", "general")


# --- tags and tracking ---


@pytest.mark.parametrize(
    ("tags", "options", "tag"),
    [
        (["a", "b"], {"tag_separator": "|"}, "a|b"),
        (["a"], {"tag_separator": "|"}, "a"),
        (["a", "b"], {"ignore_unsupported_features": True}, "a"),
        (["t" * 300], {"ignore_unsupported_features": True}, "t" * 255),
        ([], {}, None),
    ],
    ids=["joined", "one", "first", "cut", "none"],
)
def test_tags(postal: FakePostal, tags: list[str], options: dict[str, Any], tag: str | None) -> None:
    send(mail(tags=tags), **options)
    assert postal.body.get("tag") == tag


@pytest.mark.parametrize(
    ("tags", "options"),
    [(["a", "b"], {}), (["t" * 256], {}), (["t" * 200, "u" * 60], {"tag_separator": "|"})],
    ids=["two", "long", "long-together"],
)
def test_tags_that_postal_cannot_keep(postal: FakePostal, tags: list[str], options: dict[str, Any]) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match="tags"):
        send(mail(tags=tags), **options)


TRACKING = [
    # what the server does, what the mail asks for, clicks supported?, opens supported?
    (None, True, False, False),
    (None, False, False, False),
    ("off", True, False, False),
    ("off", False, True, True),
    ("on", True, True, True),
    ("on", False, True, False),
]


@each("server, wanted, clicks, opens", TRACKING)
def test_tracking_switches(
    postal: FakePostal, server: str | None, wanted: bool, clicks: bool, opens: bool
) -> None:
    options = {"click_tracking": server, "open_tracking": server}
    for feature, is_supported in (("track_clicks", clicks), ("track_opens", opens)):
        message = mail(**{feature: wanted})
        if is_supported:
            assert send(message, **options) == 1
        else:
            with pytest.raises(AnymailUnsupportedFeature, match=feature):
                send(message, **options)


def test_links_are_hidden_from_click_tracking(postal: FakePostal) -> None:
    html = """<a href="https://a.test/">https://a.test/</a> <a href='http://b.test'>b</a>"""
    image = """<img src="https://c.test">"""
    text = "See https://a.test/ and http://b.test"
    message = with_alternative(html + image, "text/html", body=text, track_clicks=False)
    send(message, click_tracking="on")
    assert postal.body["plain_body"] == "See https+notrack://a.test/ and http+notrack://b.test"
    hidden = """<a href="https+notrack://a.test/">https://a.test/</a> <a href='http+notrack://b.test'>b</a>"""
    assert postal.body["html_body"] == hidden + image


@pytest.mark.parametrize(
    ("html", "hidden"),
    [
        ("<a href=https://a.test>", "<a href=https+notrack://a.test>"),
        ("<A HREF = ' HTTPS://a.test'>", "<A HREF = ' https+notrack://a.test'>"),
        ("<a href='mailto:a@b.test'>", "<a href='mailto:a@b.test'>"),
    ],
)
def test_links_are_hidden_however_they_are_written(postal: FakePostal, html: str, hidden: str) -> None:
    send(with_alternative(html, "text/html", track_clicks=False), click_tracking="on")
    assert postal.body["html_body"] == hidden


# --- metadata ---


def sealed(body: dict[str, Any]) -> dict[str, Any] | None:
    return metadata.open_message_id(raw_mail(body)["Message-ID"], conf.secret_keys(conf.server()))


def test_metadata_travels_in_the_message_id(postal: FakePostal) -> None:
    send(mail(metadata={"user": 7, "kind": "welcome"}))
    assert sealed(postal.body) == {"user": 7, "kind": "welcome"}
    assert "welcome" not in base64.b64decode(postal.body["data"]).decode()


def test_two_mails_are_sealed_differently(postal: FakePostal) -> None:
    send(mail(metadata={"user": 7}))
    send(mail(metadata={"user": 7}))
    first, second = (raw_mail(body)["Message-ID"] for body in postal.bodies)
    assert first != second


OWN_ID = {"Message-ID": "<own@example.test>"}
BIG = {"note": "x" * 300}


@each(
    "fields, channel",
    [({"metadata": BIG}, "auto"), ({"metadata": {"a": 1}, "headers": OWN_ID}, "auto"),
     ({"metadata": BIG}, "message_id"), ({"metadata": {"a": 1}, "headers": OWN_ID}, "message_id")],
    ids=["big", "own-id", "big-no-choice", "own-id-no-choice"],
)  # fmt: skip
def test_metadata_without_room(postal: FakePostal, fields: dict[str, Any], channel: str) -> None:
    with pytest.raises(errors.PostalMetadataTooLarge, match="bytes") as raised:
        send(mail(**fields), metadata=channel)
    assert "anymail_postal.contrib.store" in str(raised.value)
    assert postal.calls == []


@pytest.mark.parametrize(
    ("fields", "endpoint"),
    [({"metadata": BIG}, "send/message"), ({"metadata": {"a": 1}, "headers": OWN_ID}, "send/raw")],
    ids=["big", "own-id"],
)
def test_metadata_without_room_is_stored(
    postal: FakePostal, store: FakeStore, fields: dict[str, Any], endpoint: str
) -> None:
    send(mail(**fields))
    assert postal.endpoints == [endpoint]
    ((server, sent),) = store.sent
    assert (server, sent.postal_id, sent.metadata) == ("default", 1, fields["metadata"])


@pytest.mark.parametrize(
    "options", [{"metadata": "store"}, {"esp": {"metadata": "store"}}], ids=["setting", "esp-extra"]
)
def test_metadata_kept_in_the_store_leaves_send_message(
    postal: FakePostal, store: FakeStore, options: dict[str, Any]
) -> None:
    extra = {"esp_extra": options.pop("esp")} if "esp" in options else {}
    send(mail(metadata={"a": 1}, tags=["t"], **extra), **options)
    assert postal.endpoints == ["send/message"]
    assert "metadata" not in postal.body
    ((_, sent),) = store.sent
    assert sent == SentMessage(
        1, "token1", "to@example.test", "made@rp.example.test", "Subject", "t", {"a": 1}
    )


def test_the_message_id_even_with_a_store(postal: FakePostal, store: FakeStore) -> None:
    with pytest.raises(errors.PostalMetadataTooLarge):
        send(mail(metadata=BIG, esp_extra={"metadata": "message_id"}))


def test_metadata_for_a_store_that_is_not_there(postal: FakePostal) -> None:
    with pytest.raises(AnymailConfigurationError, match=r"anymail_postal\.contrib\.store"):
        send(mail(metadata={"a": 1}), metadata="store")


def test_an_unknown_channel(postal: FakePostal) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match="'header'"):
        send(mail(metadata={"a": 1}, esp_extra={"metadata": "header"}))


def test_metadata_that_json_cannot_say(postal: FakePostal) -> None:
    with pytest.raises(AnymailSerializationError, match="Decimal"):
        send(mail(metadata={"price": Decimal("1.5")}))
    assert postal.calls == []


# --- batches ---


def test_a_batch_is_one_call_for_each_to(postal: FakePostal) -> None:
    message = mail(
        to=["Ann <a@b.test>", "c@d.test"],
        cc=["cc@b.test"],
        metadata={"kind": "news"},
        merge_metadata={"a@b.test": {"user": 1}, "c@d.test": {"user": 2}},
        merge_headers={"a@b.test": {"List-Unsubscribe": "<https://b.test/u/1>", "X-None": None}},
    )
    assert send(message) == 1
    assert postal.endpoints == ["send/raw"] * 2
    assert [body["rcpt_to"] for body in postal.bodies] == [
        ["a@b.test", "cc@b.test"],
        ["c@d.test", "cc@b.test"],
    ]
    assert [sealed(body) for body in postal.bodies] == [
        {"kind": "news", "user": 1}, {"kind": "news", "user": 2},
    ]  # fmt: skip
    first, second = map(raw_mail, postal.bodies)
    assert (first["To"], second["To"]) == ("Ann <a@b.test>", "c@d.test")
    assert first["Cc"] == "cc@b.test"
    assert first["List-Unsubscribe"] == "<https://b.test/u/1>"
    assert second["List-Unsubscribe"] is None
    status = message.anymail_status
    assert status.status == {"queued"}
    assert status.recipients["a@b.test"].message_id == 1
    assert status.recipients["c@d.test"].message_id == 3
    assert len(status.postal_responses) == 2
    assert status.esp_response is status.postal_responses[-1]


@pytest.mark.parametrize("kind", ["merge_data", "merge_headers", "merge_metadata"])
def test_even_an_empty_merge_means_a_batch(postal: FakePostal, kind: str) -> None:
    send(mail(to=["a@b.test", "c@d.test"], **{kind: {}}))
    assert postal.endpoints == ["send/message"] * 2
    assert [body["to"] for body in postal.bodies] == [["a@b.test"], ["c@d.test"]]


def test_a_batch_with_cc_alone_is_one_call(postal: FakePostal) -> None:
    send(mail(to=[], cc=["a@b.test"], merge_data={}))
    assert postal.body["cc"] == ["a@b.test"]


def test_personal_reply_tos(postal: FakePostal) -> None:
    send(mail(to=["a@b.test"], merge_headers={"a@b.test": {"Reply-To": "r@b.test, s@b.test"}}))
    assert postal.body["reply_to"] == "r@b.test, s@b.test"


def test_a_failed_call_of_a_batch_fails_its_recipient_only(
    postal: FakePostal, caplog: pytest.LogCaptureFixture
) -> None:
    message = mail(to=["a@b.test", "c@d.test", "e@f.test"], merge_data={})
    postal.answers = [success("a@b.test"), error("NoContent"), requests.ConnectionError("down")]
    assert send(message) == 1
    recipients = message.anymail_status.recipients
    assert [status.status for status in recipients.values()] == ["queued", "failed", "failed"]
    assert message.anymail_status.message_id == 1
    assert repr(message.anymail_status)
    assert "NoContent" in caplog.text
    assert "down" in caplog.text


def test_a_mail_of_a_batch_that_cannot_be_made_fails_its_recipient_only(postal: FakePostal) -> None:
    message = mail(to=["a@b.test", "c@d.test"], merge_metadata={"a@b.test": BIG, "c@d.test": {"n": 1}})
    assert send(message) == 1
    assert message.anymail_status.recipients["a@b.test"].status == "failed"
    assert message.anymail_status.recipients["c@d.test"].status == "queued"


def test_a_batch_raises_if_all_calls_fail(postal: FakePostal) -> None:
    message = mail(to=["a@b.test", "c@d.test"], merge_data={})
    postal.answers = [answer("", 500), error("NoContent")]
    with pytest.raises(errors.PostalValidationError):
        send(message)
    assert message.anymail_status.status is None


# --- templates ---


@pytest.fixture
def templates(settings: Any, tmp_path: Path) -> Path:
    (tmp_path / "emails").mkdir()
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [str(tmp_path)]}
    ]
    return tmp_path / "emails"


def test_templates_are_filled_in_for_each_recipient(postal: FakePostal, templates: Path) -> None:
    (templates / "welcome.subject.txt").write_text("Hello\n {{ name }}\n")
    (templates / "welcome.txt").write_text("Dear {{ name }} of {{ team }}")
    (templates / "welcome.html").write_text("<p>Dear {{ name }} of {{ team }}")
    message = mail(
        to=["a@b.test", "c@d.test"],
        template_id="emails/welcome",
        merge_data={"a@b.test": {"name": "Ann & Co"}, "c@d.test": {"name": "Cy", "team": "D"}},
        merge_global_data={"team": "B"},
    )
    send(message)
    first, second = postal.bodies
    assert first["subject"] == "Hello Ann & Co"
    assert first["plain_body"] == "Dear Ann & Co of B"
    assert first["html_body"] == "<p>Dear Ann &amp; Co of B"
    assert second["plain_body"] == "Dear Cy of D"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.html", {"subject": "Subject", "plain_body": "Body", "html_body": "X"}),
        ("a.txt", {"subject": "Subject", "plain_body": "X", "html_body": None}),
    ],
    ids=["html", "text"],
)
def test_what_has_no_template_stays(
    postal: FakePostal, templates: Path, name: str, expected: dict[str, Any]
) -> None:
    (templates / name).write_text("{{ x }}")
    send(mail(template_id="emails/a", merge_global_data={"x": "X"}))
    assert {key: postal.body.get(key) for key in expected} == expected


def test_a_template_that_is_not_there(postal: FakePostal, templates: Path) -> None:
    (templates / "a.subject.txt").write_text("only a subject")
    with pytest.raises(TemplateDoesNotExist, match=r"emails/a\.txt"):
        send(mail(template_id="emails/a"))


def test_templates_of_other_engines(postal: FakePostal, settings: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Dear $name")
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.dummy.TemplateStrings", "DIRS": [str(tmp_path)]}
    ]
    send(mail(template_id="a", merge_global_data={"name": "Ann"}))
    assert postal.body["plain_body"] == "Dear Ann"


def test_the_mail_itself_as_a_template(postal: FakePostal) -> None:
    message = with_alternative(
        "<p>{{ name }}",
        "text/html",
        subject="For {{ name }}",
        body="Dear {{ name }}",
        to=["a@b.test"],
        merge_data={"a@b.test": {"name": "A & B"}},
    )
    send(message, inline_merge=True)
    body = postal.body
    assert (body["subject"], body["plain_body"], body["html_body"]) == (
        "For A & B", "Dear A & B", "<p>A &amp; B",
    )  # fmt: skip


def test_a_mail_without_merge_data_is_no_template(postal: FakePostal) -> None:
    send(mail(body="{{ braces }}"), inline_merge=True)
    assert postal.body["plain_body"] == "{{ braces }}"


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"merge_data": {"to@example.test": {"a": 1}}}, "merge_data without template_id"),
        ({"merge_global_data": {"a": 1}}, "merge_global_data without template_id"),
    ],
    ids=["data", "global"],
)
def test_merge_data_needs_a_template(postal: FakePostal, fields: dict[str, Any], feature: str) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match=feature):
        send(mail(**fields))
    assert send(mail(**fields), ignore_unsupported_features=True) == 1


# --- what remains unsupported ---


@pytest.mark.parametrize(
    ("make", "feature"),
    [
        (lambda: with_alternative("x", "application/json"), "alternative part with type 'application/json'"),
        (lambda: with_alternative("x", "text/plain"), "multiple plaintext parts"),
        (lambda: mail(send_at=datetime(2030, 1, 1, tzinfo=timezone.utc)), "send_at"),
        (lambda: mail(track_clicks=True), "track_clicks"),
        (lambda: mail(track_opens=True), "track_opens"),
        (lambda: mail(tags=["a", "b"]), "multiple tags"),
    ],
    ids=["alternative", "plain", "send_at", "clicks", "opens", "tags"],
)
def test_unsupported_features(postal: FakePostal, make: Any, feature: str) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match=feature):
        send(make())
    assert postal.calls == []
    assert send(make(), ignore_unsupported_features=True) == 1


def test_a_strict_envelope_sender(postal: FakePostal) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match="envelope_sender"):
        send(mail(envelope_sender="e@b.test"), strict_envelope_sender=True)


# --- the store ---


def test_a_scheduled_mail_is_kept(postal: FakePostal, store: FakeStore) -> None:
    at = datetime(2030, 1, 1, tzinfo=timezone.utc)
    message = mail(send_at=at, tags=["t"])
    assert send(message, send_at="store") == 1
    assert postal.calls == []
    (kept,) = store.scheduled
    assert (kept.server, kept.send_at, kept.endpoint, kept.subject, kept.tag) == (
        "default", at, "send/message", "Subject", "t",
    )  # fmt: skip
    assert kept.params["to"] == ["to@example.test"]
    assert message.anymail_status.status == {"queued"}
    assert message.anymail_status.message_id is None
    assert message.anymail_status.esp_response is None


def test_a_scheduled_batch_is_kept_as_its_calls(postal: FakePostal, store: FakeStore) -> None:
    at = datetime(2030, 1, 1, tzinfo=timezone.utc)
    send(
        mail(to=["a@b.test", "c@d.test"], merge_metadata={"a@b.test": {"n": 1}}, send_at=at), send_at="store"
    )
    assert [(kept.endpoint, kept.metadata) for kept in store.scheduled] == [
        ("send/raw", {"n": 1}), ("send/message", {}),
    ]  # fmt: skip


def test_a_time_that_is_none(postal: FakePostal, store: FakeStore) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match="tomorrow"):
        send(mail(send_at="tomorrow"), send_at="store")


def test_what_json_cannot_say_is_not_scheduled(postal: FakePostal, store: FakeStore) -> None:
    at = datetime(2030, 1, 1, tzinfo=timezone.utc)
    with pytest.raises(AnymailSerializationError):
        send(mail(send_at=at, esp_extra={"odd": Decimal(1)}), send_at="store")
    assert store.scheduled == []


def test_suppressed_recipients_are_left_out(postal: FakePostal, store: FakeStore) -> None:
    store.suppressions = {"a@b.test", "e@f.test"}
    message = mail(to=["a@b.test", "c@d.test"], cc=["e@f.test"])
    assert send(message, suppression="store") == 1
    assert postal.body["to"] == ["c@d.test"]
    assert "cc" not in postal.body
    recipients = message.anymail_status.recipients
    assert [recipients[address].status for address in ("a@b.test", "c@d.test", "e@f.test")] == [
        "rejected", "queued", "rejected",
    ]  # fmt: skip


def test_suppressed_recipients_of_a_batch(postal: FakePostal, store: FakeStore) -> None:
    store.suppressions = {"a@b.test"}
    message = mail(to=["a@b.test", "c@d.test"], merge_data={})
    send(message, suppression="store")
    assert postal.body["to"] == ["c@d.test"]
    assert message.anymail_status.recipients["a@b.test"].status == "rejected"


@pytest.mark.parametrize("fields", [{}, {"merge_data": {}}], ids=["one", "batch"])
def test_a_mail_to_suppressed_recipients_only_is_refused(
    postal: FakePostal, store: FakeStore, fields: dict[str, Any]
) -> None:
    store.suppressions = {"to@example.test"}
    message = mail(**fields)
    with pytest.raises(AnymailRecipientsRefused):
        send(message, suppression="store")
    assert postal.calls == []
    assert message.anymail_status.status == {"rejected"}
    assert send(mail(), suppression="store", ignore_recipient_status=True) == 1


@pytest.mark.parametrize("options", [{"suppression": "store"}, {"send_at": "store"}], ids=str)
def test_a_store_that_is_not_there(postal: FakePostal, options: dict[str, Any]) -> None:
    with pytest.raises(AnymailConfigurationError, match=r"anymail_postal\.contrib\.store"):
        send(mail(send_at=datetime(2030, 1, 1, tzinfo=timezone.utc)), **{"send_at": "store", **options})


def test_a_database_that_fails_does_not_make_a_sent_mail_look_unsent(
    postal: FakePostal, store: FakeStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("database is down")

    monkeypatch.setattr(store, "record_sent", fail)
    message = mail()
    assert send(message) == 1
    assert message.anymail_status.status == {"queued"}
    assert "database is down" in caplog.text


# --- servers ---


@pytest.fixture
def servers(settings: Any) -> None:
    settings.ANYMAIL = {
        "POSTAL_API_KEY": KEY,
        "POSTAL_API_URL": URL,
        "POSTAL_SERVERS": {
            "eu": {"api_key": "eu-key", "api_url": "https://eu.test"},
            "plain": {"api_key": "plain-key", "api": "message"},
        },
    }


def test_a_backend_for_a_named_server(postal: FakePostal, servers: None) -> None:
    message = mail()
    EmailBackend(server="eu").send_messages([message])
    assert postal.calls[0]["url"] == "https://eu.test/api/v1/send/message"
    assert postal.calls[0]["headers"]["X-Server-API-Key"] == "eu-key"
    assert message.anymail_status.message_id.server == "eu"


def test_a_mail_may_choose_its_server(postal: FakePostal, servers: None) -> None:
    backend = EmailBackend()
    first, second = mail(esp_extra={"server": "eu"}), mail()
    backend.send_messages([first, second])
    assert [call["url"].partition("/api")[0] for call in postal.calls] == ["https://eu.test", URL]
    assert "server" not in postal.bodies[0]
    assert first.anymail_status.message_id.server == "eu"
    assert second.anymail_status.message_id.server == "default"


def test_the_servers_api_decides(postal: FakePostal, servers: None) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match="metadata"):
        EmailBackend().send_messages([mail(metadata={"a": 1}, esp_extra={"server": "plain"})])
    EmailBackend().send_messages([mail(esp_extra={"server": "plain", "odd": 1})])
    assert postal.body["odd"] == 1
    assert "server" not in postal.body


def test_an_unknown_server(postal: FakePostal, servers: None) -> None:
    with pytest.raises(errors.UnknownServer):
        EmailBackend(server="us")
    with pytest.raises(errors.UnknownServer):
        EmailBackend().send_messages([mail(esp_extra={"server": "us"})])


# --- the rest ---


def test_a_sent_message_can_be_pickled(postal: FakePostal) -> None:
    message = mail(metadata={"a": 1}, to=["Ann@b.test", "c@d.test"])
    send(message)
    status = pickle.loads(pickle.dumps(message)).anymail_status
    assert status.message_id == {1, 2}
    assert status.recipients["ann@B.test"].message_id.token == "token1"


def test_headers_of_a_caller_are_not_changed(postal: FakePostal) -> None:
    headers = {"X-A": None, "Sender": "s@b.test"}
    send(mail(headers=headers))
    assert headers == {"X-A": None, "Sender": "s@b.test"}
