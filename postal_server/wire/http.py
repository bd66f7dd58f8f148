"""HTTP answers as Postal gives them: which headers, in which order, and its bare error pages.

Source: contract 1.2 and 8.4, and the recordings.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from postal_server.errors import HostileInput

Header = tuple[str, str]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SECURITY: tuple[Header, ...] = (
    ("x-frame-options", "sameorigin"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    ("x-download-options", "noopen"),
    ("x-permitted-cross-domain-policies", "none"),
    (
        "content-security-policy",
        "child-src 'self'; connect-src 'self'; font-src 'self' https: data:; img-src 'self' https: data:; "
        "object-src 'none'; script-src 'self'; style-src 'self' https: 'unsafe-inline'",
    ),
)
MAX_HOPS = 20  # proxies that one request comes through
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

# Text that could end a <script> element or a line of JavaScript, written so that it cannot.
_ESCAPES = tuple((char.encode(), f"\\u{ord(char):04x}".encode()) for char in "<>&\u2028\u2029")


@dataclass(frozen=True)
class Response:
    """An answer: its own headers, which stand before those that every answer has.

    `is_traced` answers carry a request id and the time spent.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes
    is_traced: bool = True

    @property
    def status_line(self) -> str:
        """The status with its reason phrase, as WSGI takes it."""
        return status_line(self.status)

    def all_headers(self, request_id: str, seconds: float) -> list[Header]:
        """Every header in wire order."""
        trace = trace_headers(request_id, seconds) if self.is_traced else ()
        return [*self.headers, *trace, *SECURITY, ("content-length", str(len(self.body)))]


@dataclass(frozen=True)
class Request:
    """A request's head, read from a WSGI environ; the body is still to be read."""

    method: str
    path: str
    query: str
    client: str  # the client's address
    environ: Mapping[str, Any]

    def header(self, name: str) -> str:
        """The value of a header, or nothing. Content-Type and Content-Length are headers too."""
        key = name.upper().replace("-", "_")
        return str(self.environ.get(f"HTTP_{key}") or self.environ.get(key) or "")

    @property
    def content_length(self) -> int | None:
        """The length of the body, 0 if there is none, None if it is sent in chunks."""
        length = str(self.environ.get("CONTENT_LENGTH") or "")
        if length.isascii() and length.isdigit():
            return int(length)
        return None if "chunked" in self.header("Transfer-Encoding").lower() else 0

    def read(self, limit: int) -> bytes:
        """The body. Raises `BodyTooLarge` if it is longer than `limit` bytes, at once if its length says so.

        Raises `HostileInput` if it cannot be read.
        """
        length = self.content_length
        if length is not None and length > limit:
            raise BodyTooLarge
        try:
            body = bytes(self.environ["wsgi.input"].read(limit + 1 if length is None else length))
        except OSError as error:
            raise HostileInput("the body did not come") from error
        if len(body) > limit:
            raise BodyTooLarge
        return body


class BodyTooLarge(HostileInput):
    """A body of more bytes than we read."""


def read_request(environ: Mapping[str, Any], trusted: Sequence[Network]) -> Request:
    """The head of a request that came over WSGI."""
    return Request(
        method=str(environ["REQUEST_METHOD"]),
        path=str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", "")),
        query=str(environ.get("QUERY_STRING", "")),
        client=client_address(
            str(environ.get("REMOTE_ADDR", "")), environ.get("HTTP_X_FORWARDED_FOR"), trusted
        ),
        environ=environ,
    )


def status_line(status: int) -> str:
    """The status line without the version of HTTP."""
    return f"{status} {HTTPStatus(status).phrase}"


def trace_headers(request_id: str, seconds: float) -> tuple[Header, ...]:
    """The headers of `is_traced` responses; `seconds` is the time spent."""
    return ("x-request-id", request_id), ("x-runtime", f"{seconds:.6f}")


def to_json(value: Any) -> bytes:
    """JSON as Postal writes it: no blanks, UTF-8, and `<`, `>`, `&`, U+2028, U+2029 as `\\uXXXX`.

    Text that is not Unicode (lone surrogates) is replaced.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    for char, escape in _ESCAPES:
        text = text.replace(char, escape)
    return text


def json_response(body: bytes, status: int = 200, headers: tuple[Header, ...] = ()) -> Response:
    """An answer with JSON in it; good ones have an etag."""
    if status != 200:
        return Response(status, (("content-type", "application/json; charset=utf-8"), *headers), body)
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = (
        ("content-type", "application/json; charset=utf-8"),
        ("etag", f'W/"{tag}"'),
        ("cache-control", "max-age=0, private, must-revalidate"),
    )
    return Response(200, headers, body)


def wants_json(accept: str) -> bool:
    """Does an Accept header ask for JSON errors? Lists with `*/*` come from browsers."""
    return "json" in accept and "*/*" not in accept


def error_response(status: int, accept: str = "") -> Response:
    """An error outside the API's envelope: a small page, or JSON for those who accept only that."""
    phrase = HTTPStatus(status).phrase
    if wants_json(accept):
        body = to_json({"status": status, "error": phrase})
        return Response(status, (("content-type", "application/json; charset=UTF-8"),), body)
    page = f"<!DOCTYPE html>\n<html lang=en><title>{status} {phrase}</title><h1>{phrase}</h1>\n"
    return Response(status, (("content-type", "text/html; charset=UTF-8"),), page.encode())


def forbidden_host() -> Response:
    """The answer to a request for another host than ours."""
    return Response(403, (("content-type", "text/html; charset=UTF-8"),), b"", is_traced=False)


def host_name(value: str) -> str:
    """The host of a Host header: lower case, without port and final dot. IPv6 literals keep brackets."""
    host = value.strip().lower()
    if not host.endswith("]"):
        name, colon, port = host.rpartition(":")
        if colon and port.isascii() and port.isdigit():
            host = name
    return host.removesuffix(".")


def networks(names: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and CIDR networks. Raises ValueError for what is neither."""
    return tuple(ipaddress.ip_network(name, strict=False) for name in names)


def is_in(address: str, networks: Sequence[Network]) -> bool:
    """Is the address in one of the networks? What is no address is in none."""
    try:
        parsed = _address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks if network.version == parsed.version)


def client_address(peer: str, forwarded_for: str | None, trusted: Sequence[Network]) -> str:
    """The address of the client: the last one in X-Forwarded-For that no trusted proxy has, or the peer.

    Empty where a trusted proxy named an unreadable client, or too many: it is not the proxy itself.
    """
    if forwarded_for is None or not is_in(peer, trusted):
        return peer
    hops = forwarded_for.rsplit(",", MAX_HOPS)
    client = ""
    for hop in reversed(hops):
        try:
            client = str(_address(hop.strip(" \t")))
        except ValueError:
            return ""
        if not is_in(client, trusted):
            break
    return client


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address; an IPv4-mapped IPv6 one as IPv4. Raises ValueError."""
    address = ipaddress.ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
