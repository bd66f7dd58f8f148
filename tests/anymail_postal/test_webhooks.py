"""The views without a store. Under `tests/anymail_postal/urls.py`, a project that changed one include."""

import base64
import io
import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
import responses
from anymail.exceptions import AnymailConfigurationError, AnymailWebhookValidationFailure
from anymail.inbound import AnymailInboundMessage
from anymail.signals import AnymailInboundEvent, AnymailTrackingEvent
from anymail.signals import inbound as inbound_signal
from anymail.signals import tracking as tracking_signal
from anymail.webhooks.postal import PostalTrackingWebhookView as AnymailsTrackingView
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import conf, signals, signatures, testing, webhooks
from anymail_postal.errors import PostalError
from anymail_postal.testing import inbound_request, make_key, public_key, simple_mail, webhook_request
from anymail_postal.webhooks import PostalInboundWebhookView, PostalTrackingWebhookView, ReceiverError
from tests.each import each

from .receivers import listening, raising
from .recorded import DKIM_RECORD, MAILS, WEBHOOKS
from .test_signatures import jwk

KEY = make_key()
STRANGER = rsa.generate_private_key(65537, 1024)
SERVERS = {"second": {"webhook_key": public_key(KEY)}}
pytestmark = pytest.mark.usefixtures("without_store", "empty_cache", "anymail")


@pytest.fixture
def anymail(settings):
    """The ANYMAIL setting of the test; assign items before a request."""
    settings.ROOT_URLCONF = "tests.anymail_postal.urls"
    settings.ANYMAIL = {"POSTAL_WEBHOOK_KEY": public_key(KEY), "POSTAL_SERVERS": SERVERS}
    return settings.ANYMAIL


def webhook(event="MessageSent", **values):
    return webhook_request(event, **values)


def mail(**options):
    return inbound_request(simple_mail(), **options)


def posted(request, **headers):
    return replace(request, headers={**request.headers, **headers}).send()


def without_header(request, *names):
    return replace(request, headers={k: v for k, v in request.headers.items() if k not in names})


# --- what receivers get ---


def test_tracking_event(tracked):
    request = webhook(
        "MessageBounced", to="ann@example.com", id=233843, tag="welcome", timestamp=1606753101.96
    )
    response = request.send()
    assert (response.status_code, response.content) == (200, b"")
    ((call),) = tracked
    event = call.pop("event")
    assert call == {"sender": PostalTrackingWebhookView, "esp_name": "Postal"}
    assert isinstance(event, AnymailTrackingEvent)
    assert (event.event_type, event.reject_reason) == ("bounced", "bounced")
    assert event.esp_event == json.loads(request.body)
    assert event.timestamp == datetime(2020, 11, 30, 16, 18, 21, tzinfo=timezone.utc)
    assert (event.message_id, event.event_id) == (233843, event.esp_event["uuid"])
    assert (event.recipient, event.tags, event.metadata) == ("ann@example.com", ["welcome"], None)
    assert event.postal.server == "default"


def test_inbound_event(received):
    request = mail(mail_from="ann@example.org", rcpt_to="in+7@example.com")
    response = request.send()
    assert (response.status_code, response.content) == (200, b"")
    ((call),) = received
    event = call.pop("event")
    assert call == {"sender": PostalInboundWebhookView, "esp_name": "Postal"}
    assert isinstance(event, AnymailInboundEvent)
    assert isinstance(event.message, AnymailInboundMessage)
    assert (event.event_type, event.timestamp) == ("inbound", None)
    assert event.esp_event == json.loads(request.body)
    assert event.event_id == event.esp_event["id"]
    assert (event.message.envelope_sender, event.message.envelope_recipient) == (
        "ann@example.org",
        "in+7@example.com",
    )
    assert (event.message.subject, event.message.text) == ("Hello", "Hello\n")
    assert (event.message.stripped_text, event.message.spam_detected) == (None, None)


@pytest.mark.parametrize("encoding", ["BodyAsJSON", "FormData"])
@pytest.mark.parametrize("format", ["RawMessage", "Hash"])
def test_every_format_arrives(received, format, encoding):
    assert inbound_request(simple_mail("Grüße\n"), format=format, encoding=encoding).send().status_code == 200
    ((call),) = received
    assert (call["event"].message.subject, call["event"].message.text) == ("Hello", "Grüße\n")


REPLY = "New\n\nOn Mon, 2 Jan 2023 at 10:00, Team <team@example.com> wrote:\n> old\n"


def test_replies_are_stripped_where_asked_for(received, anymail):
    anymail["POSTAL_STRIP_REPLIES"] = True
    inbound_request(simple_mail(REPLY, subject="Re: Hello")).send()
    inbound_request(
        {"plain_body": "By Postal", "replies_from_plain_body": None, "html_body": "<p>x</p>"}
    ).send()
    first, second = (call["event"].message for call in received)
    assert (first.text, first.stripped_text, first.stripped_html) == (REPLY, "New", None)
    assert (second.stripped_text, second.stripped_html) == ("By Postal", "<p>x</p>")


