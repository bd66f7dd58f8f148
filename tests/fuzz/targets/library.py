"""anymail_postal: what is posted to its views, signatures over it, and what comes back in addresses."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from pathlib import Path

from anymail_postal import body, classification, events, inbound, signatures, testing, wire
from anymail_postal.errors import (
    KeysUnavailable,
    ReplyTokenError,
    UnreadableBody,
    WebhookSignatureError,
)
from anymail_postal.metadata import open_message_id, seal
from anymail_postal.reply_address import ReplyToken, address_pattern, make_token, open_token
from anymail_postal.reply_text import extract_reply, whole_text
from postal_server.wire import endpoint

from . import target
from .mail import NESTED, PLAIN, REPLY, REPORT, WORDS, posted

SECRET = b"a secret of thirty-two bytes...."
TODAY = date(2026, 1, 2)
KEY = testing.make_key()
KEYS = signatures.parse_keys(testing.public_key(KEY))


OUR_WEBHOOKS = json.loads(
    (Path(__file__).parents[2] / "corpus" / "wire" / "our_webhooks.json").read_text("utf-8")
)


def webhook(event: str) -> bytes:
    return b"\x00" + json.dumps(testing.webhook_body(event, timestamp=1.5)).encode()


@target(
    [
        b"\x00" + webhook(name)
        for name in (
            "MessageSent",
            "MessageBounced",
            "MessageLinkClicked",
            "DomainDNSError",
            "MessageComplained",
            "SuppressionRemoved",
        )
    ]
    + [b"\x00" + json.dumps(post).encode() for posts in OUR_WEBHOOKS.values() for post in posts],
    (
        b'"classification":{',
        b'"class":',
        b'"suppressed":{',
        b'"report":{',
        b'"status":',
        b'"bounce":{',
        b'"original_message":{',
        b'"timestamp":',
        b"1e999",
        b"null",
        b"\\ud800",
        b"Held",
    ),
)
def webhook_bodies(data: bytes) -> None:
    """A webhook: an event, or unreadable."""
    content_type = body.FORM if data[:1] == b"\x01" else "application/json"
    with contextlib.suppress(UnreadableBody):
        fields = body.parse(data[1:], content_type)
        event = events.read(
            fields,
            server="default",
            event_types=events.EVENT_TYPES,
            options=events.Options(held_suppressed_as_rejected=True, blocked_as_failed=True),
            tag_separator=",",
            find_metadata=lambda facts: None,
        )
        assert isinstance(event.event_type, str)
        facts = event.postal
        for text in (event.recipient, facts.details, facts.token, event.reject_reason, *event.tags):
            (text or "").encode()
        for part in (
            facts.classification,
            facts.suppression,
            facts.report,
            facts.complaint,
            facts.auto_reply,
        ):
            texts = [value for value in vars(part).values() if isinstance(value, str)] if part else []
            assert all(len(text.encode()) <= 4 * classification.DIAGNOSTIC for text in texts)
    with contextlib.suppress(wire.WireError):
        wire_answer(data[1:])


def wire_answer(data: bytes) -> None:
    """The same bytes as an answer of the API."""
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return
    answer = wire.read_answer(parsed)
    for read in (wire.read_send, wire.read_message, wire.read_deliveries):
        with contextlib.suppress(wire.WireError):
            read(answer.data, "default")


@target(
    [
        *[
            (b"\x01" if encoding == endpoint.AS_FORM else b"\x00") + posted(mail, format, encoding)
            for mail in (PLAIN, NESTED)
            for format in (endpoint.HASH, endpoint.RAW)
            for encoding in (endpoint.AS_JSON, endpoint.AS_FORM)
        ],
        *[b"\x02" + mail for mail in (PLAIN, NESTED, REPORT, REPLY)],
    ],
    (
        *WORDS,
        b'"message":"',
        b'"attachments":[{',
        b"attachments[0][data]=",
        b'"reply_to":',
        b"%00",
        b"\\udc80",
    ),
)
def inbound_bodies(data: bytes) -> None:
    """Incoming mail in the four formats, or the mail itself: readable to its last part, or unreadable."""
    kind, content = data[:1], data[1:]
    try:
        if kind == b"\x02":
            fields = {
                "id": 1,
                "rcpt_to": "a@b.example",
                "message": content.decode("latin-1"),
                "base64": False,
            }
        else:
            fields = body.parse(content, body.FORM if kind == b"\x01" else "application/json")
        event = inbound.read(fields)
    except UnreadableBody:
        return
    read_all(event.message)
    if kind == b"\x02":
        read_all(inbound.parse(content))
        inbound.parse(content, headers_only=True)


@target(
    [
        b"\x00Yes.\n\nOn Tue, Jun 3, 2025 at 10:00 AM Ann <a@example.org> wrote:\n\n> x\n\n-- \nBob",
        b"\x00Ja\n\n"
        + b"_" * 32
        + b"\nVon: Ann <a@example.org>\nGesendet: 3. Juni 2025 10:00\nAn: B\nBetreff: x\n\ny",
        b'\x01<div>Yes<br></div><div class="gmail_quote"><div class="gmail_attr">On x, a@b wrote:<br></div>'
        b'<blockquote class="gmail_quote">x</blockquote></div><p>below</p>',
        b'\x01<body><p>Ok<div id="divRplyFwdMsg"><b>From:</b> A</div><pre>a\n&gt; b</pre></body>',
    ],
    (
        b"> ",
        b"\n",
        b" wrote:",
        b"From: a@b\n",
        b"<blockquote>",
        b"</div>",
        b"<!--",
        b"'",
        b'"',
        b"&#62;",
        b"<hr>",
    ),
)
def reply_bodies(data: bytes) -> None:
    """Text and HTML of a reply: what is left was there before, in this order."""
    content = data[1:].decode("utf-8", "replace")
    if data[:1] == b"\x01":
        html = extract_reply(None, content).html
        found = iter(content)
        assert html is not None
        assert all(character in found for character in html)
        assert whole_text(None, content).html == content.replace("\0", "")
    else:
        left = extract_reply(content).text
        found_words = iter(content.split())
        assert left is not None
        assert all(word in found_words for word in left.replace("\0", "").split()) or "\0" in content


def read_all(message: inbound.InboundMessage) -> None:
    """Everything that a project may ask of a mail."""
    message.from_email, message.to, message.cc, message.date, message.subject  # noqa: B018
    text, html = message.text, message.html
    extract_reply(text, html)
    for part in (*message.attachments, *message.content_id_map.values()):
        part.get_filename()
        part.get_content_type()
        if part.get_content_maintype() != "multipart":  # whose contents are its parts
            part.get_content_bytes()
        if part.get_content_maintype() in ("text", "message"):
            part.get_content_text()
    message.as_bytes()


@target(
    [
        testing.public_key(KEY).encode(),
        b"v=DKIM1; t=s; h=sha256; p=" + testing.public_key(KEY).encode(),
        b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"x"}]}',
        b"-----BEGIN PUBLIC KEY-----\n" + testing.public_key(KEY).encode() + b"\n-----END PUBLIC KEY-----\n",
        testing.sign(b"body", KEY)["X-Postal-Signature-256"].encode(),
    ],
    (b'"kty":"RSA"', b'"keys":[', b"-----BEGIN RSA PUBLIC KEY-----", b"k=rsa;", b"p="),
)
def signature_texts(data: bytes) -> None:
    """Public keys in any spelling, and signatures: only Postal's own is good."""
    text = data.decode("latin-1")
    with contextlib.suppress(signatures.BadPublicKey):
        assert all(key.rsa.key_size >= signatures.MIN_KEY_BITS for key in signatures.parse_keys(text))
    with contextlib.suppress(signatures.BadPublicKey, ValueError):
        signatures.parse_jwks(json.loads(text))
    for sha256, sha1, kid in ((text, None, None), (None, text, None), (text, text, text)):
        with contextlib.suppress(WebhookSignatureError, KeysUnavailable):
            found = signatures.verify(b"other", signatures.read_signature(sha256, sha1, kid), KEYS)
            raise AssertionError(f"accepted by {found.id}")


TOKENS = [
    make_token(token, SECRET, "reply")
    for token in (ReplyToken(41, 5), ReplyToken(2**40, None, date(2030, 1, 1)), ReplyToken(7, None, TODAY))
]
SEALED = seal({"id": 7}, SECRET, bytes(12), "example.test")
PATTERN = address_pattern("reply", "replies.example")


@target(
    [*[token.encode() for token in TOKENS], f"<{SEALED}>".encode(), b"reply+x@replies.example."],
    (b"reply+", b"%2B"),
)
def reply_tokens(data: bytes) -> None:
    """Reply addresses and sealed Message-IDs: each good one is exactly as it was made."""
    text = data.decode("utf-8", "replace")
    for token in (text, *PATTERN.findall(text)):
        with contextlib.suppress(ReplyTokenError):
            opened = open_token(token, [b"another", SECRET], "reply", TODAY)
            assert make_token(opened, SECRET, "reply") == token.lower()
            assert token.lower() in TOKENS
    metadata = open_message_id(text, [b"another", SECRET])
    assert metadata is None or text.strip().strip("<>").partition("@")[0] == SEALED.partition("@")[0]
