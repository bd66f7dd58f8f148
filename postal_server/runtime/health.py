"""The health server: `/`, `/health` and `/metrics` as Postal's (contract 11.2), and `/ready`.

A process that answers `/health` is alive; one that does its work is ready.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from postal_server.net.listening import bind

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT = 5.0  # seconds
REQUEST_BYTES = 8192
TEXT = "text/plain; charset=utf-8"


class HealthServer:
    """Answers in the event loop of the process: if that is stuck, the process does not count as alive.

    `problem()` says why the process is not ready, and is empty if it is. `measure` is called, in a thread,
    before metrics are shown. `key` is that of the configuration which names the port. `ready` is the text of
    `/ready` without a problem.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        problem: Callable[[], str],
        measure: Callable[[], None] = lambda: None,
        *,
        key: str = "health server",
        ready: str = "OK",
    ) -> None:
        self._name = name
        self._host = host
        self._port = port
        self._problem = problem
        self._measure = measure
        self._key = key
        self._ready = ready
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A port in use is no reason not to send mail: it is logged, as Postal does."""
        try:
            sock = bind(self._host, self._port)
        except OSError as error:
            logger.error("%s: %s; the process goes on without health server", self._key, error.strerror)
        else:
            self._server = await asyncio.start_server(self._answer, sock=sock, limit=REQUEST_BYTES)

    @property
    def port(self) -> int | None:
        """The port it listens on; None if it does not."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else None

    async def stop(self) -> None:
        if self._server:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_TIMEOUT)
            if head.split(b" ")[1:2] == [b"/metrics"]:
                await asyncio.get_running_loop().run_in_executor(None, self._measure)
            writer.write(self._response(head))
            await writer.drain()
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # not a request, or the client is gone
        finally:
            writer.close()

    def _response(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        path = words[1].partition(b"?")[0] if len(words) == 3 and words[0] in (b"GET", b"HEAD") else b""
        status, content_type, body = self.page(path.decode("latin-1"))
        text = body.encode()
        header = (
            f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(text)}\r\n"
            "Connection: close\r\n\r\n"
        )
        return header.encode() + (b"" if words[0] == b"HEAD" else text)

    def page(self, path: str) -> tuple[str, str, str]:
        """The status line, content type and text of a path."""
        if path == "/":
            return "200 OK", TEXT, f"{self._name} (pid: {os.getpid()}, host: {socket.gethostname()})"
        if path == "/health":
            return "200 OK", TEXT, "OK"
        if path == "/ready":
            problem = self._problem()
            return ("503 Service Unavailable", TEXT, problem) if problem else ("200 OK", TEXT, self._ready)
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest().decode()
        return "404 Not Found", TEXT, "Not Found"