def test_mail_that_answers_nothing_is_left_as_a_whole(received, anymail):
    anymail["POSTAL_STRIP_REPLIES"] = True
    inbound_request(simple_mail(REPLY, subject="Hello")).send()
    inbound_request(simple_mail(REPLY, subject="Fwd: Hello", **{"in-reply-to": "<1@example.com>"})).send()
    assert [call["event"].message.stripped_text for call in received] == [REPLY.strip()] * 2


def test_there_is_always_a_stripped_text(received, anymail):
    anymail["POSTAL_STRIP_REPLIES"] = True
    for headers, content in (
        ("Subject: Re: a\nContent-Type: text/html", "<p>Yes, <b>Friday</b>.</p>"),
        ("Subject: b\nContent-Type: text/html", "<p>Yes.</p>"),
        ("Content-Type: image/png\nContent-Disposition: attachment", "x"),
    ):
        inbound_request(f"From: ann@example.org\n{headers}\n\n{content}\n").send()
    assert [call["event"].message.stripped_text for call in received] == ["Yes, Friday.", "Yes.", ""]


def test_reply_that_cannot_be_taken_apart_is_taken_as_it_is(received, anymail, monkeypatch, caplog):
    monkeypatch.setattr(webhooks, "whole_text", lambda *arguments, **options: 1 / 0)
    anymail["POSTAL_STRIP_REPLIES"] = True
    assert mail().send().status_code == 200
    ((call),) = received
    assert (call["event"].message.text, call["event"].message.stripped_text) == ("Hello\n", "Hello\n")
    assert "could not be found" in caplog.text


def test_sealed_metadata_comes_back(tracked):
    webhook(metadata={"order": 7}).send()
    (call,) = tracked
    assert call["event"].metadata == call["event"].postal.metadata == {"order": 7}


def test_options_of_the_server_count(tracked, anymail):
    anymail.update(
        POSTAL_TAG_SEPARATOR="|",
        POSTAL_HARDFAIL_AS_BOUNCED=False,
        POSTAL_HELD_SUPPRESSED_AS_REJECTED=True,
    )
    for event in ("MessageSent", "MessageDeliveryFailed", "MessageHeld"):
        webhook(event, tag="a|b").send()
    assert [call["event"].event_type for call in tracked] == ["delivered", "failed", "rejected"]
    assert tracked[0]["event"].tags == ["a", "b"]


def test_what_is_about_us_may_be_a_failure(tracked, anymail):
    anymail["POSTAL_BLOCKED_AS_FAILED"] = True
    webhook("MessageDeliveryFailed", output="554 blocked using zen.spamhaus.org").send()
    assert [call["event"].event_type for call in tracked] == ["failed"]


@each(
    "payload",
    [
        {"status": "HardFail", "classification": "rate"},
        {"original_message": {}, "complaint": []},
        {"suppression": {"address": 5}},
        {"original_message": {}, "reply": {"challenge": "maybe"}},
    ],
    ids=str,
)
def test_event_of_ours_with_wrong_types_is_refused(tracked, payload):
    assert webhook("MessageComplained", payload=payload).send().status_code == 400
    assert tracked == []


def test_subclass_may_replace_the_table(tracked):
    class View(PostalTrackingWebhookView):
        event_types = {"MessageLoaded": "unknown"}

    View.as_view()(webhook("MessageLoaded").build())
    (call,) = tracked
    assert (call["sender"], call["event"].event_type) == (View, "unknown")


# --- events that are not about mail we sent ---


@pytest.mark.parametrize(
    ("event", "signal"),
    [
        ("DomainDNSError", signals.domain_dns_error),
        ("SendLimitApproaching", signals.send_limit),
        ("SendLimitExceeded", signals.send_limit),
        ("SuppressionAdded", signals.suppression_changed),
        ("SuppressionRemoved", signals.suppression_changed),
    ],
)
@pytest.mark.parametrize("on_tracking", [True, False])
def test_server_events_have_their_own_signals(tracked, anymail, event, signal, on_tracking):
    anymail["POSTAL_SERVER_EVENTS_ON_TRACKING"] = on_tracking
    with listening(signal) as calls:
        assert webhook(event, server="second").send().status_code == 200
    ((call),) = calls
    found = call.pop("event")
    assert call == {"sender": PostalTrackingWebhookView, "server": "second", "esp_name": "Postal"}
    assert (found.event_type, found.postal.name) == ("unknown", event)
    assert [each["event"] for each in tracked] == ([found] if on_tracking else [])


@each("event", ["MessageDelayed", "MessageDeliveryFailed", "MessageHeld"])
def test_incoming_mail_that_failed_has_its_own_signal(tracked, event):
    with listening(signals.inbound_failed) as calls:
        assert webhook(event, direction="incoming").send().status_code == 200
    (call,) = calls
    assert (call["event"].event_type, call["server"]) == ("inbound_failed", "default")
    assert tracked == []


def test_incoming_mail_that_arrived_is_no_event(tracked):
    with listening(signals.inbound_failed) as calls:
        assert webhook("MessageSent", direction="incoming").send().status_code == 200
    assert (tracked, calls) == ([], [])


# --- the table of answers ---

