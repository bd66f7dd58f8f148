from __future__ import annotations

from http import HTTPStatus

import pytest

from postal_server.web.gateway import RawResponse, RequestHead
from postal_server.web.response import encode_response, error_page, has_body
from tests.each import each

GET = RequestHead(method=b"GET")


@each(
    "method, status, expected",
    [
        (b"GET", "200 OK", True),
        (b"HEAD", "200 OK", False),
        (b"GET", "101 Switching Protocols", False),
        (b"GET", "204 No Content", False),
        (b"GET", "304 Not Modified", False),
        (b"POST", "404 Not Found", True),
    ],
)
def test_which_responses_have_a_body(method, status, expected):
    assert has_body(RawResponse(status), RequestHead(method=method)) is expected


def test_a_response_gets_the_length_of_its_body():
    response = RawResponse("200 OK", (("x", "1"),), b"body")
    assert encode_response(response, GET, True) == b"HTTP/1.1 200 OK\r\nx: 1\r\ncontent-length: 4\r\n\r\nbody"


def test_a_response_to_head_keeps_its_own_length_and_has_no_body():
    response = RawResponse("200 OK", (("Content-Length", "4"),), b"body")
    sent = encode_response(response, RequestHead(method=b"HEAD"), True)
    assert sent == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


@pytest.mark.parametrize(
    ("version", "keeps_alive", "field"),
    [("1.1", False, b"Connection: close"), ("1.0", True, b"Connection: keep-alive")],
)
def test_a_response_says_whether_the_connection_stays(version, keeps_alive, field):
    head = RequestHead(method=b"GET", version=version)
    assert field in encode_response(RawResponse("200 OK"), head, keeps_alive).split(b"\r\n")


def test_an_error_page_has_its_status():
    assert error_page(HTTPStatus.BAD_REQUEST).status == "400 Bad Request"
