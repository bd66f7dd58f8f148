"""Request parameters: where they stand, their types, and which refusal comes first."""

from __future__ import annotations

import base64
import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.errors import HostileInput, ParameterError, Refusal, UnauthenticatedFromAddress
from postal_server.mail.compose import address_field
from postal_server.mail.encoded_word import unstructured
from postal_server.wire import api
from tests.each import each

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@each(
    "content_type, body, query, parameters",
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


@each(
    "content_type, body, query, error",
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


@each(
    "name, value",
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


@each(
    "value, addresses",
    [
        ("a@x, b@x,c@x", ["a@x, b@x,c@x"]),
        ("  ", []),
        ("", []),
        (None, []),
        (["a@x, b@x"], ["a@x, b@x"]),
        ([""], [""]),
    ],
)
def test_addresses(value, addresses) -> None:
    assert list(api.read_send_message({"to": value}).to) == addresses


@each(
    "value, text",
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


@each(
    "changes, code",
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
    api.check_before_authorization(message)
    api.check_attachments(message)


def test_fifty_recipients_are_taken() -> None:
    check(api.read_send_message({**GOOD, "to": ["a@x"] * 50, "cc": ["a@x"] * 50}))


@each(
    "parameters, missing",
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


@each("value", [None, "", False, [], {}, " "])
def test_blank_id_is_missing(value) -> None:
    with pytest.raises(ParameterError, match="is required but is missing"):
        api.read_lookup({"id": value})


@each(
    "expansions, names",
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


@each(
    "text, data",
    [
        ("eA==", b"x"),
        ("eA", b"x"),
        ("eA====", b"x"),
        (" eA=\n\t= ", b"x"),
        ("eHh4\reHh4", b"xxxxxx"),
        ("eHh4\r\neHh4\r\n", b"xxxxxx"),
        ("-_-_", b"\xfb\xff\xbf"),
        ("+/+/", b"\xfb\xff\xbf"),
        ("data:application/pdf;base64,eHh4", b"xxx"),
        ("DATA:;charset=utf-8;BASE64,eHh4", b"xxx"),
        ("%%%", b""),
        ("", b""),
    ],
)
def test_base64_is_read_as_programs_write_it(text, data) -> None:
    assert api.decode_base64(text, "data") == data


@each(
    "text",
    [
        "e",
        "this is no base64 at all!",
        "ü eHh4",
        "eHh4=eHh4",
        "data:text/plain,eHh4",
        "data:eHh4",
        "eHh4\0",
        "e%3D",
        "eHh4 Hh4",  # a `+` that a form took for a blank
        "hello world",
    ],
)
def test_what_is_no_base64_is_refused_by_its_parameter(text) -> None:
    with pytest.raises(ParameterError, match="`data` parameter"):
        api.decode_base64(text, "data")
    with pytest.raises(ParameterError, match="`attachments` parameter"):
        api.read_send_message({"attachments": [{"name": "a", "data": text}]})
    with pytest.raises(ParameterError, match="`data` parameter"):
        api.read_send_raw({"rcpt_to": [], "mail_from": "a@x", "data": text})


@given(st.text())
def test_any_text_is_the_very_bytes_or_refused(text) -> None:
    with contextlib.suppress(ParameterError):
        data = api.decode_base64(text, "data")
        plain = re.sub("^data:[^,]*,", "", re.sub("[ \t\r\n]", "", text), flags=re.IGNORECASE)
        written = base64.urlsafe_b64encode(data).decode().rstrip("=")
        assert not data or written[:-1] == re.sub("=*$", "", plain).translate({43: "-", 47: "_"})[:-1]


@given(st.binary())
def test_base64_reads_back(data) -> None:
    assert api.decode_base64(base64.b64encode(data).decode(), "data") == data


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


# What costs more than a mail


@each(
    "name, value",
    [
        ("subject", "ü" * 10_001),
        ("tag", "x" * 10_001),
        ("from", "x" * 10_001),
        ("sender", "x" * 10_001),
        ("reply_to", "x" * 10_001),
        ("to", ["x" * 8_001, "y" * 8_000]),
        ("cc", "x" * 16_001),
        ("bcc", ["x" * 16_001]),
        ("headers", {"X-One": "ü" * 25_000, "X-Two": "ü" * 25_000}),
    ],
)
def test_too_much_text_for_a_header_is_refused_by_its_parameter(name, value) -> None:
    with pytest.raises(ParameterError, match=f"`{name}` parameter is too long"):
        api.read_send_message({name: value})


@pytest.mark.parametrize("text", ["ü", "😀", "a ", "ü ", "\x01", "=?", "(", '"', ",", "a,", "<a@b>,", ":;"])
def test_the_longest_texts_are_composed_in_50_milliseconds(text) -> None:
    subject, address = text * (10_000 // len(text)), text * (16_000 // len(text))
    began = time.process_time()
    unstructured("Subject", subject)
    address_field("To", address)
    assert time.process_time() - began < 0.5  # ten times what it may take


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return (
        b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    )


FIELD = b'Content-Disposition: form-data; name="params"\r\n\r\n{"id": 1}'


@each(
    "content_type, body",
    [
        ("multipart/form-data; boundary=b", form(FIELD)),
        ('multipart/form-data; charset=utf-8; boundary="b"', form(FIELD)),
        (
            "multipart/form-data; boundary=b",
            b"preamble\r\n" + form(b'Content-Disposition: form-data; name="x"\r\n\r\n1', FIELD),
        ),
        (
            "multipart/form-data; boundary=b",
            form(
                b'content-disposition: form-data; name="params"; filename="p.json"\r\n'
                b"Content-Transfer-Encoding: base64\r\n\r\neyJpZCI6IDF9"
            ),
        ),
    ],
)
def test_a_field_of_a_multipart_form_holds_the_parameters(content_type, body) -> None:
    assert api.read_parameters(content_type, body, "") == {"id": 1}


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", 'multipart/form-data; boundary=""', "multipart/form-data; boundary=" + "b" * 71],
)
def test_a_form_without_a_boundary_is_refused(content_type) -> None:
    with pytest.raises(HostileInput):
        api.read_parameters(content_type, form(FIELD), "")


def test_a_form_has_so_many_fields() -> None:
    fields = [b"Content-Disposition: form-data; name=x\r\n\r\n1"] * (api.MAX_FORM_FIELDS - 1)
    assert api.read_parameters("multipart/form-data; boundary=b", form(*fields, FIELD), "") == {"id": 1}
    with pytest.raises(HostileInput, match="4096 fields"):
        api.read_parameters("multipart/form-data; boundary=b", form(FIELD, *fields, FIELD), "")


def test_parts_within_a_field_are_text() -> None:
    inner = form(FIELD, boundary=b"c")
    outer = (
        b"Content-Type: multipart/mixed; boundary=c\r\nContent-Disposition: form-data; name=x\r\n\r\n" + inner
    )
    assert api.read_parameters("multipart/form-data; boundary=b", form(outer), "") == {}


def test_a_form_of_many_levels_is_read_in_linear_time() -> None:
    def nested(levels: int) -> bytes:
        return b"".join(
            b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (level, level + 1)
            for level in range(levels)
        )

    began = time.process_time()
    api.read_parameters("multipart/form-data; boundary=0", nested(60_000), "")
    assert time.process_time() - began < 0.5