TRACKING, INBOUND = "/anymail/postal/tracking/", "/anymail/postal/inbound/"


def unsigned(request):
    return without_header(request, "X-Postal-Signature", "X-Postal-Signature-256")


def signed(request, body, content_type=None):
    headers = {**request.headers, **testing.sign(body, KEY)}
    return replace(request, body=body, content_type=content_type or request.content_type, headers=headers)


def at(request, path):
    return replace(request, path=path)


def with_headers(request, **headers):
    """The request with these headers in place of those with the same names, `_` for `-`."""
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(request, headers={**request.headers, **renamed})


def by_stranger(request, *dropped, **headers):
    request = replace(request, headers=testing.sign(request.body, STRANGER))
    return with_headers(without_header(request, *dropped), **headers)


def of_server(request, name):
    return at(request, request.path.replace("postal/", f"postal/{name}/"))


SHA256, KID = "X-Postal-Signature-256", "X-Postal-Signature-Kid"
OUR_KEY = testing.key_id(KEY)
HUGE = b'{"a": "' + b"x" * 3_000_000 + b'"}'
GIGANTIC = b'{"timestamp": 1e999, "id": 1' + b"0" * 400 + b"}"
BINARY = "application/octet-stream"
FORM = "application/x-www-form-urlencoded"
# what is wrong -> the request made wrong, tracking's answer, inbound's answer
ANSWERS = {
    "nothing": (lambda r: r, 200, 200),
    "SHA-1 only, no key id": (lambda r: without_header(r, SHA256, KID), 200, 200),
    "no signature": (unsigned, 400, 400),
    "empty signature": (lambda r: with_headers(r, X_Postal_Signature_256=""), 400, 400),
    "garbage signature": (lambda r: with_headers(r, X_Postal_Signature_256="ü!"), 400, 400),
    "other body": (lambda r: replace(r, body=r.body + b" "), 400, 400),
    "stranger, no key id": (lambda r: by_stranger(r, KID), 400, 400),
    "stranger, our key id": (lambda r: by_stranger(r, X_Postal_Signature_Kid=OUR_KEY), 400, 400),
    "stranger, unknown key id": (by_stranger, 503, 503),
    "unknown server": (lambda r: of_server(r, "no-such"), 404, 503),
    "server of a strange name": (lambda r: of_server(r, "No.Such~x"), 404, 503),
    "body over Django's limit": (lambda r: signed(r, HUGE), 400, 503),
    "not JSON": (lambda r: signed(r, b"hello"), 400, 503),
    "not UTF-8": (lambda r: signed(r, b'{"id": "\xff"}'), 400, 503),
    "a list": (lambda r: signed(r, b"[]"), 400, 503),
    "nothing in it": (lambda r: signed(r, b"", BINARY), 400, 503),
    "wrong types": (lambda r: signed(r, b'{"payload": 5, "id": []}'), 400, 503),
    "gigantic number": (lambda r: signed(r, GIGANTIC), 400, 503),
    "deep nesting": (lambda r: signed(r, b'{"a":' * 100_000), 400, 503),
}


@pytest.mark.parametrize("kind", ["tracking", "inbound"])
@pytest.mark.parametrize("case", ANSWERS)
def test_answer(case, kind, tracked, received):
    change, *wanted = ANSWERS[case]
    request = webhook() if kind == "tracking" else mail()
    response = change(request).send()
    assert (response.status_code, response.content) == (wanted[kind == "inbound"], b"")
    assert len(tracked + received) == (response.status_code == 200)


@each("status", [400, 503])
@each("case", ["no signature", "other body"])
def test_inbound_refusal_may_be_delayed(anymail, case, status):
    anymail["POSTAL_INBOUND_REFUSAL_STATUS"] = status
    change, *_ = ANSWERS[case]
    assert change(mail()).send().status_code == status
    assert change(webhook()).send().status_code == 400


@each("secret", ["user:password", ["old:secret", "user:password"]])
@each("name", ["WEBHOOK_SECRET", "POSTAL_WEBHOOK_SECRET"])
def test_basic_auth(anymail, name, secret):
    for request in (webhook(), mail()):
        anymail.pop(name, None)
        bare = unauthorized = without_header(request, "Authorization")
        anymail[name] = secret
        assert bare.send().status_code == 400
        for password in ("user:wrong", "", "user:passwort", "ü"):
            header = "Basic " + base64.b64encode(password.encode()).decode()
            assert posted(unauthorized, Authorization=header).status_code == 400
        assert posted(unauthorized, Authorization="Basic ///").status_code == 400
        good = "Basic " + base64.b64encode(b"user:password").decode()
        assert posted(unauthorized, Authorization=good).status_code == 200


def test_basic_auth_of_a_server_goes_before_anymails(anymail):
    anymail["WEBHOOK_SECRET"] = "all:of-them"
    anymail["POSTAL_SERVERS"] = {"second": {**SERVERS["second"], "webhook_secret": "second:one"}}
    request = webhook(server="second")
    good = "Basic " + base64.b64encode(b"second:one").decode()
    assert request.headers["Authorization"] == good
    assert request.send().status_code == 200
    shared = "Basic " + base64.b64encode(b"all:of-them").decode()
    assert posted(request, Authorization=shared).status_code == 400


