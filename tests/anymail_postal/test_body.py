import json
from contextlib import suppress
from datetime import datetime, timezone
from operator import attrgetter
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import body
from anymail_postal.errors import UnreadableBody
from tests.each import each

from .recorded import MAILS

FORM = "application/x-www-form-urlencoded"


@each("content_type", ["application/json", "application/json; charset=utf-8", "", "text/plain"])
def test_json_is_read_whatever_it_is_called(content_type):
    assert body.parse(b'{"a": 1, "b": null}', content_type) == {"a": 1, "b": None}


@pytest.mark.parametrize("start", [b"", b" ", b"\r\n\t"])
def test_json_is_never_read_as_a_form_because_no_signature_covers_the_content_type(start):
    assert body.parse(start + b'{"a": "x&id=5&rcpt_to=b"}', FORM) == {"a": "x&id=5&rcpt_to=b"}


@pytest.mark.parametrize("content_type", [FORM, FORM.upper(), f" {FORM}; charset=utf-8"])
def test_form_is_read(content_type):
    assert body.parse(b"a=1&b&c=", content_type) == {"a": "1", "b": None, "c": ""}


UNREADABLE = {
    "empty": b"",
    "text": b"hello",
    "list": b"[]",
    "number": b"1",
    "null": b"null",
    "cut off": b'{"a": 1',
    "not UTF-8": b'{"a": "\xff"}',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "number beyond digits": b'{"a": ' + b"9" * 10_000 + b"}",
    "nested too deep": b'{"a":' * 200_000,
    "lists nested too deep": b'{"a":' + b"[" * 200_000,
}


@each("content", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_json(content):
    with pytest.raises(UnreadableBody):
        body.parse(content, "application/json")


FORMS = {
    "nothing": (b"", {}),
    "blank": (b"a=x+y", {"a": "x y"}),
    "escapes": (b"a=%3Cx%3E%26%25", {"a": "<x>&%"}),
    "UTF-8": (b"a=Gr%C3%BC%C3%9Fe", {"a": "Grüße"}),
    "not UTF-8": (b"a=Gr%FC%DFe", {"a": "Gr\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}e"}),
    "raw bytes": (b"a=\xff", {"a": "\N{REPLACEMENT CHARACTER}"}),
    "escaped key": (b"a%5B0%5D=1", {"a[0]": "1"}),
    "equals signs": (b"a==b=", {"a": "=b="}),
    "repeated": (b"a=1&a=2", {"a": "2"}),
    "bad escape": (b"a=%zz%", {"a": "%zz%"}),
    "line ends": (b"a=x%0D%0Ay%0A", {"a": "x\r\ny\n"}),
    "empty pairs": (b"&&", {"": None}),
}


@each("content, fields", FORMS.values(), ids=FORMS)
def test_form_values(content, fields):
    assert body.parse_form(content) == fields


@pytest.mark.parametrize(
    "text", ["+/=\n" * 4000, "%2B+/=\n" * 4000, "ü%0A " * 4000], ids=["base64", "percent", "text"]
)
def test_long_form_value_is_read_like_a_short_one(text):
    assert len(text) > body.LONG
    assert body.parse_form(f"a={quote_plus(text)}".encode()) == {"a": text}


@given(st.dictionaries(st.text(min_size=1), st.none() | st.text()))
def test_form_returns_what_was_written(fields):
    written = "&".join(
        quote_plus(key) if value is None else f"{quote_plus(key)}={quote_plus(value)}"
        for key, value in fields.items()
    )
    assert body.parse_form(written.encode()) == fields


@given(st.binary())
def test_any_bytes_are_a_form_or_unreadable(content):
    for content_type in (FORM, "application/json"):
        with suppress(UnreadableBody):
            body.parse(content, content_type)
    body.parse_form(content)


@each("post", MAILS, ids=attrgetter("endpoint"))
def test_recorded_forms_have_the_fields_of_the_recorded_json(post):
    assert {"id", "rcpt_to", "mail_from"} <= body.parse(post.body, post.content_type).keys()


YEAR_2023 = datetime(2023, 1, 1, tzinfo=timezone.utc)
TYPED = [
    (body.text, None, None),
    (body.text, "", ""),
    (body.text, "x", "x"),
    (body.text, "\ud83d\ude00", "\N{GRINNING FACE}"),
    (body.text, "a\0b\0", "ab"),
    (body.text, "\0", ""),
    (body.text, "x\ud800", "x\N{REPLACEMENT CHARACTER}"),
    (body.whole, None, None),
    (body.whole, 0, 0),
    (body.whole, "17", 17),
    (body.whole, 2**63 - 1, 2**63 - 1),
    (body.flag, None, None),
    (body.flag, True, True),
    (body.flag, "true", True),
    (body.flag, "false", False),
    (body.number, None, None),
    (body.number, 1, 1.0),
    (body.number, 0.25, 0.25),
    (body.time, None, None),
    (body.time, YEAR_2023.timestamp(), YEAR_2023),
    (body.mapping, None, {}),
    (body.mapping, {"a": 1}, {"a": 1}),
]
WRONG = {
    body.text: [1, True, [], {}],
    body.whole: [-1, 1.0, True, "", "x", "-1", "1" * 20, "²", 2**63, [], {}],
    body.flag: [1, "yes", "", [], {}],
    body.number: [True, "1", 10**400, float("inf"), json.loads("1e999"), [], {}],
    body.time: [True, "now", 1e20, -1e20, 10**400, []],
    body.mapping: [1, "x", [], True],
}


@each("read, value, wanted", TYPED)
def test_value_of_the_right_type(read, value, wanted):
    found = read({"key": value}, "key")
    assert found == wanted
    assert type(found) is type(wanted)


@each("read, value", [(read, value) for read, values in WRONG.items() for value in values])
def test_value_of_a_wrong_type(read, value):
    with pytest.raises(UnreadableBody, match="'key' is not"):
        read({"key": value}, "key")


@each("read", WRONG)
def test_missing_key_is_null(read):
    assert read({}, "key") in (None, {})
