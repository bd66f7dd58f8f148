"""Signed requests for every event and inbound format, to test a project's receivers without Postal.

    class ReceiverTests(PostalTestMixin, TestCase):
        def test_bounce_marks_the_contact(self):
            self.post_webhook("MessageBounced", to="ann@example.com")
            self.assertTrue(Contact.objects.get(email="ann@example.com").bounced)

For pytest, the fixtures `postal_webhook` and `postal_inbound` do the same.
"""

from __future__ import annotations

import base64
import copy
import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage as MimeMessage
from email.message import Message
from functools import cache
from itertools import count
from typing import Any, Literal, cast
from urllib.parse import quote, quote_plus

import django.core.mail
from anymail.exceptions import AnymailUnsupportedFeature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.http import HttpRequest
from django.test import Client, RequestFactory, override_settings
from django.urls import NoReverseMatch, reverse

from . import conf, metadata
from .backend import EmailBackend
from .body import FORM
from .signatures import parse_keys

Format = Literal["Hash", "RawMessage"]
Encoding = Literal["BodyAsJSON", "FormData"]
Mime = bytes | str | Message
Signing = rsa.RSAPrivateKey

KEY_BITS = 1024  # as Postal's installer makes them, and fast
_numbers = count(1)


# --- the key ---


@cache
def make_key() -> Signing:
    """The private key for tests, one per process."""
    return rsa.generate_private_key(65537, KEY_BITS)


def public_key(key: Signing) -> str:
    """The value of POSTAL_WEBHOOK_KEY for a private key."""
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


def key_id(key: Signing) -> str:
    """The id of a key in X-Postal-Signature-Kid."""
    return parse_keys(public_key(key))[0].id


def trusting(key: Signing) -> override_settings:
    """Settings with which all servers accept requests signed with `key`."""
    servers = conf.global_value(conf.SERVERS)
    trusted = {"webhook_key": public_key(key), "webhook_jwks_url": None}
    return override_settings(
        ANYMAIL={
            **conf.anymail_settings(),
            "POSTAL_WEBHOOK_KEY": public_key(key),
            "POSTAL_SERVERS": {name: {**servers.get(name, {}), **trusted} for name in conf.server_names()},
        }
    )


def sign(body: bytes, key: Signing) -> dict[str, str]:
    """The three headers of Postal's signature of a body."""
    pkcs1 = padding.PKCS1v15()
    return {
        "X-Postal-Signature-Kid": key_id(key),
        "X-Postal-Signature": base64.b64encode(key.sign(body, pkcs1, hashes.SHA1())).decode(),  # noqa: S303
        "X-Postal-Signature-256": base64.b64encode(key.sign(body, pkcs1, hashes.SHA256())).decode(),
    }


# --- requests ---


@dataclass(frozen=True)
class PostalRequest:
    """A request as Postal sends it. `dataclasses.replace` changes it, such as to damage its signature."""

    path: str
    body: bytes = field(repr=False)
    content_type: str
    headers: Mapping[str, str]

    def send(self, client: Client | None = None) -> Any:
        """The response of the view at `path`."""
        return (client or Client()).post(self.path, **self._arguments())

    def build(self) -> HttpRequest:
        """The request as an argument for a view."""
        return RequestFactory().post(self.path, **self._arguments())

    def _arguments(self) -> dict[str, Any]:
        return {"data": self.body, "content_type": self.content_type, "headers": dict(self.headers)}


def webhook_request(
    event: str = "MessageSent",
    *,
    key: Signing | None = None,
    server: str = conf.DEFAULT_SERVER,
    **values: Any,
) -> PostalRequest:
    """A signed webhook. `values` are those of `webhook_body`; `key` is `make_key()` by default."""
    return _signed("tracking", json_bytes(webhook_body(event, **values)), "application/json", key, server)