@responses.activate
@pytest.mark.parametrize("make", [webhook, mail], ids=["tracking", "inbound"])
def test_keys_that_cannot_be_fetched_are_no_proof(anymail, make):
    url = f"https://down.example/{make.__name__}"
    anymail.update(POSTAL_WEBHOOK_KEY=None, POSTAL_WEBHOOK_JWKS_URL=url)
    responses.get(url, status=502)
    assert make().send().status_code == 503
    assert make().send().status_code == 503
    assert len(responses.calls) == 1


@responses.activate
@pytest.mark.parametrize("make", [webhook, mail], ids=["tracking", "inbound"])
def test_who_does_not_know_the_secret_has_no_key_fetched(anymail, make):
    url = f"https://keys.example/{make.__name__}"
    anymail.update(
        POSTAL_WEBHOOK_KEY=None, POSTAL_WEBHOOK_JWKS_URL=url, POSTAL_WEBHOOK_SECRET="user:password"
    )
    responses.get(url, status=502)
    assert without_header(make(), "Authorization").send().status_code == 400
    assert len(responses.calls) == 0


@responses.activate
@pytest.mark.parametrize("make", [webhook, mail], ids=["tracking", "inbound"])
def test_rotated_key_is_looked_up(anymail, make):
    url = f"https://rotated.example/{make.__name__}"
    anymail.update(POSTAL_WEBHOOK_KEY=public_key(STRANGER), POSTAL_WEBHOOK_JWKS_URL=url)
    responses.get(url, json={"keys": [jwk(KEY)]})
    assert make().send().status_code == 200


@each("make", [webhook, mail], ids=["tracking", "inbound"])
@each("value", [None, "no key", 5])
def test_missing_or_bad_key_is_a_500_that_says_so(anymail, make, value):
    request = make()
    anymail["POSTAL_WEBHOOK_KEY"] = value
    with pytest.raises(AnymailConfigurationError, match="POSTAL_WEBHOOK_KEY"):
        request.send()
    assert request.send(Client(raise_request_exception=False)).status_code == 500


@pytest.mark.parametrize("make", [webhook, mail], ids=["tracking", "inbound"])
def test_missing_cryptography_is_a_500_that_says_so(monkeypatch, make):
    request = make()
    monkeypatch.setattr(signatures, "missing", ImportError("no module"))
    with pytest.raises(AnymailConfigurationError, match="pip install cryptography"):
        request.send()


INBOUND_AT_TRACKING = (
    r"You seem to have set Postal's \*inbound\* webhook to Anymail's Postal \*tracking\* webhook URL\."
)
TRACKING_AT_INBOUND = (
    r"You seem to have set Postal's \*tracking\* webhook to Anymail's Postal \*inbound\* webhook URL\."
)


@each("format", ["RawMessage", "Hash"])
@each("encoding", ["BodyAsJSON", "FormData"])
def test_mail_at_the_tracking_url_is_a_500_that_says_so(format, encoding):
    request = at(mail(format=format, encoding=encoding), TRACKING)
    with pytest.raises(AnymailConfigurationError, match=INBOUND_AT_TRACKING):
        request.send()
    assert request.send(Client(raise_request_exception=False)).status_code == 500


@pytest.mark.parametrize(
    "content_type", [FORM, f"{FORM}; charset=utf-8", FORM.upper(), "text/plain", "multipart/form-data", ""]
)
def test_seen_event_sent_again_under_another_content_type_is_the_same_event(tracked, content_type):
    request = webhook()
    assert request.send().status_code == 200
    assert replace(request, content_type=content_type).send().status_code in (200, 400)
    assert len(tracked) == 1


@pytest.mark.parametrize("content_type", [FORM, "text/plain", ""])
def test_seen_mail_sent_again_under_another_content_type_is_the_same_mail(received, content_type):
    request = inbound_request({"plain_body": "x&id=7&rcpt_to=boss@example.com&plain_body=y"}, format="Hash")
    assert request.send().status_code == 200
    assert replace(request, content_type=content_type).send().status_code == 200
    assert len(received) == 1


@each("body", [b"event=MessageSent&payload", b"event=MessageSent", b"a=b"])
def test_form_at_the_tracking_url_is_no_event(tracked, body):
    assert signed(webhook(), body, FORM).send().status_code == 400
    assert tracked == []


@each("body", [None, b'{"status": "Held"}', b'{"event": "x", "payload": {}}'])
def test_webhook_at_the_inbound_url_is_a_500_that_says_so(body):
    request = at(webhook(), INBOUND)
    with pytest.raises(AnymailConfigurationError, match=TRACKING_AT_INBOUND):
        (request if body is None else signed(request, body)).send()


RECEIVER_ERRORS = [
    ValueError("bug"),
    Http404("no such row"),
    PermissionDenied("no"),
    SuspiciousOperation("odd"),
    BadRequest("bad"),
    MultiPartParserError("bad"),
    AnymailWebhookValidationFailure("bad"),
    RequestDataTooBig("big"),
    webhooks.RetryLater("later"),
    webhooks.UnreadableBody("bad"),
    UnreadablePostError("gone"),
]


