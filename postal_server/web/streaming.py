"""Responses whose body comes in pieces: events as they happen, or more than memory should hold.

An asynchronous view returns a `StreamingResponse`, and its generator runs in the event loop:

    async def events(request: Request) -> StreamingResponse:
        async def body() -> AsyncGenerator[bytes, None]:
            queue = subscribe()
            try:
                while True:
                    yield await queue.get()
            finally:
                unsubscribe(queue)

        return StreamingResponse(200, (("content-type", "text/event-stream"),), body())

The generator goes on when the client has read enough of what it yielded before. When the client leaves or
reads too slowly, or the server stops, it is cancelled where it waits, or closed where it yields: what it
holds it gives back in a `finally`, which may wait, as it is not cancelled again. If it raises, that is
logged, and the connection is cut off without the end of the body: the client does not take what it has for
all.

No pause in a stream is too long, and its connection gives way to no other. In exchange streams have at most
half of the connections (`Shared.max_streams`); one too many is answered 503. What clients do not read of it
counts with all other responses (`unsent`).

That a client has left is noticed when it closes its side of the connection, also if it could still read;
when the next piece is sent; and otherwise by TCP's keep-alive, within two minutes. While another request of
the client waits behind a stream nothing is read, and only the last two are left.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from postal_server.wire.http import Header

Stream = AsyncGenerator[bytes, None]

LAST_CHUNK = b"0\r\n\r\n"
# After a minute of silence, four probes of 15 seconds; not every system has all of these options.
KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


@dataclass(frozen=True)
class StreamingResponse:
    """A response whose body is a generator of pieces.

    With a `content-length` among its headers the body must have that length; without one it is sent in
    chunks, or to a client of HTTP/1.0 until the connection is closed.
    """

    status: int
    headers: tuple[Header, ...]
    body: Stream
    is_traced: bool = True


class WrongLength(Exception):
    """A body of more or fewer bytes than its response said."""


class Framing(Protocol):
    """How the end of a body is known (RFC 9112 section 6)."""

    def encode(self, piece: bytes) -> bytes:
        """A piece as it is sent. Raises `WrongLength`."""

    def end(self) -> bytes:
        """What is sent after the last piece. Raises `WrongLength`."""


class Chunked:
    """Each piece is a chunk (RFC 9112 section 7.1)."""

    def encode(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece)

    def end(self) -> bytes:
        return LAST_CHUNK


class UntilClose:
    """The connection is closed after it."""

    def encode(self, piece: bytes) -> bytes:
        return piece

    def end(self) -> bytes:
        return b""


class FixedLength:
    """The response says how long it is."""

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes

    def encode(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise WrongLength(f"{-self._left} bytes too many")
        return piece

    def end(self) -> bytes:
        if self._left:
            raise WrongLength(f"{self._left} bytes too few")
        return b""


@dataclass(frozen=True)
class FramedStream:
    """The pieces of a body, and how they are sent."""

    pieces: Stream
    framing: Framing


def choose_framing(headers: Sequence[Header], protocol: str) -> Framing:
    """The framing of a stream with these headers, for a client that speaks `protocol`, such as HTTP/1.1.

    Raises `ValueError` for a `content-length` that is no number.
    """
    length = next((value for name, value in headers if name.lower() == "content-length"), None)
    if length is None:
        return Chunked() if protocol == "HTTP/1.1" else UntilClose()
    if not (length.isascii() and length.isdigit()):
        raise ValueError(f"content-length: {length}")
    return FixedLength(int(length))


def keep_alive(sock: socket.socket) -> None:
    """Have TCP ask from time to time whether the client is still there."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
