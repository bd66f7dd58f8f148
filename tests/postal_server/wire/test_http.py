"""Answers' headers, JSON text, hosts and client addresses."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.wire import http
from tests.each import each


@each(
    "value, text",
    [
        ({"a": [1, None, True]}, '{"a":[1,null,true]}'),
        ("<b>&</b>", '"\\u003cb\\u003e\\u0026\\u003c/b\\u003e"'),
        ("\u2028\u2029", '"\\u2028\\u2029"'),
        ("ü 👋", '"ü 👋"'),
        ("\ud800", '"?"'),
        (1.0, "1.0"),
    ],
)
def test_json_is_written_as_postal_does(value, text) -> None:
    assert http.to_json(value) == text.encode()


@given(st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=8))
def test_json_reads_back(value) -> None:
    assert json.loads(http.to_json(value)) == value


@each(
    "given_host, host",
    [
        ("Postal.Example.TEST", "postal.example.test"),
        ("postal.example.test:5000", "postal.example.test"),
        ("postal.example.test.", "postal.example.test"),
        ("[::1]", "[::1]"),
        ("[::1]:5000", "[::1]"),
        ("a:b", "a:b"),
        ("a:\xb2", "a:\xb2"),
        ("", ""),
    ],
)
def test_host_name(given_host, host) -> None:
    assert http.host_name(given_host) == host


@each(
    "peer, forwarded, client",
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("127.0.0.1", "10.0.0.7", "10.0.0.7"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "junk, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "::ffff:203.0.113.9, ::ffff:10.0.0.7", "203.0.113.9"),
        ("127.0.0.1", "203.0.113.9" + ", 10.0.0.7" * 19, "203.0.113.9"),
        ("", "198.51.100.1", ""),
        ("unknown", "198.51.100.1", "unknown"),
        *(
            ("127.0.0.1", text, "")
            for text in (
                "198.51.100.1, junk",
                "198.51.100.1:443",
                "unknown",
                "_hidden",
                "[2001:db8::1]",
                "junk, 10.0.0.7",
                "",
                " , ,",
                "203.0.113.9" + ", 10.0.0.7" * 30_000,
            )
        ),
    ],
)
def test_client_is_the_last_address_no_proxy_of_ours_has(peer, forwarded, client) -> None:
    trusted = (*http.LOOPBACK, *http.networks(["10.0.0.0/8"]))
    assert http.client_address(peer, forwarded, trusted) == client


@each(
    "accept, is_wanted",
    [
        ("application/json", True),
        ("application/json, text/html", True),
        ("*/*", False),
        ("", False),
        ("application/json, */*", False),
    ],
)
def test_json_errors_are_for_those_who_ask(accept, is_wanted) -> None:
    assert http.wants_json(accept) is is_wanted


def test_error_pages() -> None:
    page, data = http.error_response(400), http.error_response(400, "application/json")
    assert page.headers == (("content-type", "text/html; charset=UTF-8"),)
    assert data.headers == (("content-type", "application/json; charset=UTF-8"),)
    assert data.body == b'{"status":400,"error":"Bad Request"}'


def test_etag_is_that_of_the_recording() -> None:
    body = (
        b'{"status":"error","time":0.0,"flags":{},"data":{"message":"Must be authenticated as a server.",'
        b'"code":"AccessDenied"}}'
    )
    assert dict(http.json_response(body).headers)["etag"] == 'W/"6ddc3bcc9265c454638a2b2b434094a5"'


@each(
    "environ, limit, body",
    [
        ({"CONTENT_LENGTH": "3"}, 3, b"abc"),
        ({"CONTENT_LENGTH": ""}, 3, b""),
        ({"CONTENT_LENGTH": "-1"}, 3, b""),
        ({"CONTENT_LENGTH": "x"}, 3, b""),
        ({}, 3, b""),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 10, b"abcdef"),
        ({"CONTENT_LENGTH": "4"}, 3, None),
        ({"HTTP_TRANSFER_ENCODING": "Chunked"}, 5, None),
    ],
)
def test_body_is_read_up_to_a_limit(environ, limit, body) -> None:
    environ |= {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(b"abcdef")}
    request = http.read_request(environ, ())
    if body is None:
        with pytest.raises(http.BodyTooLarge):
            request.read(limit)
    else:
        assert request.read(limit) == body