@each("make", [webhook, mail], ids=["tracking", "inbound"])
@each("error", RECEIVER_ERRORS, ids=lambda error: type(error).__name__)
def test_receiver_that_raises_is_a_500_and_runs_again(make, error):
    request = make()
    signal = tracking_signal if make is webhook else inbound_signal
    with raising(signal, error) as calls:
        assert request.send(Client(raise_request_exception=False)).status_code == 500
        assert request.send().status_code == 200
        assert request.send().status_code == 200
    assert len(calls) == 2


def test_what_django_would_answer_is_given_as_the_cause():
    with (
        raising(tracking_signal, Http404("no such row")),
        pytest.raises(ReceiverError, match="Http404: no such row"),
    ):
        webhook().send()
    assert issubclass(ReceiverError, PostalError)


@pytest.mark.parametrize("make", [webhook, mail], ids=["tracking", "inbound"])
def test_cache_that_is_down_is_a_500(make, settings):
    settings.CACHES = {"default": {"BACKEND": "tests.anymail_postal.test_webhooks.BrokenCache"}}
    with pytest.raises(ConnectionError):
        make().send()
    assert make().send(Client(raise_request_exception=False)).status_code == 500


class BrokenCache:
    def __init__(self, *args):
        pass

    def add(self, *args):
        raise ConnectionError("cache is down")

    def close(self):
        pass


@pytest.mark.parametrize("path", [TRACKING, INBOUND])
def test_other_methods(client, path):
    assert client.head(path).status_code == 200
    assert client.options(path).status_code == 200
    for method in ("get", "put", "patch", "delete"):
        assert getattr(client, method)(path).status_code == 405


@pytest.mark.parametrize("name", ["tracking", "inbound"])
def test_head_needs_no_settings(client, settings, name):
    settings.ANYMAIL = {}
    assert client.head(f"/anymail/postal/{name}/").status_code == 200


def test_refusal_is_logged_with_its_reason(caplog):
    with caplog.at_level(logging.WARNING, "anymail_postal.webhooks"):
        unsigned(webhook()).send()
    assert "tracking request is answered 400: The request has no signature." in caplog.text


# --- repeats ---


@pytest.mark.parametrize("make", [webhook, mail], ids=["tracking", "inbound"])
def test_repeat_is_no_second_signal(make, tracked, received):
    request = make()
    assert [request.send().status_code for _ in range(3)] == [200, 200, 200]
    assert len(tracked + received) == 1


@pytest.mark.parametrize("make", [webhook, mail], ids=["tracking", "inbound"])
def test_repeat_while_the_first_is_running_is_to_come_again(make):
    request, statuses = make(), []

    def receiver(**arguments):
        statuses.append(request.send().status_code)

    signal = tracking_signal if make is webhook else inbound_signal
    signal.connect(receiver)
    try:
        assert request.send().status_code == 200
    finally:
        signal.disconnect(receiver)
    assert statuses == [503]


def test_two_events_may_share_a_uuid(tracked):
    for values in (
        {"event": "MessageSent", "id": 1},
        {"event": "MessageSent", "id": 2},
        {"event": "MessageLoaded", "id": 1},
    ):
        assert webhook(uuid="0fcc831f", **values).send().status_code == 200
    assert len(tracked) == 3


def test_two_mails_may_share_an_id(received):
    for subject in ("one", "two"):
        inbound_request({"id": 7, "subject": subject}).send()
    assert [call["event"].message.subject for call in received] == ["one", "two"]


def test_the_same_event_of_another_server_is_another_event(tracked):
    request = webhook()
    request.send()
    at(request, "/anymail/postal/second/tracking/").send()
    assert [call["event"].postal.server for call in tracked] == ["default", "second"]


def test_repeats_may_be_wanted(tracked, anymail):
    anymail["POSTAL_WEBHOOK_DEDUPE"] = "off"
    request = webhook()
    request.send()
    request.send()
    assert len(tracked) == 2


# --- age ---


@each("max_age", [None, timedelta(hours=2), 7200])
@each("age, fresh", [(0, True), (7000, True), (7300, False), (10 * 365 * 86400, False), (None, False)])
def test_old_events_are_accepted_by_default(anymail, max_age, age, fresh):
    anymail["POSTAL_WEBHOOK_MAX_AGE"] = max_age
    timestamp = None if age is None else datetime.now(timezone.utc).timestamp() - age
    status = webhook(timestamp=timestamp).send().status_code
    assert status == (200 if fresh or max_age is None else 400)


def test_mail_has_no_age(anymail):
    anymail["POSTAL_WEBHOOK_MAX_AGE"] = 1
    assert mail().send().status_code == 200


# --- the body ---


def test_large_mail_is_taken_above_djangos_limit(received):
    content = simple_mail()
    content.add_attachment(b"x" * 3_000_000, maintype="application", subtype="zip", filename="a.zip")
    request = inbound_request(content)
    assert len(request.body) > django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert request.send().status_code == 200
    ((call),) = received
    (attachment,) = call["event"].message.attachments
    assert attachment.get_content_bytes() == b"x" * 3_000_000


