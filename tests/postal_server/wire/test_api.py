"""Request parameters: where they stand, their types, and which refusal comes first."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.errors import HostileInput, ParameterError, Refusal, UnauthenticatedFromAddress
from postal_server.wire import api

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content_type", "body", "query", "parameters"),
    [
        (JSON, b'{"a": 1}', "", {"a": 1}),
        (f"{JSON}; charset=utf-8", b'{"a": 1}', "", {"a": 1}),
        (JSON, b'{"a": 1, "b": 2}', "a=x", {"a": "x", "b": 2}),
        (JSON, b"", "id=5", {"id": "5"}),
        (JSON, b"[1]", "", {}),
        (JSON, b'"x"', "", {}),
        (JSON, b'{"params": "{}"}', "", {"params": "{}"}),
        (JSON, b'{"a": [1, null, [null]], "b": null}', "", {"a": [1, []], "b": None}),
        (JSON, b"", "to[]=a&to[]=b", {"to": ["a", "b"]}),
        ("Application/JSON", b'{"a": 1}', "", {}),
        ("", b'{"a": 1}', "", {}),
        (FORM, b"params=%7B%22a%22%3A1%7D", "", {"a": 1}),
        (FORM, b"a=1", "", {}),
        (FORM, b"params=+", "", {}),
        ("text/plain", b"", "params=%7B%22a%22%3A1%7D", {"a": 1}),
    ],
)
def test_where_parameters_stand(content_type, body, query, parameters) -> None:
    assert api.read_parameters(content_type, body, query) == parameters


@pytest.mark.parametrize(
    ("content_type", "body", "query", "error"),
    [
        (JSON, b"{", "", HostileInput),
        (JSON, b'"\xff"', "", HostileInput),
        (JSON, b"[" * 101 + b"]" * 101, "", HostileInput),
        (JSON, b"", "a=%FF", HostileInput),
        (JSON, b"", "&".join(["a=1"] * 5000), HostileInput),
        (FORM, b"\xff", "", HostileInput),
        (FORM, b"a=" + b"1" * api.MAX_FORM_BYTES, "", HostileInput),
        (FORM, b"params={not", "", ParameterError),
        (FORM, b"params=[1]", "", ParameterError),
    ],
)
def test_what_cannot_be_read(content_type, body, query, error) -> None:
    with pytest.raises(error):
        api.read_parameters(content_type, body, query)


def test_nesting_up_to_the_limit_is_read() -> None:
    assert api.parse_json(b"[" * 100 + b"]" * 100)


def test_brackets_in_text_are_no_nesting() -> None:
    assert api.parse_json(b'{"a": "' + b"[" * 500 + b'"}') == {"a": "[" * 500}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", 5),
        ("from", ["x"]),
        ("sender", {}),
        ("subject", []),
        ("reply_to", 1),
        ("plain_body", 1),
        ("html_body", True),
        ("to", 5),
        ("to", [7]),
        ("to", {"a": 1}),
        ("cc", [["a"]]),
        ("attachments", "x"),
        ("attachments", {"name": "a"}),
        ("attachments", [{"name": "a", "data": 5}]),
        ("attachments", [{"name": 5, "data": "eA=="}]),
        ("headers", {"a:b": "c"}),
    ],
)
def test_wrong_type_is_named(name, value) -> None:
    with pytest.raises(ParameterError, match=f"`{name}`"):
        api.read_send_message({name: value})


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("a@x, b@x,c@x", ["a@x", "b@x", "c@x"]),
        ("a@x,", ["a@x"]),
        ("", []),
        (None, []),
        (["a@x, b@x"], ["a@x, b@x"]),
        ([""], [""]),
    ],
)
def test_addresses(value, addresses) -> None:
    assert list(api.read_send_message({"to": value}).to) == addresses


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), (5, "5"), (None, ""), (["a", "b"], '["a", "b"]'), (True, "true"), ("ü", "ü")],
)
def test_header_values_become_text(value, text) -> None:
    assert api.read_send_message({"headers": {"X-A": value}}).headers == (("X-A", text),)


def test_headers_that_are_no_object_are_ignored() -> None:
    assert api.read_send_message({"headers": "X-A: b"}).headers == ()


def test_attachments_that_are_no_objects_are_ignored() -> None:
    found = api.read_send_message({"attachments": ["x", {"name": "a", "data": "eA=="}, 5]}).attachments
    assert found == (api.Attachment("a", "application/octet-stream", b"x"),)


GOOD = {"to": ["a@x"], "plain_body": "x", "from": "a@x"}
MANY = ["a@x"] * 51


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": [], "plain_body": "", "from": ""}, "NoRecipients"),
        ({"to": MANY, "cc": MANY, "plain_body": ""}, "TooManyToAddresses"),
        ({"cc": MANY, "bcc": MANY}, "TooManyCCAddresses"),
        ({"bcc": MANY, "plain_body": ""}, "TooManyBCCAddresses"),
        ({"plain_body": " ", "html_body": "\n", "from": ""}, "NoContent"),
        ({"from": " ", "attachments": [{}]}, "FromAddressMissing"),
        ({"attachments": [{"data": "eA=="}, {"name": "a"}]}, "AttachmentMissingName"),
        ({"attachments": [{"name": "a", "data": "eA=="}, {"name": "a"}]}, "AttachmentMissingData"),
        ({"attachments": [{"name": "a", "data": "ICAK"}]}, "AttachmentMissingData"),
    ],
)
def test_first_refusal(changes, code) -> None:
    message = api.read_send_message({**GOOD, **changes})
    with pytest.raises(Refusal) as caught:
        check(message)
    assert caught.value.code == code


def check(message: api.SendMessage) -> None:
    api.check_before_authorisation(message)
    api.check_attachments(message)


def test_fifty_recipients_are_taken() -> None:
    check(api.read_send_message({**GOOD, "to": ["a@x"] * 50, "cc": ["a@x"] * 50}))


@pytest.mark.parametrize(
    ("parameters", "missing"),
    [
        ({}, "rcpt_to"),
        ({"rcpt_to": "a@x", "mail_from": "a@x", "data": "eA=="}, "rcpt_to"),
        ({"rcpt_to": []}, "mail_from"),
        ({"rcpt_to": [], "mail_from": " ", "data": "eA=="}, "mail_from"),
        ({"rcpt_to": [], "mail_from": "a@x", "data": ""}, "data"),
    ],
)
def test_raw_parameters_are_asked_for_in_order(parameters, missing) -> None:
    with pytest.raises(ParameterError, match=f"`{missing}` parameter is required but is missing"):
        api.read_send_raw(parameters)


@pytest.mark.parametrize("value", [None, "", False, [], {}, " "])
def test_blank_id_is_missing(value) -> None:
    with pytest.raises(ParameterError, match="is required but is missing"):
        api.read_lookup({"id": value})


@pytest.mark.parametrize(
    ("expansions", "names"),
    [
        (True, api.EXPANSIONS),
        (["headers", "status", "nothing"], ("status", "headers")),
        ("status", ()),
        ({"status": True}, ()),
        (None, ()),
        ([["status"]], ()),
    ],
)
def test_expansions_come_in_the_order_of_the_answer(expansions, names) -> None:
    assert api.read_lookup({"id": 1, "_expansions": expansions}).expansions == names


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("eA==", b"x"),
        ("eA", b"x"),
        ("e A=\n=", b"x"),
        ("eHh4\r\neHh4", b"xxxxxx"),
        ("%%%", b""),
        ("", b""),
        ("e", b""),
        ("ü eHh4", b"xxx"),
    ],
)
def test_base64_is_decoded_leniently(text, data) -> None:
    assert api.decode_base64(text) == data


@given(st.text())
def test_any_text_is_decoded(text) -> None:
    assert isinstance(api.decode_base64(text), bytes)


@given(st.binary())
def test_base64_reads_back(data) -> None:
    assert api.decode_base64(base64.b64encode(data).decode()) == data


def test_envelopes() -> None:
    assert api.success({"a": 1}, 0.0123456) == b'{"status":"success","time":0.012,"flags":{},"data":{"a":1}}'
    assert api.failure(UnauthenticatedFromAddress(), 0.0) == (
        b'{"status":"error","time":0.0,"flags":{},"data":{"message":'
        b'"The From address is not authorised to send mail from this server",'
        b'"code":"UnauthenticatedFromAddress"}}'
    )
    assert api.failure(ParameterError("x"), 0.0) == (
        b'{"status":"parameter-error","time":0.0,"flags":{},"data":{"message":"x"}}'
    )
