import base64
import json
import unittest
from dataclasses import replace

import pytest
from anymail.message import AnymailMessage
from anymail.signals import inbound as inbound_signal
from anymail.signals import tracking as tracking_signal
from django.core import mail
from django.core.mail import EmailMessage
from django.test import SimpleTestCase
from django.urls import NoReverseMatch

from anymail_postal import body, conf, events, signatures, testing
from anymail_postal.testing import PostalTestMixin, inbound_request, webhook_request
from anymail_postal.webhooks import PostalTrackingWebhookView
from tests.each import each

from .receivers import listening
from .recorded import MAILS, WEBHOOKS

pytestmark = pytest.mark.usefixtures("without_store", "empty_cache", "project")


@pytest.fixture
def project(settings):
    settings.ROOT_URLCONF = "tests.anymail_postal.urls"
    settings.ANYMAIL = {"POSTAL_SERVERS": {"second": {}}}
    return settings


# --- the shapes are those of the recording ---


def shape(value):
    """Types of a JSON value, key by key, in order."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return type(value).__name__ if value is not None else "null"


def recorded_shapes():
    found = {}
    for post in WEBHOOKS:
        fields = json.loads(post.body)
        found.setdefault(fields["event"], []).append(shape(fields))
    return found


RECORDED = recorded_shapes()


def assert_same_keys(ours, recorded):
    assert list(ours) == list(recorded)
    for key, value in recorded.items():
        if isinstance(value, dict):
            assert_same_keys(ours[key], value)


@each("event", RECORDED)
def test_webhook_has_the_keys_of_the_recorded_ones_in_their_order(event):
    assert_same_keys(shape(testing.webhook_body(event)), RECORDED[event][0])


@each("event", RECORDED)
def test_webhook_has_types_that_were_recorded(event):
    def types(fields):
        for key, value in fields.items():
            if isinstance(value, dict):
                yield from ((key, *rest) for rest in types(value))
            else:
                yield (key, value)

    recorded = {path for fields in RECORDED[event] for path in types(fields)}
    nullable = {("payload", "message", "tag"), ("payload", "original_message", "tag")}
    for path in types(shape(testing.webhook_body(event))):
        assert path in recorded or path[:-1] in nullable | {("payload", "sent_with_ssl"), ("payload", "time")}


@each("event", events.EVENT_TYPES)
def test_every_event_can_be_built_and_read(event):
    fields = testing.webhook_body(event)
    assert events.read(fields).postal.name == event
    assert fields != testing.webhook_body(event)


HASH = json.loads(next(post.body for post in MAILS if post.endpoint == "in"))
RAW = json.loads(next(post.body for post in MAILS if post.endpoint == "raw-json"))


def test_hash_has_the_keys_of_the_recorded_one_in_their_order():
    ours = testing.hash_fields("a@b.example", "c@d.example", {"plain_body": "x", "attachments": []})
    assert list(ours) == list(HASH)
    for name, value in HASH.items():
        assert None in (value, ours[name]) or type(value) is type(ours[name])


def test_raw_message_has_the_keys_of_the_recorded_one_in_their_order():
    assert shape(testing.raw_fields("a@b.example", "c@d.example", b"x" * 100)) == shape(RAW)
    assert testing.mime_base64(b"x" * 100).splitlines()[0] == base64.b64encode(b"x" * 45).decode()


@each("post", MAILS[:60:7] + WEBHOOKS[:60:7], ids=lambda post: post.endpoint)
def test_json_and_forms_are_written_as_postal_writes_them(post):
    fields = body.parse(post.body, post.content_type)
    if post.content_type == testing.FORM:
        # Line ends and quotes of form values may be escaped in more than one way.
        assert body.parse_form(testing.form_bytes(fields)) == fields
    else:
        assert testing.json_bytes(fields) == post.body


# --- values ---


def test_values_replace_fields_wherever_they_stand():
    fields = testing.webhook_body(
        "MessageDelayed", to="ann@example.com", sender="me@example.com", tag="x", id=5, output="451 later",
        details="Later", uuid="u", timestamp=1.5,
    )  # fmt: skip
    message = fields["payload"]["message"]
    assert (message["to"], message["from"], message["tag"], message["id"]) == (
        "ann@example.com",
        "me@example.com",
        "x",
        5,
    )
    assert (fields["payload"]["output"], fields["payload"]["details"]) == ("451 later", "Later")
    assert (fields["uuid"], fields["timestamp"]) == ("u", 1.5)


@pytest.mark.parametrize(
    ("event", "value"), [("MessageSent", "url"), ("DomainDNSError", "to"), ("MessageLoaded", "output")]
)
def test_value_that_an_event_does_not_have(event, value):
    with pytest.raises(TypeError, match=f"A {event} has no {value}"):
        testing.webhook_body(event, **{value: "x"})


def test_hash_field_that_postal_does_not_send():
    with pytest.raises(TypeError, match="has no text"):
        inbound_request({"text": "x"})


# --- requests ---


def test_request_is_signed_three_times():
    key = testing.make_key()
    request = webhook_request()
    keys = signatures.parse_keys(testing.public_key(key))
    signature = request.headers["X-Postal-Signature-256"], request.headers["X-Postal-Signature"]
    for headers in ((signature[0], None), (None, signature[1])):
        found = signatures.read_signature(*headers, request.headers["X-Postal-Signature-Kid"])
        assert signatures.verify(request.body, found, keys).id == testing.key_id(key)


def test_request_can_be_built_for_a_view():
    with testing.trusting(testing.make_key()):
        assert PostalTrackingWebhookView.as_view()(webhook_request().build()).status_code == 200


def test_requests_need_the_urls(project):
    project.ROOT_URLCONF = "tests.anymail_postal.test_testing"
    with pytest.raises(NoReverseMatch):
        webhook_request()


urlpatterns: list[object] = []


def test_trust_covers_every_server_and_goes_before_its_own_key(project):
    key = testing.make_key()
    project.ANYMAIL = {
        "POSTAL_SERVERS": {"default": {"webhook_key": "other"}, "second": {"webhook_jwks_url": True}},
        "POSTAL_TAG_SEPARATOR": "|",
    }
    with testing.trusting(key):
        for name in ("default", "second"):
            assert conf.server(name).webhook_key == testing.public_key(key)
            assert conf.server(name).webhook_jwks_url is None
            assert conf.server(name).tag_separator == "|"
    assert conf.server("default").webhook_key == "other"


MIME = "From: Ann <ann@remote.example>\nTo: in@example.test\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nHello\n"


@each("mime", [MIME, MIME.encode(), testing.simple_mail(subject="Grüße")], ids=["text", "bytes", "message"])
@each("format", ["RawMessage", "Hash"])
@each("encoding", ["BodyAsJSON", "FormData"])
def test_mail_in_every_form(mime, format, encoding):
    with testing.trusting(testing.make_key()), listening(inbound_signal) as calls:
        request = inbound_request(mime, format=format, encoding=encoding, mail_from=None)
        assert request.send().status_code == 200
    (call,) = calls
    message = call["event"].message
    assert (message.subject, message.text, message.envelope_sender) == ("Grüße", "Hello\n", None)


def test_hash_of_a_mail_has_its_bodies_and_attachments():
    message = testing.simple_mail("Text\n", reply_to="r@example.org", message_id="<id@example.org>")
    message.add_alternative("<p>HTML</p>", subtype="html")
    message.add_attachment(b"\0", maintype="application", subtype="pdf", filename="a.pdf")
    fields = testing.read_mime(message)
    assert fields["plain_body"].replace("\r\n", "\n") == "Text\n"
    assert fields["html_body"].strip() == "<p>HTML</p>"
    assert (fields["reply_to"], fields["message_id"]) == (["r@example.org"], "id@example.org")
    assert fields["attachments"] == [
        {"filename": "a.pdf", "content_type": "application/pdf", "size": 1, "data": "AA==\n"}
    ]


# --- for unittest ---


class Tests(PostalTestMixin, SimpleTestCase):
    """Run by the test below, as a project's runner would."""

    def test_receivers(self):
        with listening(tracking_signal) as tracked, listening(inbound_signal) as received:
            assert self.post_webhook("MessageBounced", to="ann@example.com").status_code == 200
            assert self.post_webhook(server="second").status_code == 200
            assert self.post_inbound({"subject": "Hi"}).status_code == 200
        assert [call["event"].postal.server for call in tracked] == ["default", "second"]
        assert [call["event"].message.subject for call in received] == ["Hi"]

    def test_mails(self):
        self.assert_no_unsupported([EmailMessage("Hi", "text", "a@example.com", ["b@example.com"])])


