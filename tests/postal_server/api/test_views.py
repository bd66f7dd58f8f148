"""The API beyond the recordings: limits, hostile input, what is stored, where we do better than Postal."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postal_server.api import views
from postal_server.errors import Busy
from postal_server.services.acceptance import submission
from tests.each import each

from ..recorded_installation import NAMES, Reply, call

SEND, RAW = "/api/v1/send/message", "/api/v1/send/raw"
SHOW, DELIVERIES = "/api/v1/messages/message", "/api/v1/messages/deliveries"
MAIL = {"to": ["ann@dest.example"], "from": "x@example.test", "plain_body": "Hello"}


def post(app: Any, path: str, parameters: Any, key: str = "api_key", **headers: str) -> Reply:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers = {"X-Server-API-Key": NAMES[key], "Content-Type": "application/json", **headers}
    body = parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode()
    return call(app, path, headers=headers, body=body)


def code(reply: Reply) -> str:
    body = reply.json()
    return body["data"].get("code", body["status"])


class Unreadable(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise AssertionError("The body must not be read")


def test_too_large_a_body_is_refused_before_it_is_read(app) -> None:
    headers = {"X-Server-API-Key": NAMES["api_key"], "Content-Length": str(views.MAX_BODY_BYTES + 1)}
    reply = call(app, SEND, headers=headers, stream=Unreadable())
    assert (reply.status, code(reply)) == (413, "MessageTooLarge")
    assert reply.header("content-type") == "application/json; charset=utf-8"


def test_too_large_a_chunked_body_is_refused(app, monkeypatch) -> None:
    monkeypatch.setattr(views, "MAX_BODY_BYTES", 100)
    headers = {"X-Server-API-Key": NAMES["api_key"], "Transfer-Encoding": "chunked"}
    reply = call(app, SEND, headers=headers, body=None)
    assert code(reply) == "NoRecipients"
    assert call(app, SEND, headers=headers, body=None, stream=io.BytesIO(b"x" * 101)).status == 413


@each("path", [SEND, RAW])
def test_too_large_a_message_is_refused(app, journal, monkeypatch, path) -> None:
    monkeypatch.setattr(submission, "MAX_API_MESSAGE_BYTES", 100)
    raw = "RnJvbTogeEBleGFtcGxlLnRlc3QNCg0K" + "eHh4eHh4" * 30
    parameters = {**MAIL, "rcpt_to": ["ann@dest.example"], "mail_from": "x@example.test", "data": raw}
    reply = post(app, path, parameters)
    assert (reply.status, code(reply), journal.accepted) == (413, "MessageTooLarge", [])


def test_busy_journal_is_a_503_that_says_when_to_come_again(app, journal) -> None:
    journal.busy = Busy("The database cannot keep up.", retry_after=7)
    reply = post(app, SEND, MAIL)
    assert (reply.status, reply.header("retry-after"), code(reply)) == (503, "7", "Busy")


def test_key_is_checked_before_the_journal(app, journal) -> None:
    journal.busy = Busy("The database cannot keep up.")
    reply = post(app, SEND, MAIL, X_Server_API_Key="nosuchkey")
    assert (reply.status, code(reply)) == (200, "InvalidServerAPIKey")


def test_headers_of_a_good_answer_stand_in_postals_order(app) -> None:
    names = [name for name, _ in post(app, SEND, MAIL).headers]
    assert names == [
        "content-type",
        "etag",
        "cache-control",
        "x-request-id",
        "x-runtime",
        "x-frame-options",
        "x-content-type-options",
        "x-xss-protection",
        "x-download-options",
        "x-permitted-cross-domain-policies",
        "content-security-policy",
        "content-length",
    ]


def test_head_is_answered_without_a_body(app) -> None:
    reply = call(app, SEND, method="HEAD")
    assert (reply.status, reply.body, reply.header("content-length")) == (200, b"", "118")


@each("method", ["DELETE", "OPTIONS", "TRACE", "FOO"])
def test_other_methods_are_not_found(app, method) -> None:
    assert call(app, SEND, method=method).status == 404


@each(
    "host, forwarded, status",
    [
        ("postal.example.test", "", 200),
        ("postal.example.test:5000", "", 200),
        ("POSTAL.example.test.", "", 200),
        ("other.example", "", 403),
        ("", "", 403),
        ("postal.example.test", "a.example, postal.example.test", 200),
        ("postal.example.test", "other.example", 403),
        ("postal.example.test@evil.example", "", 403),
    ],
)
def test_only_our_host_is_answered(app, host, forwarded, status) -> None:
    headers = {"Host": host, **({"X-Forwarded-Host": forwarded} if forwarded else {})}
    assert call(app, SEND, headers=headers).status == status


def test_refused_host_has_no_request_id(app) -> None:
    names = [name for name, _ in call(app, SEND, headers={"Host": "other.example"}).headers]
    assert "x-request-id" not in names
    assert names[-1] == "content-length"


def test_request_id_of_a_proxy_is_kept_clean(app) -> None:
    reply = call(app, SEND, headers={"X-Request-Id": "abc\r\nX: 1\xe9"})
    assert reply.header("x-request-id") == "abcX1"


def test_one_recipient_named_twice_gets_one_mail(app, journal) -> None:
    names = ["ann@dest.example", "Ann <ann@DEST.example>", "ann@dest.example", "Ann@dest.example"]
    reply = post(app, SEND, {**MAIL, "to": names})
    messages = reply.json()["data"]["messages"]
    assert [m.rcpt_to for m in journal.accepted[0].messages] == ["ann@dest.example", "Ann@dest.example"]
    assert messages["ann@dest.example"] == messages["ann@DEST.example"] != messages["Ann@dest.example"]


@each(
    "sender",
    [
        "<ceo@bank.example>, <x@example.test>",
        "ceo@bank.example, x@example.test",
        "ceo@bank.example <x@example.test> <y@bank.example>",
        "x@example.test.evil.example",
        "x@sub.example.test",
        "x",
    ],
)
def test_every_from_address_must_be_authorized(app, sender) -> None:
    assert code(post(app, SEND, {**MAIL, "from": sender})) == "UnauthenticatedFromAddress"


def test_every_from_field_of_a_raw_message_must_be_authorized(app) -> None:
    raw = b"From: ceo@bank.example\r\nFrom: x@example.test\r\n\r\nHello"
    assert code(send_raw(app, raw)) == "UnauthenticatedFromAddress"


def send_raw(app: Any, raw: bytes, **parameters: Any) -> Reply:
    data = {"rcpt_to": ["a@dest.example"], "mail_from": "x@example.test", "data": encode(raw)}
    return post(app, RAW, {**data, **parameters})


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        (b"From: x@example.test\r\n\r\nHi", b"From: x@example.test\r\n\r\nHi"),
        (b"From: x@example.test\nX: y\n\nHi\n", b"From: x@example.test\nX: y\r\n\r\nHi\n"),
        (b"From: x@example.test", b"From: x@example.test\r\n\r\n"),
    ],
    ids=["CRLF", "LF", "no empty line"],
)
def test_raw_message_is_stored_as_header_empty_line_body(app, journal, raw, stored) -> None:
    own = b"Message-ID: <a@b.example>\r\nDate: Fri, 2 Jan 2026 03:04:05 +0000\r\n"
    send_raw(app, own + raw)
    assert journal.accepted[0].raw == own + stored


def test_a_raw_message_without_a_message_id_gets_one_and_the_answer_names_it(app, journal) -> None:
    answer = send_raw(app, b"From: x@example.test\r\n\r\nHi").json()
    identifier = answer["data"]["message_id"]
    assert re.fullmatch(r"[0-9a-f-]{36}@rp\.postal\.example\.test", identifier)
    assert b"Message-ID: <%s>\r\n" % identifier.encode() in journal.accepted[0].raw
    assert journal.accepted[0].message_id == identifier


@pytest.mark.parametrize(
    ("parameters", "tag"),
    [
        ({"tag": "a"}, "a"),
        ({"tag": 7}, "7"),
        ({"headers": {"X-Postal-Tag": "by-header"}}, "by-header"),
        ({"tag": "a", "headers": {"X-Postal-Tag": "by-header"}}, "a"),
        ({"tag": "  "}, None),
        ({}, None),
    ],
)
def test_tag_comes_from_the_parameter_or_the_header(app, journal, parameters, tag) -> None:
    post(app, SEND, {**MAIL, **parameters})
    assert journal.accepted[0].tag == tag


@pytest.mark.parametrize(
    ("value", "is_bounce"), [(True, True), (0, True), ("", True), (False, False), (None, False)]
)
def test_bounce_is_any_value_but_false_and_null(app, journal, value, is_bounce) -> None:
    post(app, SEND, {**MAIL, "bounce": value})
    assert journal.accepted[0].messages[0].is_bounce is is_bounce


def test_what_is_stored_names_domain_credential_and_lane(app, journal, recorded_directory) -> None:
    post(app, SEND, {**MAIL, "to": ["Ann <ann@BÜCHER.example>"], "from": "Me <Me@Example.Test>"})
    accepted = journal.accepted[0]
    message = accepted.messages[0]
    assert recorded_directory.domains[message.domain_id].name == "example.test"
    assert message.credential_id == recorded_directory.api_credential(NAMES["api_key"]).id
    assert (message.rcpt_to, message.destination) == ("ann@xn--bcher-kva.example", "xn--bcher-kva.example")
    assert (accepted.mail_from, accepted.received_with_ssl) == ("Me@Example.Test", True)


def test_answer_is_keyed_by_the_recipient_as_it_was_named(app) -> None:
    reply = post(app, SEND, {**MAIL, "to": ["Ann <ann@bücher.example>"]})
    assert list(reply.json()["data"]["messages"]) == ["ann@bücher.example"]


@pytest.mark.parametrize(
    ("key", "sender", "peer", "forwarded", "start"),
    [
        ("api_key", "x@example.test", "192.0.2.1", "", b"from api (192.0.2.1 [192.0.2.1]) by "),
        ("api_key", "x@example.test", "127.0.0.1", "192.0.2.9", b"from api (192.0.2.9 [192.0.2.9]) by "),
        ("api_key", "x@example.test", "192.0.2.1", "10.0.0.1", b"from api (192.0.2.1 [192.0.2.1]) by "),
        ("private_key", "x@private.test", "192.0.2.1", "", b"by postal.example.test with HTTP; "),
    ],
    ids=["peer", "behind a trusted proxy", "forged by a stranger", "privacy mode"],
)
def test_received_line_names_the_client(app, journal, key, sender, peer, forwarded, start) -> None:
    headers = {"X-Server-API-Key": NAMES[key], "Content-Type": "application/json"}
    headers |= {"X-Forwarded-For": forwarded} if forwarded else {}
    call(app, SEND, headers=headers, body=json.dumps({**MAIL, "from": sender}).encode(), peer=peer)
    assert journal.accepted[0].raw.startswith(b"Received: " + start)


@each(
    "recipient",
    ["a\r\nRSET@dest.example", "a\r\nRSET", "a\0@dest.example", "a\0", f"{'l' * 300}@dest.example"],
)
def test_recipient_that_no_command_can_hold_is_refused(app, journal, recipient) -> None:
    assert code(post(app, SEND, {**MAIL, "to": [recipient]})) == "InvalidRecipient"
    assert journal.accepted == []


@each("name", ["X-A: b", "X-A\r\nX-Evil", "X A", "", "Ü"])
def test_custom_header_name_that_is_none_is_refused(app, journal, name) -> None:
    assert code(post(app, SEND, {**MAIL, "headers": {name: "x"}})) == "parameter-error"
    assert journal.accepted == []


def test_subject_cannot_add_a_header(app, journal) -> None:
    post(app, SEND, {**MAIL, "subject": "one\r\nX-Evil: 1", "from": "x@example.test\r\nX-Evil: 2"})
    assert not any(b"\nX-Evil" in accepted.raw for accepted in journal.accepted)


def test_query_overrides_the_json_body(app, journal) -> None:
    post(app, f"{SEND}?subject=query&to[]=bob@dest.example", {**MAIL, "subject": "body"})
    assert journal.accepted[0].subject == "query"
    assert [m.rcpt_to for m in journal.accepted[0].messages] == ["bob@dest.example"]


def test_multipart_form_holds_params(app, journal) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="params"\r\n\r\n'
        + json.dumps(MAIL).encode()
        + b"\r\n--b--\r\n"
    )
    headers = {"X-Server-API-Key": NAMES["api_key"], "Content-Type": "multipart/form-data; boundary=b"}
    assert call(app, SEND, headers=headers, body=body).json()["status"] == "success"


@each(
    "body, status",
    [
        (b"[" * 100_000, 400),
        (b'{"a":' * 101 + b"1" + b"}" * 101, 400),
        (b'{"to":' + b"9" * 5000 + b"}", 400),
        (b'{"to": NaN}', 400),
        (b'{"to": "\xff"}', 400),
        (b'{"tag": 1e999}', 200),
        (b'{"to": "\\ud800@dest.example", "from": "x@example.test", "plain_body": "\\udfff"}', 200),
    ],
    ids=["depth", "objects", "digits", "NaN", "not UTF-8", "infinity", "surrogates"],
)
def test_hostile_json_has_a_clear_answer(app, body, status) -> None:
    assert post(app, SEND, body).status == status


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES_OF_PARAMETERS = [
    *("to", "cc", "bcc", "from", "sender", "subject", "tag", "reply_to", "plain_body", "html_body"),
    *("attachments", "headers", "bounce", "rcpt_to", "mail_from", "data", "id", "_expansions", "params"),
]
attachment = st.fixed_dictionaries(
    {}, optional={"name": json_values, "content_type": json_values, "data": json_values | st.just("eA==")}
)
parameters = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(NAMES_OF_PARAMETERS, json_values)
    | {
        "attachments": st.lists(attachment | json_values, max_size=3),
        "from": st.just("x@example.test") | json_values,
    },
)


@pytest.mark.django_db
@pytest.mark.parametrize("path", [SEND, RAW, SHOW, DELIVERIES])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=json_values | parameters)
def test_any_json_is_answered_without_a_500(app, path, value) -> None:
    assert post(app, path, json.dumps(value).encode("utf-8", "surrogatepass")).status in (200, 400)


@pytest.mark.parametrize("path", [SEND, RAW])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=parameters, text=st.text(max_size=60), data=st.binary(max_size=200))
def test_almost_good_mail_is_answered_without_a_500(app, path, value, text, data) -> None:
    value = {
        **MAIL,
        "rcpt_to": [text],
        "mail_from": "x",
        "data": encode(b"From: x@example.test\n" + data),
        **value,
    }
    value |= {"subject": text, "to": [text, "ann@dest.example"]}
    assert post(app, path, json.dumps(value).encode("utf-8", "surrogatepass")).status in (200, 400)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=300),
    content_type=st.sampled_from(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            "x/y",
            "",
        ]
    ),
    query=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
)
def test_any_bytes_are_answered_without_a_500(app, body, content_type, query) -> None:
    headers = {"X-Server-API-Key": NAMES["api_key"], "Content-Type": content_type}
    path = f"{SEND}?{query.replace('?', '')}"
    assert call(app, path, headers=headers, body=body).status in (200, 400)


@pytest.mark.django_db
@pytest.mark.parametrize("path", [SHOW, DELIVERIES])
@pytest.mark.parametrize(
    ("given_id", "answer"),
    [
        ("1", "MessageNotFound"),
        (2**70, "MessageNotFound"),
        (-1, "MessageNotFound"),
        (0, "MessageNotFound"),
        ("1 OR 1=1", "parameter-error"),
        ("١", "parameter-error"),
        ({"id` = 1 OR `id": 1}, "parameter-error"),
        ([1], "parameter-error"),
        (1.0, "parameter-error"),
        (True, "parameter-error"),
    ],
)
def test_id_is_a_number_and_nothing_else(app, path, given_id, answer) -> None:
    assert code(post(app, path, {"id": given_id})) == answer


def test_key_of_another_kind_is_echoed_as_json_only(app) -> None:
    reply = call(app, SEND, headers={"X-Server-API-Key": "<script>alert(1)</script>"})
    assert b"<script>" not in reply.body
    assert reply.header("content-type") == "application/json; charset=utf-8"


def test_bug_is_a_500_that_says_nothing(app, journal, caplog) -> None:
    def fail(accepted: Any) -> None:
        raise RuntimeError("secret")

    journal.store = fail
    reply = post(app, SEND, MAIL)
    assert (reply.status, b"secret" in reply.body) == (500, False)
    assert "secret" in caplog.text


@each(
    "content_type, status",
    [
        ("application/json; charset=utf-8", 200),
        ("Application/JSON ;x", 200),
        ("", 200),
        ("application/vnd.api+json, text/plain", 200),
        ("json", 406),
        ("application/", 406),
        ("application/js on", 406),
        ("application/json/x", 406),
        ("*", 406),
    ],
)
def test_a_content_type_that_is_none_is_a_406(app, content_type, status) -> None:
    assert post(app, SEND, MAIL, Content_Type=content_type).status == status


def test_the_key_is_checked_before_the_content_type(app) -> None:
    reply = post(app, SEND, MAIL, X_Server_API_Key="nobody", Content_Type="json")
    assert code(reply) == "InvalidServerAPIKey"
