"""The threaded HTTP server: cheroot's, but no client decides how much of its body is kept in memory.

Cheroot reads what the application left of a body in one piece before it answers, however long that is, and
takes what is left of a body in chunks for the next request.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.wsgi import Server

from postal_server.errors import HostileInput

MAX_HEADER_BYTES = 64 * 1024
# A client that is answered early goes on sending, and would not hear the answer if it were cut off. It is
# listened to for as long as the largest body that is accepted may take.
MAX_UNREAD_BYTES = 80 * 1024 * 1024
UNREAD_SECONDS = 20.0
BLOCK_BYTES = 64 * 1024
MAX_CHUNK_LINE = 1024  # RFC 9112 section 7.1.1: sizes have extensions, which nobody uses
SECONDS_OF_SILENCE = 60
# Cheroot keeps 10 and closes the rest, which costs each client of a busy server a connection a call.
KEPT_CONNECTIONS = 1000


class Readable(Protocol):
    def read1(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


class ChunkedBody:
    """The body of a request in chunks (RFC 9112 section 7.1). Raises `HostileInput` for anything else."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._left = 0  # of the chunk
        self._is_done = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, or all of them; fewer only at the end."""
        found = bytearray()
        while not self._is_done and len(found) != size:
            if not self._left:
                self._begin_chunk()
                continue
            wanted = self._left if size < 0 else min(self._left, size - len(found))
            data = self._file.read1(min(wanted, BLOCK_BYTES))
            if not data:
                raise HostileInput("the body ends within a chunk")
            found += data
            self._left -= len(data)
            if not self._left and self._file.readline(2) != b"\r\n":
                raise HostileInput("a chunk longer than it says")
        return bytes(found)

    def _begin_chunk(self) -> None:
        line = self._file.readline(MAX_CHUNK_LINE)
        size = line.partition(b";")[0].strip()
        if not line.endswith(b"\n") or not 0 < len(size) <= 16 or set(size) - set(b"0123456789abcdefABCDEF"):
            raise HostileInput("not a chunk")
        self._left = int(size, 16)
        self._is_done = not self._left


class Request(HTTPRequest):
    """A request whose body is read over in small blocks where the application did not read it."""

    def respond(self) -> None:
        if not self.chunked_read:
            super().respond()
            return
        # Trailers may follow, so that nobody can say where another request would begin.
        self.close_connection = True
        self.rfile = ChunkedBody(self.conn.rfile)
        self.server.gateway(self).respond()
        if self.ready:
            self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")

    def send_headers(self) -> None:
        try:
            self._read_over()
        except (HostileInput, OSError):
            self.close_connection = True
        super().send_headers()

    def _read_over(self) -> None:
        """Read what is left of the body, as far as is sensible. Is there more, this request is the last."""
        ends_at = time.monotonic() + UNREAD_SECONDS
        left = MAX_UNREAD_BYTES
        while block := self._next_block(left):
            left -= block
            if time.monotonic() > ends_at:
                break
        if getattr(self.rfile, "remaining", 0):
            self.close_connection = True

    def _next_block(self, left: int) -> int:
        """Read some bytes over; how many."""
        if self.chunked_read:
            return len(self.rfile.read(min(left, BLOCK_BYTES)))
        rest: int = getattr(self.rfile, "remaining", 0)
        if rest > left:
            return 0
        block = len(self.conn.rfile.read1(min(rest, BLOCK_BYTES))) if rest else 0
        self.rfile.remaining = rest - block
        return block


class Connection(HTTPConnection):
    RequestHandlerClass = Request


def make_server(address: tuple[str, int], application: Any, threads: int) -> Server:
    """A server that is not started yet."""
    server = Server(
        address, application, numthreads=threads, request_queue_size=128, timeout=SECONDS_OF_SILENCE
    )
    server.ConnectionClass = Connection
    server.max_request_header_size = MAX_HEADER_BYTES
    server.keep_alive_conn_limit = KEPT_CONNECTIONS
    return server