def inbound_request(
    mime: Mime | Mapping[str, Any],
    *,
    mail_from: str | None = "sender@example.org",
    rcpt_to: str = "inbound@example.com",
    format: Format | None = None,
    encoding: Encoding = "BodyAsJSON",
    key: Signing | None = None,
    server: str = conf.DEFAULT_SERVER,
) -> PostalRequest:
    """A signed request with an incoming mail, as an HTTP endpoint with these settings sends it.

    `mime` is a mail, which is sent in the format RawMessage by default, or a dict with fields of the format
    Hash. Missing fields have the values of a simple mail.
    """
    if isinstance(mime, Mapping):
        fields = hash_fields(mail_from, rcpt_to, {"plain_body": "Hello\n", **mime})
    elif format == "Hash":
        fields = hash_fields(mail_from, rcpt_to, read_mime(mime))
    else:
        fields = raw_fields(mail_from, rcpt_to, mime_bytes(mime))
    if encoding == "FormData":
        return _signed("inbound", form_bytes(fields), FORM, key, server)
    return _signed("inbound", json_bytes(fields), "application/json", key, server)


def _signed(kind: str, body: bytes, content_type: str, key: Signing | None, server: str) -> PostalRequest:
    headers = sign(body, key or make_key())
    secret = next(iter(conf.server(server).webhook_secret), None)
    if secret is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    return PostalRequest(find_url(kind, server), body, content_type, headers)


def find_url(kind: str, server: str = conf.DEFAULT_SERVER) -> str:
    """The path of a view in the project's URLs. Raises `NoReverseMatch` if it is not included."""
    name, arguments = f"postal_{kind}_webhook", {}
    if server != conf.DEFAULT_SERVER:
        name, arguments = f"postal_server_{kind}_webhook", {"server": server}
    try:
        return reverse(f"anymail_postal:{name}", kwargs=arguments)  # the include beside anymail.urls
    except NoReverseMatch:
        return reverse(f"anymail:{name}", kwargs=arguments)