@pytest.mark.parametrize("encoding", ["BodyAsJSON", "FormData"])
def test_limit_is_exact(anymail, encoding):
    request = mail(encoding=encoding)
    anymail["POSTAL_INBOUND_MAX_BYTES"] = len(request.body)
    assert request.send().status_code == 200
    anymail["POSTAL_INBOUND_MAX_BYTES"] = len(request.body) - 1
    response = request.send()
    assert (response.status_code, response.content) == (413, b"")


class Stream:
    """A body that says how much of it was read, and has no declared length."""

    def __init__(self, content):
        self.content, self.read_bytes = content, 0

    def read(self, size=-1):
        chunk, self.content = self.content[:size], self.content[size:]
        self.read_bytes += len(chunk)
        return chunk


def test_no_more_than_the_limit_is_read(anymail):
    anymail["POSTAL_INBOUND_MAX_BYTES"] = 1000
    request = mail().build()
    request._stream = stream = Stream(b"x" * 10_000)
    request.META["CONTENT_LENGTH"] = ""
    assert PostalInboundWebhookView.as_view()(request).status_code == 413
    assert stream.read_bytes == 1001


@pytest.mark.parametrize("declared", ["2000", "9" * 19])
def test_declared_length_over_the_limit_is_not_read_at_all(anymail, declared):
    anymail["POSTAL_INBOUND_MAX_BYTES"] = 1000
    request = mail().build()
    request._stream = stream = Stream(b"x" * 10_000)
    request.META["CONTENT_LENGTH"] = declared
    assert PostalInboundWebhookView.as_view()(request).status_code == 413
    assert stream.read_bytes == 0


@each("declared", ["-5", "many", "9" * 5000, "²"])
def test_strange_declared_length_is_not_believed(declared):
    request = mail().build()
    request.META["CONTENT_LENGTH"] = declared
    assert PostalInboundWebhookView.as_view()(request).status_code == 200


@pytest.mark.parametrize("encoding", ["BodyAsJSON", "FormData"])
@pytest.mark.parametrize("use", ["body", "POST"])
def test_body_that_a_middleware_has_read_is_used(received, encoding, use):
    request = mail(encoding=encoding).build()
    getattr(request, use)
    assert PostalInboundWebhookView.as_view()(request).status_code == 200
    assert len(received) == 1


@pytest.mark.parametrize("make", [webhook, mail], ids=["tracking", "inbound"])
def test_broken_connection_is_no_bug(make):
    class Broken(io.BytesIO):
        def read(self, *args):
            raise OSError("connection reset")

    request = make().build()
    request._stream = Broken()
    view = PostalTrackingWebhookView if make is webhook else PostalInboundWebhookView
    assert view.as_view()(request).status_code == 503


# --- URLs and options ---


def test_urls_keep_anymails_names():
    assert reverse("anymail:postal_tracking_webhook") == TRACKING
    assert reverse("anymail:postal_inbound_webhook") == INBOUND
    second = {"server": "second"}
    assert (
        reverse("anymail:postal_server_tracking_webhook", kwargs=second) == "/anymail/postal/second/tracking/"
    )
    assert (
        reverse("anymail:postal_server_inbound_webhook", kwargs=second) == "/anymail/postal/second/inbound/"
    )


def test_both_includes_side_by_side(settings):
    settings.ROOT_URLCONF = "tests.anymail_postal.both_urls"
    assert reverse("anymail_postal:postal_tracking_webhook") == "/postal/postal/tracking/"
    assert reverse("anymail:mailgun_tracking_webhook") == "/anymail/mailgun/tracking/"
    assert webhook().path == "/postal/postal/tracking/"
    assert webhook().send().status_code == 200


def test_named_servers_have_their_own_keys(anymail, tracked, received):
    anymail["POSTAL_SERVERS"] = {"second": {"webhook_key": public_key(STRANGER)}}
    assert webhook(server="second", key=STRANGER).send().status_code == 200
    assert mail(server="second", key=STRANGER).send().status_code == 200
    assert webhook(server="second").send().status_code == 503
    assert webhook(key=STRANGER).send().status_code == 503
    assert tracked[0]["event"].postal.server == received[0]["event"].postal.server == "second"


OPTIONS = {
    "webhook_key": ({"webhook_key": public_key(STRANGER)}, 503),
    "webhook_allow_sha1": ({"webhook_allow_sha1": False}, 400),
    "webhook_secret": ({"webhook_secret": "user:password"}, 400),
    "basic_auth": ({"basic_auth": ["user:password"]}, 400),
    "webhook_max_age": ({"webhook_max_age": 0}, 400),
    "server": ({"server": "no-such"}, 404),
}


@each("options, status", OPTIONS.values(), ids=OPTIONS)
def test_settings_may_be_arguments(options, status):
    request = without_header(webhook(timestamp=1.0), "X-Postal-Signature-256").build()
    assert PostalTrackingWebhookView.as_view()(request).status_code == 200
    cache.clear()
    request = without_header(webhook(timestamp=1.0), "X-Postal-Signature-256").build()
    assert PostalTrackingWebhookView.as_view(**options)(request).status_code == status


