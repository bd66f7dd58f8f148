from __future__ import annotations

from postal_server.transports.http.url import Url
from tests.each import each


@each(
    "text, host_header, target, authorization",
    [
        ("http://a.example", "a.example", "/", ""),
        ("http://a.example:80/x", "a.example", "/x", ""),
        ("https://a.example:8443/x", "a.example:8443", "/x", ""),
        ("http://[2001:db8::1]:8080/", "[2001:db8::1]:8080", "/", ""),
        ("http://me:p%40ss@a.example/", "a.example", "/", "bWU6cEBzcw=="),
        ("http://a.example/ä b?c d", "a.example", "/%C3%A4%20b?c%20d", ""),
        ("http://bücher.example/", "xn--bcher-kva.example", "/", ""),
        ("http://a.example/x\r\nEvil: 1", "a.example", "/xEvil:%201", ""),
    ],
)
def test_a_url_is_taken_apart(text, host_header, target, authorization):
    url = Url.parse(text)
    assert (url.host_header, url.target, url.credentials) == (host_header, target, authorization)