def json_bytes(fields: Mapping[str, Any]) -> bytes:
    """JSON as Postal writes it: compact, UTF-8, with `<`, `>` and `&` escaped."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def form_bytes(fields: Mapping[str, Any]) -> bytes:
    """A form as Postal writes it: None is a bare key, attachments are flat (contract 4.7)."""
    pairs: list[tuple[str, Any]] = []
    for name, value in fields.items():
        if name == "attachments":
            for number, attachment in enumerate(value):
                pairs += [(f"attachments[{number}][{key}]", each) for key, each in attachment.items()]
        elif isinstance(value, list):
            pairs += [(name, each) for each in value]
        else:
            pairs.append((name, value))
    return "&".join(
        quote(name) if value is None else f"{quote(name)}={quote_plus(_form_value(value))}"
        for name, value in pairs
    ).encode()


def _form_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- webhooks ---

STATUS = {
    "MessageSent": ("Sent", "Message for {to} accepted by 192.0.2.1:25 (mx.example.com)", "250 2.0.0 Ok"),
    "MessageDelayed": (
        "SoftFail",
        "Temporary SMTP delivery error when sending to 192.0.2.1:25 (mx.example.com)",
        "451 4.7.1 try again later",
    ),
    "MessageDeliveryFailed": (
        "HardFail",
        "Permanent SMTP delivery error when sending to 192.0.2.1:25 (mx.example.com)",
        "550 5.1.1 no such user",
    ),
    "MessageHeld": ("Held", "Recipient ({to}) is on the suppression list (reason: too many hard fails)", ""),
}
SERVER = {
    "uuid": "e6a1d8a2-3c1c-4d1d-9a5e-0f6ac1d1a3c5",
    "name": "Example",
    "permalink": "example",
    "organization": "example",
}
WHAT_CAME_BACK: Mapping[str, dict[str, Any]] = {
    "MessageComplained": {
        "complaint": {
            "type": "abuse",
            "source": "192.0.2.1",
            "operator": "mail.example",
            "user_agent": "Feedback/1.0",
            "received_at": None,
            "evidence": "strong",
        },
        "suppressed": {"scope": "stream:news", "reason": "complaint", "keep_until": None},
    },
    "MessageUnsubscribed": {
        "unsubscribe": {"how": "one-click", "ip_address": "192.0.2.7"},
        "suppressed": {"scope": "stream:news", "reason": "unsubscribe", "keep_until": None},
    },
    "MessageAutoReplied": {"reply": {"subject": "Out of office", "challenge": False}},
}
# What our server adds to the payloads of Postal's events.
OUR_KEYS = {
    **dict.fromkeys(STATUS, ("classification",)),
    "MessageHeld": ("classification", "hold_reason", "hold_expires_at", "suppression"),
    "MessageBounced": ("classification", "report"),
}


def webhook_body(event: str, **values: Any) -> dict[str, Any]:
    """The fields of a webhook of Postal (contract 3.3), or of an event that only our server has.

    `values` replace fields of the webhook (`uuid`, `timestamp`), of the message (`to`, `sender` for `from`,
    `subject`, `tag`, `id`, `message_id`, `direction`) or of the payload (`details`, `output`, `url`,
    `user_agent`). What only our server sends is there if it is given: `stream`, `classification` (such as
    `{"class": "mailbox_full"}`), `report`, `hold_reason`, `suppression`. `metadata` is sealed in the
    Message-ID. Raises TypeError for names that the event lacks.
    """
    if "sender" in values:
        values["from"] = values.pop("sender")
    if "metadata" in values:
        values["message_id"] = _seal(values.pop("metadata"))
    fields: dict[str, Any] = {
        "event": event,
        "timestamp": time.time(),
        "payload": {},
        "uuid": str(uuid.uuid4()),
    }
    _take(values, fields)
    message = _message()
    if event.startswith("Message"):
        _take(values, message)
        if "stream" in values:
            message["stream"] = values.pop("stream")
    fields["payload"] = fields["payload"] or _payload(event, message)
    _take(values, fields["payload"])
    ours = values.keys() & OUR_KEYS.get(event, ())
    fields["payload"].update({name: values.pop(name) for name in sorted(ours)})
    if values:
        raise TypeError(f"A {event} has no {', '.join(sorted(values))}.")
    return fields


def _take(values: dict[str, Any], fields: dict[str, Any]) -> None:
    """Move the values with these names to the fields."""
    for name in fields.keys() & values.keys():
        fields[name] = values.pop(name)


def _payload(event: str, message: dict[str, Any]) -> dict[str, Any]:
    if event in STATUS:
        return _delivery(event, message)
    if event == "MessageBounced":
        report = {**_message(), "message_id": None, "from": None, "to": "abcdef@rp.example.com"}
        report["direction"] = "incoming"
        return {"original_message": message, "bounce": report}
    if event == "MessageHoldCancelled":
        return {"message": message, "hold_reason": "send_limit", "by": "expiry"}
    if event in WHAT_CAME_BACK:
        return {"original_message": message, **WHAT_CAME_BACK[event]}
    if event.startswith("Suppression"):
        return {"suppression": _suppression(has_ended=event == "SuppressionRemoved")}
    if event == "DomainDNSError":
        return _dns_error()
    if event.startswith("SendLimit"):
        return {"server": SERVER, "volume": 90, "limit": 100}
    visit = {"ip_address": "192.0.2.7", "user_agent": "Mozilla/5.0"}
    if event == "MessageLinkClicked":
        return {"message": message, "url": "https://example.com/", "token": secrets.token_hex(8), **visit}
    return {"message": message, **visit}


def _message() -> dict[str, Any]:
    number = next(_numbers)
    return {
        "id": number,
        "token": secrets.token_hex(8),
        "direction": "outgoing",
        "message_id": f"{uuid.uuid4()}@rp.example.com",
        "to": "recipient@example.com",
        "from": "sender@example.com",
        "subject": f"Message {number}",
        # More than a minute old: for newer messages the view may ask Postal to repeat the webhook.
        "timestamp": time.time() - 120,
        "spam_status": "NotChecked",
        "tag": None,
    }


def _delivery(event: str, message: Mapping[str, Any]) -> dict[str, Any]:
    status, details, output = STATUS[event]
    return {
        "message": message,
        "status": status,
        "details": details.format(to=message["to"]),
        "output": output,
        "sent_with_ssl": None if status == "Held" else True,
        "timestamp": time.time(),
        "time": None if status == "Held" else 0.25,
    }


def _suppression(*, has_ended: bool) -> dict[str, Any]:
    now = time.time()
    return {
        "address": "recipient@example.com",
        "scope": "",
        "reason": "bad_address",
        "text": "too many hard fails",
        "source_message": next(_numbers),
        "evidence": {"answer": "550 5.1.1 no such user", "code": "550", "rule": "no such user"},
        "times": 1,
        "created_at": now,
        "keep_until": now + 30 * 86400,
        "ended_at": now if has_ended else None,
        "ended_by": "admin" if has_ended else None,
    }


def _dns_error() -> dict[str, Any]:
    checks: dict[str, Any] = {}
    for check in ("spf", "dkim", "mx", "return_path"):
        checks |= {f"{check}_status": "OK", f"{check}_error": None}
    return {
        "server": SERVER,
        "domain": "example.com",
        "uuid": str(uuid.uuid4()),
        "dns_checked_at": time.time(),
        **checks,
        "spf_status": "Missing",
        "spf_error": "No SPF record exists for this domain",
    }


def _seal(values: Mapping[str, Any]) -> str:
    secret = conf.secret_keys(conf.server())[0]
    return metadata.seal(values, secret, secrets.token_bytes(metadata.NONCE_BYTES), "example.com")


# --- incoming mail ---


def raw_fields(mail_from: str | None, rcpt_to: str, mail: bytes) -> dict[str, Any]:
    """The fields of a request in the format RawMessage."""
    return {
        "id": next(_numbers),
        "rcpt_to": rcpt_to,
        "mail_from": mail_from,
        "message": mime_base64(mail),
        "base64": True,
        "size": len(mail),
    }


def hash_fields(mail_from: str | None, rcpt_to: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request in the format Hash. Raises TypeError for a field that Postal does not send."""
    number = next(_numbers)
    simplest = {
        "id": number,
        "rcpt_to": rcpt_to,
        "mail_from": mail_from,
        "token": secrets.token_hex(8),
        "subject": f"Mail {number}",
        "message_id": f"{uuid.uuid4()}@example.org",
        "timestamp": time.time(),
        "size": "1024",
        "spam_status": "NotSpam",
        "bounce": False,
        "received_with_ssl": True,
        "to": rcpt_to,
        "cc": None,
        "from": mail_from,
        "date": "Tue, 03 Jan 2023 04:05:06 +0100",
        "in_reply_to": None,
        "references": None,
        "html_body": None,
        "attachment_quantity": len(fields.get("attachments", ())),
        "auto_submitted": None,
        "reply_to": None,
        "plain_body": None,
    }
    unknown = fields.keys() - simplest.keys() - {"attachments", "replies_from_plain_body"}
    if unknown:
        raise TypeError(f"A Hash post has no {', '.join(sorted(unknown))}.")
    return {**simplest, **fields}


