"""The head of a request, without I/O.

The headers of a POST and their order are Postal's (contract 3.2), except that `Connection` is `keep-alive`.
"""

from __future__ import annotations

from postal_server.engine.ports import HttpDelivery

from .url import Url


def compose_post(url: Url, post: HttpDelivery) -> bytes:
    """The head of a POST request. Raises ValueError for a header field that would break out of its line."""
    fields = [
        *post.headers,
        *([("Authorization", f"Basic {url.credentials}")] if url.credentials else []),
        ("Connection", "keep-alive"),
        ("Host", url.host_header),
        ("Content-Length", str(len(post.body))),
    ]
    if any(c in name + value for name, value in fields for c in "\r\n\0"):
        raise ValueError("A header has a line end in it")
    lines = [f"POST {url.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode()


def compose_get(url: Url) -> bytes:
    """The head of a GET request, over a connection that ends with the response."""
    lines = [f"GET {url.target} HTTP/1.1", f"Host: {url.host_header}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode()