Tests.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["test_receivers", "test_mails"])
def test_mixin_trusts_its_key_during_a_test_only(name):
    result = unittest.TestResult()
    Tests(name)(result)
    assert (result.errors, result.failures, result.testsRun) == ([], [], 1)
    assert conf.server().webhook_key is None


# --- mails that Postal cannot send ---


def test_mails_that_postal_can_send():
    message = AnymailMessage(
        "Hi", "text", "a@example.com", ["b@example.com"], tags=["x"], metadata={"order": 7}
    )
    message.attach_alternative("<p>x</p>", "text/html")
    testing.assert_no_unsupported([message])


@pytest.mark.parametrize("given", [True, False], ids=["given", "outbox"])
def test_mails_that_postal_cannot_send(given):
    message = AnymailMessage("Twice tagged", "text", "a@example.com", ["b@example.com"], tags=["x", "y"])
    mail.outbox = [message]
    status = message.anymail_status
    with pytest.raises(AssertionError, match=r"Postal cannot send 'Twice tagged'.*tags"):
        testing.assert_no_unsupported([message] if given else None)
    assert message.anymail_status is status


def test_dropped_header_is_a_request_of_an_old_postal():
    request = webhook_request()
    names = ("X-Postal-Signature-256", "X-Postal-Signature-Kid")
    old = replace(request, headers={k: v for k, v in request.headers.items() if k not in names})
    with testing.trusting(testing.make_key()):
        assert old.send().status_code == 200