def read_mime(mime: Mime) -> dict[str, Any]:
    """The fields of the format Hash that Postal makes from a mail."""
    mail = mime_bytes(mime)
    message = message_from_bytes(mail)
    fields: dict[str, Any] = {
        "size": str(len(mail)),
        "plain_body": None,
        "html_body": None,
        "attachments": [],
    }
    for name in ("Subject", "To", "Cc", "From", "Date", "In-Reply-To", "References", "Auto-Submitted"):
        fields[name.lower().replace("-", "_")] = _decoded_header(message, name)
    fields["message_id"] = (_decoded_header(message, "Message-ID") or "").strip("<>") or None
    reply_to = _decoded_header(message, "Reply-To")
    fields["reply_to"] = [reply_to] if reply_to else None
    for part in message.walk():
        if part.is_multipart():
            continue
        content = cast(bytes, part.get_payload(decode=True))
        body = {"text/plain": "plain_body", "text/html": "html_body"}.get(part.get_content_type())
        if part.get_filename() or part.get_content_disposition() == "attachment":
            fields["attachments"].append(
                {
                    "filename": part.get_filename(),
                    "content_type": part.get_content_type(),
                    "size": len(content),
                    "data": mime_base64(content),
                }
            )
        elif body and fields[body] is None:
            fields[body] = content.decode(part.get_content_charset("us-ascii"), "replace")
    fields["attachment_quantity"] = len(fields["attachments"])
    return fields


