from __future__ import annotations

import pytest

from postal_server.transports.http.request import compose_post
from postal_server.transports.http.url import Url
from tests.fakes import post


def test_headers_are_those_of_postal_in_their_order():
    headers = [
        ("Accept-Encoding", "gzip;q=1.0,deflate;q=0.6,identity;q=0.3"),
        ("Accept", "*/*"),
        ("User-Agent", "Postal/1.0"),
        ("Content-Type", "application/json"),
        ("X-Postal-Signature", "abc="),
    ]
    request = post("https://hooks.example/in?x=1", b"{}", headers=headers)
    assert compose_post(Url.parse(request.url), request).decode() == (
        "POST /in?x=1 HTTP/1.1\r\n"
        "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\n"
        "Accept: */*\r\nUser-Agent: Postal/1.0\r\n"
        "Content-Type: application/json\r\nX-Postal-Signature: abc=\r\n"
        "Connection: keep-alive\r\nHost: hooks.example\r\nContent-Length: 2\r\n\r\n"
    )


@pytest.mark.parametrize("field", [("X-A", "b\r\nEvil: 1"), ("X-A\nEvil", "b")])
def test_a_header_cannot_break_out_of_its_line(field):
    with pytest.raises(ValueError, match="line end"):
        compose_post(Url.parse("http://a.example/"), post("http://a.example/", headers=[field]))
