"""Between HTTP and WSGI (PEP 3333): the environ of a request, and the response of an application."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from postal_server.errors import HostileInput

from .streaming import FramedStream

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Environ = dict[str, Any]


@dataclass(frozen=True)
class RawResponse:
    """A response as it is sent: the status line without its version, and all headers in wire order."""

    status: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | FramedStream = b""


@dataclass(frozen=True)
class BodyLimit:
    """How large a body may be that is buffered. `is_known`: the client has authenticated."""

    max_bytes: int
    is_known: bool = False


@dataclass
class RequestHead:
    """The request line and header fields as they were received."""

    method: bytes = b""
    target: bytes = b""
    version: str = "1.1"
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    size: int = 0  # bytes of target and fields
    content_length: int = 0  # 0 without that field
    is_chunked: bool = False  # the transfer coding of the body
    expects_continue: bool = False  # the client waits for 100 Continue

    def add_target(self, data: bytes) -> None:
        self.target += data
        self.size += len(data)

    def add_field(self, name: bytes, value: bytes) -> None:
        """Raises `HostileInput` for a length with too many digits for `int`."""
        self.fields.append((name, value))
        self.size += field_size(name, value)
        key = name.lower()
        if key == b"content-length":
            try:
                self.content_length = int(value)  # the parser lets only digits pass
            except ValueError as error:
                raise HostileInput("a number of too many digits") from error
        elif key == b"transfer-encoding":
            self.is_chunked = True
        elif key == b"expect":
            self.expects_continue = value.lower() == b"100-continue"

    def complete(self, method: bytes, version: str) -> None:
        """End the head. Raises `HostileInput` for chunks before HTTP/1.1.

        Old proxies do not know them, and see another request there (RFC 9112 section 6.1).
        """
        self.method, self.version = method, version
        if version != "1.1":
            self.expects_continue = False
            if self.is_chunked:
                raise HostileInput("chunks before HTTP/1.1")


def field_size(name: bytes, value: bytes) -> int:
    """The bytes of a field line."""
    return len(name) + len(value) + len(b": \r\n")


def make_environ(head: RequestHead, peer: tuple[str, int], here: tuple[str, int]) -> Environ:
    """The request as a WSGI environ, without its body. Raises `HostileInput` for a malformed target."""
    path, _, query = _origin_form(head.target).partition(b"?")
    environ: Environ = {
        "REQUEST_METHOD": head.method.decode("ascii"),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{head.version}",
        "SERVER_NAME": here[0],
        "SERVER_PORT": str(here[1]),
        "REMOTE_ADDR": peer[0],
        "REMOTE_PORT": str(peer[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in head.fields:
        if b"_" in name:
            continue  # in WSGI it would pass for the field with hyphens, which a proxy may have checked
        key = name.decode("ascii").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        text = value.decode("latin-1").strip(" \t")
        environ[key] = f"{environ[key]}, {text}" if key in environ else text
    return environ


def _origin_form(target: bytes) -> bytes:
    """The path and query of a request's target (RFC 9112 section 3.2)."""
    if target.startswith(b"/") or target == b"*":
        return target
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        raise HostileInput("not the target of a request")
    host_end = min((i for i in (rest.find(b"/"), rest.find(b"?")) if i >= 0), default=len(rest))
    path = rest[host_end:]
    return path if path.startswith(b"/") else b"/" + path


def call_wsgi(application: WSGIApplication, environ: Environ) -> RawResponse:
    """The complete response of an application. Blocks."""
    head: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if head and exc_info is None:
            raise AssertionError("start_response was called before")
        head[:] = [status, headers]
        return written.append

    content = application(environ, start_response)
    try:
        written.extend(content)
    finally:
        if hasattr(content, "close"):
            content.close()
    return RawResponse(head[0], head[1], b"".join(written))