def _decoded_header(message: Message, name: str) -> str | None:
    value = message.get(name)
    return None if value is None else str(make_header(decode_header(value)))


def mime_bytes(mime: Mime) -> bytes:
    """The bytes of a mail with CRLF line endings."""
    if isinstance(mime, Message):
        mime = mime.as_bytes()
    elif isinstance(mime, str):
        mime = mime.encode()
    return b"\r\n".join(mime.replace(b"\r\n", b"\n").split(b"\n"))


def mime_base64(content: bytes) -> str:
    """Base64 in lines of 60 characters, as Ruby writes it."""
    text = base64.b64encode(content).decode()
    return "".join(f"{text[start : start + 60]}\n" for start in range(0, len(text), 60))


def simple_mail(text: str = "Hello\n", **headers: str) -> MimeMessage:
    """A small mail. `headers` are written with `_` for `-`, such as `in_reply_to`."""
    message = MimeMessage()
    defaults = {"from": "Ann Example <sender@example.org>", "to": "inbound@example.com", "subject": "Hello"}
    for name, value in {**defaults, **headers}.items():
        message[name.replace("_", "-").title()] = value
    message.set_content(text)
    return message


# --- sending ---


def assert_no_unsupported(messages: Iterable[Any] | None = None) -> None:
    """Fail if a mail has a feature that Postal does not support; by default the mails in `mail.outbox`.

    For tests that send through another backend. Raises AssertionError, which names the subject and the
    feature.
    """
    backend = EmailBackend(
        api_key="test", api_url="https://postal.example.com", ignore_unsupported_features=False
    )
    for message in django.core.mail.outbox if messages is None else messages:
        try:
            payload = backend.build_message_payload(copy.copy(message), backend.send_defaults)
            for build in payload.call_builders():
                build()
        except AnymailUnsupportedFeature as error:
            raise AssertionError(f"Postal cannot send {message.subject!r}: {error}") from error


# --- unittest ---


class PostalTestMixin:
    """A mixin for `django.test.SimpleTestCase` and its subclasses, which sends Postal's requests."""

    client: Client
    addCleanup: Callable[..., None]  # noqa: N815

    postal_key: Signing

    def setUp(self) -> None:
        """Trust the test key."""
        super().setUp()  # type: ignore[misc]
        self.postal_key = make_key()
        trust = trusting(self.postal_key)
        trust.enable()
        self.addCleanup(trust.disable)

    def post_webhook(self, event: str = "MessageSent", **values: Any) -> Any:
        """Send a webhook and return the response. The arguments are those of `webhook_request`."""
        return webhook_request(event, key=self.postal_key, **values).send(self.client)

    def post_inbound(self, mime: Mime | Mapping[str, Any], **options: Any) -> Any:
        """Send an incoming mail and return the response. The arguments are those of `inbound_request`."""
        return inbound_request(mime, key=self.postal_key, **options).send(self.client)

    def assert_no_unsupported(self, messages: Iterable[Any] | None = None) -> None:
        """See `anymail_postal.testing.assert_no_unsupported`."""
        assert_no_unsupported(messages)
