"""`POSTAL_API = "message"`: a mail is sent as Anymail documents for its own Postal backend.

What both must do is tested on both, so that the table itself is known to be right.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from decimal import Decimal
from email.message import MIMEPart
from email.mime.text import MIMEText
from typing import Any

import django
import pytest
import requests
from anymail.backends.postal import EmailBackend as AnymailPostalBackend
from anymail.exceptions import (
    AnymailAPIError,
    AnymailCancelSend,
    AnymailError,
    AnymailSerializationError,
    AnymailUnsupportedFeature,
)
from anymail.message import AnymailMessage, attach_inline_image
from anymail.signals import post_send, pre_send
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.utils.functional import lazy

from anymail_postal import conf, errors
from anymail_postal.backend import EmailBackend
from tests.each import each

from .answers import KEY, URL, FakePostal, answer, envelope, error, success

Make = Callable[..., Any]


@pytest.fixture
def postal(monkeypatch: pytest.MonkeyPatch) -> FakePostal:
    return FakePostal().install(monkeypatch)


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "store", lambda: None)


def ours(**options: Any) -> EmailBackend:
    return EmailBackend(**{"api_key": KEY, "api_url": URL, "api": "message", **options})


def anymails(**options: Any) -> AnymailPostalBackend:
    return AnymailPostalBackend(**{"api_key": KEY, "api_url": URL, **options})


@pytest.fixture(params=[anymails, ours], ids=["anymail", "ours"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


PLAIN = {
    "from": "from@example.test",
    "to": ["to@example.test"],
    "subject": "Subject",
    "plain_body": "Body",
}


def mail(**fields: Any) -> AnymailMessage:
    defaults = {
        "subject": "Subject", "body": "Body", "from_email": "from@example.test", "to": ["to@example.test"],
    }  # fmt: skip
    return AnymailMessage(**{**defaults, **fields})


def with_html(message: EmailMultiAlternatives, html: str = "<p>Body") -> EmailMultiAlternatives:
    message.attach_alternative(html, "text/html")
    return message


def with_attachment(message: EmailMessage, *attachment: Any) -> EmailMessage:
    message.attach(*attachment)
    return message


def with_inline_image(message: EmailMessage) -> EmailMessage:
    attach_inline_image(message, b"\x89PNG", filename="dot.png", subtype="png")
    return message


def text_part(text: str, charset: str) -> Any:
    """A part to attach: Django took those of one kind up to 5.2, and takes those of the other since 6.0."""
    if django.VERSION < (6, 0):
        return MIMEText(text, "plain", charset)
    part = MIMEPart()
    part.set_content(text, charset=charset)
    return part


def body_of(postal: FakePostal) -> dict[str, Any]:
    """The body, without the empty lists of recipients that Anymail sends."""
    return {key: value for key, value in postal.body.items() if value != []}


# --- the request ---


@pytest.mark.parametrize("url", [URL, f"{URL}/"], ids=["bare", "slash"])
def test_one_post_per_message(postal: FakePostal, make: Make, url: str) -> None:
    backend = make(api_url=url)
    assert backend.send_messages([mail(), mail()]) == 2
    assert len(postal.calls) == 2
    for call in postal.calls:
        assert call["method"] == "POST"
        assert call["url"] == f"{URL}/api/v1/send/message"
        assert call["headers"] == {
            "X-Server-API-Key": KEY, "Content-Type": "application/json", "Accept": "application/json",
        }  # fmt: skip
    for body in postal.bodies:
        assert {key: value for key, value in body.items() if value != []} == PLAIN


BODIES = [
    ("names", mail(from_email="Ann Example <a@b.test>", to=['"Last, First" <c@d.test>', "Bö <e@f.test>"]),
     {"from": "Ann Example <a@b.test>", "to": ['"Last, First" <c@d.test>', "Bö <e@f.test>"]}),
    ("cc-bcc", mail(cc=["C <c@d.test>"], bcc=["e@f.test", "g@h.test"]),
     {"cc": ["C <c@d.test>"], "bcc": ["e@f.test", "g@h.test"]}),
    ("empty-lists", mail(cc=[], bcc=[], reply_to=[]), {"cc": None, "bcc": None, "reply_to": None}),
    ("only-cc", mail(to=[], cc=["c@d.test"]), {"to": None, "cc": ["c@d.test"]}),
    ("only-bcc", mail(to=[], bcc=["c@d.test"]), {"to": None, "bcc": ["c@d.test"]}),
    ("idna-2008", mail(from_email="a@faß.test", to=["Ü <b@bücher.test>"]),
     {"from": "a@xn--fa-hia.test", "to": ["Ü <b@xn--bcher-kva.test>"]}),
    ("comma-in-one", mail(to=["a@b.test, C <c@d.test>"]), {"to": ["a@b.test", "C <c@d.test>"]}),
    ("duplicates", mail(to=["a@b.test", "a@b.test"]), {"to": ["a@b.test", "a@b.test"]}),
    ("reply-to", mail(reply_to=["R <r@b.test>"]), {"reply_to": "R <r@b.test>"}),
    ("reply-to-header", mail(reply_to=["r@b.test"], headers={"reply-to": "H <h@b.test>", "X-A": "1"}),
     {"reply_to": "H <h@b.test>", "headers": {"X-A": "1"}}),
    ("headers", mail(headers={"Message-ID": "<own@b.test>", "X-Int": 5, "X-Text": "Grüße", "X-None": None}),
     {"headers": {"Message-ID": "<own@b.test>", "X-Int": 5, "X-Text": "Grüße", "X-None": None}}),
    ("from-header", mail(from_email="env@b.test", headers={"From": "H <h@b.test>"}),
     {"from": "H <h@b.test>", "sender": "env@b.test", "headers": None}),
    ("both-bodies", with_html(mail()), {"plain_body": "Body", "html_body": "<p>Body", "attachments": None}),
    ("empty-text", with_html(mail(body="")), {"plain_body": "", "html_body": "<p>Body"}),
    ("lazy", mail(subject=lazy(lambda: "Lazy", str)()), {"subject": "Lazy"}),
    ("envelope-sender", mail(envelope_sender="E <e@b.test>"), {"sender": "E <e@b.test>"}),
    ("tag", mail(tags=["one"]), {"tag": "one"}),
    ("no-tags", mail(tags=[]), {"tag": None}),
    ("esp-extra", mail(tags=["one"], esp_extra={"tag": "two", "bounce": True, "odd": [1], "server": "x",
                                                "api": "raw", "metadata": "store"}),
     {"tag": "two", "bounce": True, "odd": [1], "server": "x", "api": "raw", "metadata": "store"}),
    ("attachments", with_attachment(mail(), "dot.png", b"\x89PNG", "image/png"),
     {"attachments": [{"name": "dot.png", "data": "iVBORw==", "content_type": "image/png"}]}),
    ("text-attachment", with_attachment(mail(), "ü.txt", "é", "text/plain"),
     {"attachments": [{"name": "ü.txt", "data": "w6k=", "content_type": 'text/plain; charset="utf-8"'}]}),
    ("unnamed-attachment", with_attachment(mail(), None, b"\xff", "application/pdf"),
     {"attachments": [{"name": "", "data": "/w==", "content_type": "application/pdf"}]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "expected"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES]
)
def test_the_body(postal: FakePostal, make: Make, message: EmailMessage, expected: dict[str, Any]) -> None:
    assert make().send_messages([message]) == 1
    body = body_of(postal)
    assert {key: body.get(key) for key in expected} == expected


def test_html_as_the_only_body(postal: FakePostal, make: Make) -> None:
    message = mail(body="<p>Body")
    message.content_subtype = "html"
    make().send_messages([message])
    assert postal.body["html_body"] == "<p>Body"
    assert "plain_body" not in postal.body


def test_text_attachments_keep_their_charset_and_bytes(postal: FakePostal, make: Make) -> None:
    make().send_messages([with_attachment(mail(), text_part("é", "iso-8859-1"))])
    (attachment,) = postal.body["attachments"]
    assert base64.b64decode(attachment["data"]).rstrip() == b"\xe9"
    assert "iso-8859-1" in attachment["content_type"]


def test_another_idna_encoder(postal: FakePostal, make: Make) -> None:
    make(idna_encoder="idna2003").send_messages([mail(from_email="a@faß.test")])
    assert postal.body["from"] == "a@fass.test"


def test_send_defaults_are_merged(postal: FakePostal, make: Make, settings: Any) -> None:
    settings.ANYMAIL = {
        "SEND_DEFAULTS": {"tags": ["general"], "esp_extra": {"bounce": True}},
        "POSTAL_SEND_DEFAULTS": {"tags": ["postal"]},
    }
    make().send_messages([mail()])
    assert (postal.body["tag"], postal.body["bounce"]) == ("postal", True)


def test_the_bodies_are_those_of_anymail_but_for_empty_lists(postal: FakePostal) -> None:
    for _, message, _ in BODIES:
        anymails().send_messages([message])
        ours().send_messages([message])
    theirs, mine = postal.bodies[::2], postal.bodies[1::2]
    assert len(mine) == len(BODIES)
    assert mine == [{key: value for key, value in body.items() if value != []} for body in theirs]


# --- what is not supported ---


def with_alternative(kind: str, message: EmailMultiAlternatives | None = None) -> EmailMultiAlternatives:
    message = message or mail()
    message.attach_alternative("content", kind)
    return message


UNSUPPORTED = {
    "multiple reply_to addresses": lambda: mail(reply_to=["a@b.test", "c@d.test"]),
    "inline attachments": lambda: with_inline_image(mail()),
    "multiple html parts": lambda: with_alternative("text/html", with_html(mail())),
    "multiple plaintext parts": lambda: with_alternative("text/plain"),
    "alternative part with type 'text/calendar'": lambda: with_alternative("text/calendar"),
    "alternative part with type 'text/x-amp-html'": lambda: with_alternative("text/x-amp-html"),
    "multiple from emails": lambda: mail(from_email="a@b.test, c@d.test"),
    "spoofing `To` header": lambda: mail(headers={"To": "list@b.test"}),
    "multiple tags": lambda: mail(tags=["a", "b"]),
    "metadata": lambda: mail(metadata={}),
    "send_at": lambda: mail(send_at=1_900_000_000),
    "track_clicks": lambda: mail(track_clicks=False),
    "track_opens": lambda: mail(track_opens=False),
    "template_id": lambda: mail(template_id="welcome"),
    "merge_data": lambda: mail(merge_data={}),
    "merge_global_data": lambda: mail(merge_global_data={}),
    "merge_headers": lambda: mail(merge_headers={}),
    "merge_metadata": lambda: mail(merge_metadata={}),
}


@each("feature", UNSUPPORTED)
def test_unsupported_features_are_named_and_nothing_is_sent(
    postal: FakePostal, make: Make, feature: str
) -> None:
    message = UNSUPPORTED[feature]()
    with pytest.raises(AnymailUnsupportedFeature) as raised:
        make().send_messages([message])
    assert f"Postal does not support {feature}" in str(raised.value)
    assert postal.calls == []
    assert message.anymail_status.status is None


@pytest.mark.parametrize("feature", UNSUPPORTED)
def test_ignored_features_are_dropped_and_the_mail_is_sent(
    postal: FakePostal, make: Make, feature: str
) -> None:
    assert make(ignore_unsupported_features=True).send_messages([UNSUPPORTED[feature]()]) == 1
    kept = {
        "multiple reply_to addresses": {"reply_to": "a@b.test"},
        "multiple html parts": {"html_body": "<p>Body"},
        "multiple from emails": {"from": "a@b.test"},
        "multiple tags": {"tag": "a"},
    }.get(feature, {})
    body = body_of(postal)
    if feature == "inline attachments":
        assert body.pop("attachments")[0]["name"] == "dot.png"
    assert body == {**PLAIN, **kept}


@pytest.mark.filterwarnings("ignore:Anymail will drop support for fail_silently")
def test_unsupported_features_in_silence(postal: FakePostal, make: Make) -> None:
    assert make(fail_silently=True).send_messages([mail(metadata={})]) == 0
    assert postal.calls == []


# --- session life ---


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[requests.Session]]:
    closed: list[requests.Session] = []
    close = requests.Session.close

    def closing(session: requests.Session) -> None:
        closed.append(session)
        close(session)

    monkeypatch.setattr(requests.Session, "close", closing)
    return closed


def test_the_session_is_closed_once_after_all_messages(
    postal: FakePostal, make: Make, sessions: list[requests.Session]
) -> None:
    backend = make()
    backend.send_messages([mail(), mail()])
    assert len(sessions) == 1
    assert backend.session is None


def test_the_session_is_closed_once_after_an_error(
    postal: FakePostal, make: Make, sessions: list[requests.Session]
) -> None:
    postal.answers = [error("NoContent")]
    with pytest.raises(AnymailAPIError):
        make().send_messages([mail(), mail()])
    assert len(sessions) == len(postal.calls) == 1


@pytest.mark.filterwarnings("ignore:Anymail will drop support for fail_silently")
def test_failing_in_silence_goes_on_and_closes_once(
    postal: FakePostal, make: Make, sessions: list[requests.Session]
) -> None:
    postal.answers = [requests.ConnectionError("down"), answer("oops", 500), success("to@example.test")]
    assert make(fail_silently=True).send_messages([mail(), mail(), mail()]) == 1
    assert len(sessions) == 1


def test_a_session_that_the_caller_opened_stays_open(
    postal: FakePostal, make: Make, sessions: list[requests.Session]
) -> None:
    backend = make()
    assert backend.open() is True
    assert backend.open() is False
    opened = backend.session
    postal.answers = [error("NoContent")]
    with pytest.raises(AnymailAPIError):
        backend.send_messages([mail()])
    backend.send_messages([mail()])
    assert backend.session is opened
    assert sessions == []
    backend.close()
    backend.close()
    assert sessions == [opened]


def test_sending_without_a_session_is_an_error_of_the_program(make: Make) -> None:
    with pytest.raises(RuntimeError, match="Session has not been opened"):
        make()._send(mail())


def test_create_session_may_be_overridden(postal: FakePostal) -> None:
    class Own(EmailBackend):
        def create_session(self) -> requests.Session:
            session = super().create_session()
            session.headers["X-Own"] = "1"
            return session

    backend = Own(api_key=KEY, api_url=URL)
    backend.open()
    assert backend.session.headers["X-Own"] == "1"
    assert str(backend.session.headers["User-Agent"]).startswith("anymail-postal/")


# --- status ---


@each("kind", ["to", "cc", "bcc"])
def test_the_status_of_a_send(postal: FakePostal, make: Make, kind: str) -> None:
    message = mail(**{"to": [], kind: ["A <a@b.test>"]})
    postal.answers = [success("a@b.test", first_id=1503)]
    make().send_messages([message])
    status = message.anymail_status
    assert status.status == {"queued"}
    assert status.message_id == 1503
    assert status.recipients["a@b.test"].status == "queued"
    assert status.recipients["a@b.test"].message_id == 1503
    assert status.esp_response.json()["data"]["messages"]["a@b.test"]["id"] == 1503


def test_every_recipient_has_an_id(postal: FakePostal, make: Make) -> None:
    message = mail(to=["a@b.test"], cc=["c@d.test"], bcc=["e@f.test"])
    make().send_messages([message])
    assert message.anymail_status.message_id == {1, 2, 3}
    assert {address: status.message_id for address, status in message.anymail_status.recipients.items()} == {
        "a@b.test": 1, "c@d.test": 2, "e@f.test": 3,
    }  # fmt: skip


FAILURES = {
    "http": (answer("oops", 500, "Server Error"), "Postal API response 500"),
    "http-empty": (answer("", 403, "Forbidden"), "Postal API response 403"),
    "proxy": (answer("<h1>Bad Gateway</h1>", 502, "Bad Gateway"), "<h1>Bad Gateway</h1>"),
    "status": (error("NoContent", message="There is no content"), "NoContent"),
    "status-http": (error("NoContent"), "Postal API response 200"),
    "parameter": (envelope("parameter-error", {"message": "`data` is missing"}), "`data` is missing"),
    "network": (requests.ConnectionError("no route"), "no route"),
    "timeout": (requests.ReadTimeout("too slow"), "too slow"),
}


@each("failure", FAILURES)
def test_errors_say_what_postal_said(postal: FakePostal, make: Make, failure: str) -> None:
    postal.answers = [FAILURES[failure][0]]
    message = mail()
    with pytest.raises(AnymailAPIError) as raised:
        make().send_messages([message])
    assert isinstance(raised.value, requests.RequestException)
    assert FAILURES[failure][1] in str(raised.value)
    status = message.anymail_status
    assert (status.status, status.message_id, status.recipients) == (None, None, {})
    if "status" not in failure and failure != "parameter":
        assert status.esp_response is None


def test_an_answer_that_is_not_json_is_kept(postal: FakePostal, make: Make) -> None:
    postal.answers = [answer("nonsense")]
    message = mail()
    with pytest.raises(AnymailAPIError, match="Invalid JSON in Postal API response"):
        make().send_messages([message])
    status = message.anymail_status
    assert (status.status, status.message_id, status.recipients) == (None, None, {})
    assert status.esp_response.text == "nonsense"


@each("fields", [{"tags": [Decimal("1.5")]}, {"headers": {"X-A": Decimal("1.5")}}], ids=["tag", "header"])
def test_what_json_cannot_say(postal: FakePostal, make: Make, fields: dict[str, Any]) -> None:
    with pytest.raises(AnymailSerializationError) as raised:
        make().send_messages([mail(**fields)])
    assert isinstance(raised.value, TypeError)
    assert "Don't know how to send this data to Postal" in str(raised.value)
    assert "Decimal" in str(raised.value)
    assert postal.calls == []


# --- signals ---


def test_signals_of_a_send(postal: FakePostal, make: Make) -> None:
    seen: list[Any] = []

    def before(sender: type, message: EmailMessage, esp_name: str, **kwargs: Any) -> None:
        message.subject = "Changed"
        seen.append((sender, esp_name))

    def after(sender: type, message: EmailMessage, status: Any, esp_name: str, **kwargs: Any) -> None:
        seen.append((sender, esp_name, status is message.anymail_status, status.status))  # type: ignore[attr-defined]

    pre_send.connect(before)
    post_send.connect(after)
    try:
        backend = make()
        backend.send_messages([mail()])
    finally:
        pre_send.disconnect(before)
        post_send.disconnect(after)
    assert postal.body["subject"] == "Changed"
    assert seen == [(type(backend), "Postal"), (type(backend), "Postal", True, {"queued"})]


def test_a_receiver_may_cancel(postal: FakePostal, make: Make) -> None:
    def cancel(**kwargs: Any) -> None:
        raise AnymailCancelSend

    pre_send.connect(cancel)
    try:
        assert make().send_messages([mail()]) == 0
    finally:
        pre_send.disconnect(cancel)
    assert postal.calls == []


def test_a_mail_without_recipients_is_not_sent(postal: FakePostal, make: Make) -> None:
    assert make().send_messages([mail(to=[])]) == 0
    assert postal.calls == []


# --- better than the built-in, in this mode too ---


@each("code, kind", errors.CLASS_BY_CODE.items(), ids=list(errors.CLASS_BY_CODE))
def test_errors_are_typed(postal: FakePostal, code: str, kind: type[errors.PostalAPIError]) -> None:
    postal.answers = [error(code)]
    with pytest.raises(kind) as raised:
        ours().send_messages([mail()])
    assert raised.value.code == code
    assert isinstance(raised.value, AnymailError)
    assert raised.value.email_message is not None


def test_the_key_is_not_in_the_error(postal: FakePostal) -> None:
    postal.answers = [error("InvalidServerAPIKey", message="not valid", token=KEY)]
    with pytest.raises(errors.PostalAuthError) as raised:
        ours().send_messages([mail()])
    assert KEY not in str(raised.value) + repr(raised.value)


@pytest.mark.parametrize(
    "body", [{"status": "success"}, envelope("success", None), []], ids=["none", "null", "list"]
)
def test_odd_answers_are_typed_errors(postal: FakePostal, body: object) -> None:
    postal.answers = [answer(body)]
    with pytest.raises(errors.PostalResponseError, match="Invalid Postal API response format"):
        ours().send_messages([mail()])


def test_ids_know_more(postal: FakePostal) -> None:
    message = mail()
    ours().send_messages([message])
    message_id = message.anymail_status.message_id
    assert (message_id.token, message_id.rfc_message_id, message_id.server) == (
        "token1", "made@rp.example.test", "default",
    )  # fmt: skip


def test_recipients_missing_in_the_answer_are_unknown(postal: FakePostal) -> None:
    message = mail(to=["a@b.test", "c@d.test"])
    postal.answers = [success("a@b.test")]
    ours().send_messages([message])
    status = message.anymail_status
    assert status.status == {"queued", "unknown"}
    assert status.recipients["c@d.test"].message_id is None
    assert status.message_id == 1
    assert "2 recipients" in repr(status)


def test_recipients_are_found_in_any_case_and_in_unicode(postal: FakePostal) -> None:
    message = mail(to=["Ann@Example.TEST", "u@příklad.cz"])
    postal.answers = [success("Ann@Example.TEST", "u@xn--pklad-zsa96e.cz")]
    ours().send_messages([message])
    recipients = message.anymail_status.recipients
    assert list(recipients) == ["Ann@Example.TEST", "u@příklad.cz"]
    assert recipients["ann@example.test"].message_id == 1
    assert recipients["u@příklad.cz"].message_id == 2


def test_a_strict_envelope_sender_is_unsupported(postal: FakePostal) -> None:
    with pytest.raises(AnymailUnsupportedFeature, match="envelope_sender"):
        ours(strict_envelope_sender=True).send_messages([mail(envelope_sender="e@b.test")])


def test_a_message_id_that_will_be_replaced_is_logged(
    postal: FakePostal, caplog: pytest.LogCaptureFixture
) -> None:
    ours().send_messages([mail(headers={"message-id": "<own@b.test>"})])
    assert "replaces the Message-ID" in caplog.text


def test_debugging_does_not_print_the_key(postal: FakePostal, capsys: pytest.CaptureFixture[str]) -> None:
    backend = ours(debug_api_requests=True)
    backend.open()
    (hook,) = backend.session.hooks["response"]
    response = answer(error("InvalidServerAPIKey", token=KEY))
    response.request = requests.Request("POST", URL, headers={"X-Server-API-Key": KEY}, data="{}").prepare()
    hook(response)
    printed = capsys.readouterr().out
    assert "X-Server-API-Key: [redacted]" in printed
    assert KEY not in printed
    backend.close()