# Anymail reads `basic_auth` from the settings and arguments only.
@each("name", [name for name in OPTIONS if name != "basic_auth"])
def test_settings_may_be_attributes_of_a_subclass(name):
    options, status = OPTIONS[name]
    view = type("View", (PostalTrackingWebhookView,), options)
    request = without_header(webhook(timestamp=1.0), "X-Postal-Signature-256").build()
    assert view.as_view()(request).status_code == status


def test_inbound_settings_may_be_arguments():
    view = PostalInboundWebhookView
    assert view.as_view(inbound_max_bytes=10)(mail().build()).status_code == 413
    refusing = view.as_view(inbound_refusal_status=503)
    assert refusing(unsigned(mail()).build()).status_code == 503
    with pytest.raises(TypeError):
        view.as_view(no_such_option=1)


def test_every_option_is_a_setting():
    assert set(conf.VIEW_OPTIONS) < conf.SERVER_ATTRIBUTES
    assert {"webhook_key", "webhook_secret", "inbound_max_bytes", "strip_replies"} < set(conf.VIEW_OPTIONS)


@each(
    "settings_of",
    [
        {"ANYMAIL": {"POSTAL_WEBHOOK_KEY": public_key(KEY)}},
        {"ANYMAIL": {}, "ANYMAIL_POSTAL_WEBHOOK_KEY": public_key(KEY)},
        {"ANYMAIL": {}, "POSTAL_WEBHOOK_KEY": public_key(KEY)},
    ],
    ids=["ANYMAIL", "with prefix", "bare"],
)
def test_only_a_key_is_needed(settings_of, recwarn):
    with override_settings(**settings_of):
        assert webhook().send().status_code == 200
        assert mail().send().status_code == 200
    assert [each for each in recwarn if "insecure" in str(each.message)] == []


@pytest.mark.parametrize(
    "middleware",
    ["django.contrib.auth.middleware.LoginRequiredMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
)
def test_neither_login_nor_csrf_token_is_needed(settings, middleware):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]
    client = Client(enforce_csrf_checks=True)
    assert webhook().send(client).status_code == 200
    assert mail().send(client).status_code == 200


# --- the same project before and after changing the include ---


def as_seen(calls):
    """What a receiver written for django-anymail sees."""
    found = []
    for call in calls:
        event = call["event"]
        values = {name: value for name, value in vars(event).items() if name not in ("postal", "message")}
        values["tags"] = [tag for tag in values.get("tags", []) if tag]  # [None] is a defect of the original
        if hasattr(event, "message"):
            message = event.message
            values["mail"] = [
                message.subject,
                message.text.replace("\r\n", "\n"),  # django-anymail 15.1 leaves CRLF
                message.html and message.html.replace("\r\n", "\n"),
                str(message.from_email),
                [str(address) for address in message.to],
                message.date,
                message.envelope_sender,
                message.envelope_recipient,
                message.stripped_text,
                [(each.get_filename(), each.get_content_bytes()) for each in message.attachments],
                message.items(),
            ]
        found.append((call["sender"].__name__, call["esp_name"], values))
    return found


def before_and_after(settings, request):
    """The status and events of the same request, of django-anymail's views and of ours."""
    found = []
    for urls in ("tests.anymail_postal.anymail_urls", "tests.anymail_postal.urls"):
        settings.ROOT_URLCONF = urls
        with listening(tracking_signal) as tracked, listening(inbound_signal) as received:
            status = request.send(Client(raise_request_exception=False)).status_code
        found.append((status, as_seen(tracked + received)))
    return found


SAME_EVENTS = {
    "delivered": ("MessageSent", {"to": "Ann <Ann@example.com>"}),
    "old, with a tag": ("MessageSent", {"tag": "welcome", "timestamp": 1606753101.961181}),
    "no recipient": ("MessageSent", {"to": None}),
    "deferred": ("MessageDelayed", {}),
    "failed": ("MessageDeliveryFailed", {"details": "Message's domain no longer exist", "output": ""}),
    "held": ("MessageHeld", {}),
    "bounced": ("MessageBounced", {"tag": "welcome"}),
    "clicked": ("MessageLinkClicked", {"url": "https://example.com/?a=<b>&c"}),
    "server event": ("DomainDNSError", {}),
    "incoming": ("MessageDeliveryFailed", {"direction": "incoming"}),
    "new event": ("MessageReturned", {}),
}


@each("event, values", SAME_EVENTS.values(), ids=SAME_EVENTS)
def test_same_event_before_and_after_changing_the_include(settings, event, values):
    before, after = before_and_after(settings, webhook(event, **values))
    assert after == before
    assert before[0] == 200
    assert len(before[1]) == (values.get("direction") != "incoming")


def test_same_mail_before_and_after_changing_the_include(settings):
    content = simple_mail("Grüße\n", date="Tue, 03 Jan 2023 04:05:06 +0100", cc="c@example.com")
    content.add_alternative("<p>Grüße</p>", subtype="html")
    content.add_attachment(b"\0\xff", maintype="application", subtype="pdf", filename="ü.pdf")
    before, after = before_and_after(settings, inbound_request(content))
    assert after == before
    assert (before[0], len(before[1])) == (200, 1)


@each("case", ["no signature", "garbage base64", "other body", "wrong basic auth", "basic auth"])
@each("make", [webhook, mail], ids=["tracking", "inbound"])
def test_same_refusal_before_and_after_changing_the_include(settings, anymail, make, case):
    anymail["WEBHOOK_SECRET"] = ["user:password", "other:password"]
    request = make()
    if case == "wrong basic auth":
        request = without_header(request, "Authorization")
    elif case == "garbage base64":
        request = replace(request, headers={**request.headers, "X-Postal-Signature": "aW52YWxpZA=="})
        request = without_header(request, "X-Postal-Signature-256")
    elif case != "basic auth":
        request = ANSWERS[case][0](request)
    before, after = before_and_after(settings, request)
    assert after == before
    assert before[0] == (200 if case == "basic auth" else 400)


@pytest.mark.parametrize("make", [webhook, mail], ids=["tracking", "inbound"])
def test_same_complaint_about_a_wrong_url_before_and_after(settings, make):
    # The original does not recognize the envelope that Postal really sends.
    bare = signed(webhook(), b'{"status": "Sent"}')
    request = at(mail(), TRACKING) if make is mail else at(bare, INBOUND)
    complaints = []
    for urls in ("tests.anymail_postal.anymail_urls", "tests.anymail_postal.urls"):
        settings.ROOT_URLCONF = urls
        with pytest.raises(AnymailConfigurationError) as caught:
            request.send()
        complaints.append(str(caught.value))
    assert complaints[1].startswith(complaints[0])


def test_sender_is_not_anymails_view(tracked):
    webhook().send()
    assert tracked[0]["sender"] is not AnymailsTrackingView


# --- hostile ---

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    ["event", "payload", "uuid", "timestamp", "id", "mail_from", "message", "base64", "size", "bounce"]
)
json_bodies = st.dictionaries(names | st.text(), anything).map(lambda fields: json.dumps(fields).encode())
form_names = st.sampled_from(
    [b"id", b"rcpt_to", b"plain_body", b"message", b"base64", b"attachments%5B0%5D%5Bdata%5D"]
)
form_bodies = st.lists(st.tuples(form_names, st.binary(max_size=20)).map(b"=".join)).map(b"&".join)
bodies = st.binary(max_size=200) | json_bodies | form_bodies
content_types = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "", "multipart/form-data", "\xff"]
)


@given(bodies, content_types, st.sampled_from(["tracking", "inbound"]))
def test_any_signed_body_has_an_answer_of_the_table(body, content_type, kind):
    view = webhooks.VIEWS[kind]
    request = RequestFactory().generic("POST", "/", body, content_type, headers=testing.sign(body, KEY))
    with override_settings(ANYMAIL={"POSTAL_WEBHOOK_KEY": public_key(KEY)}):
        try:
            status = view.as_view()(request).status_code
        except AnymailConfigurationError as error:
            assert "You seem to have set" in str(error)  # noqa: PT017
        else:
            assert status in ((200, 400) if kind == "tracking" else (200, 503))


header_values = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=80)


@given(
    st.dictionaries(
        st.sampled_from(
            ["X_POSTAL_SIGNATURE", "X_POSTAL_SIGNATURE_256", "X_POSTAL_SIGNATURE_KID", "AUTHORIZATION"]
        ),
        header_values,
    ),
    st.sampled_from(["tracking", "inbound"]),
)
def test_any_headers_are_refused(headers, kind):
    request = RequestFactory().generic("POST", "/", b"{}", "application/json")
    request.META.update({f"HTTP_{name}": value for name, value in headers.items()})
    with override_settings(ANYMAIL={"POSTAL_WEBHOOK_KEY": public_key(KEY)}):
        assert webhooks.VIEWS[kind].as_view()(request).status_code in (400, 503)


# --- the recording ---


@pytest.mark.parametrize("algorithm", ["SHA-256", "SHA-1"])
def test_every_recorded_post_is_taken(anymail, tracked, received, algorithm):
    anymail["POSTAL_WEBHOOK_KEY"] = DKIM_RECORD
    client = Client()
    with listening(signals.inbound_failed) as failed:
        for posts, path in ((WEBHOOKS, TRACKING), (MAILS, INBOUND)):
            for post in posts:
                dropped = "HTTP_X_POSTAL_SIGNATURE" + ("_256" if algorithm == "SHA-1" else "")
                meta = {name: value for name, value in post.meta.items() if name != dropped}
                response = client.post(path, post.body, content_type=post.content_type, **meta)
                assert (response.status_code, response.content) == (200, b""), post.body
    assert len(received) == len(MAILS)
    incoming = sum(
        b'"direction":"incoming"' in post.body and b'"bounce":' not in post.body for post in WEBHOOKS
    )
    arrived = sum(
        b'"status":"Sent"' in post.body and b'"direction":"incoming"' in post.body for post in WEBHOOKS
    )
    assert len(failed) == incoming - arrived
    assert len(tracked) == len(WEBHOOKS) - incoming
