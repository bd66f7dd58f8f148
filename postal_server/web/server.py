"""The HTTP server: start, cut off slow clients, stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from postal_server.net.listening import Sweep, bind
from postal_server.net.memory_budget import MemoryBudget

from .application import Application
from .protocol import HttpProtocol
from .shared import Shared

BACKLOG = 1024
# Memory of incomplete bodies: of all clients, and of those that have not authenticated.
MAX_UNFINISHED_BYTES = 256 * 1024 * 1024, 32 * 1024 * 1024
LOGIN_THREADS = 2
SWEEP_SECONDS = 1.0  # between two looks for connections past their deadline
STOP_SECONDS = 3.0
STREAM_END_SECONDS = 1.0  # for streams to give back what they hold, once they are cut off


class HttpServer:
    """Serves `application`. `threads` is how many requests may wait for the database at a time.

    There are as many threads for requests with a large body, and two that check passwords. Addresses for
    which `is_proxy` is true may have more than `max_per_client` connections.
    """

    def __init__(
        self,
        application: Application,
        threads: int,
        max_connections: int = 1000,
        max_per_client: int = 100,
        is_proxy: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self._pools = (
            ThreadPoolExecutor(threads, "web"),
            ThreadPoolExecutor(threads, "web-reader"),
            ThreadPoolExecutor(LOGIN_THREADS, "web-login"),
        )
        self._shared = Shared(
            application,
            *self._pools,
            room=MemoryBudget(*MAX_UNFINISHED_BYTES),
            max_connections=max_connections,
            max_per_client=max_per_client,
            is_proxy=is_proxy,
        )
        self._server: asyncio.AbstractServer | None = None
        self._sweep = Sweep(self._shared.connections)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns where. Raises `CannotListen`."""
        loop = asyncio.get_running_loop()
        sock = bind(host, port)
        self._server = await loop.create_server(
            lambda: HttpProtocol(self._shared), sock=sock, backlog=BACKLOG
        )
        self._sweep.start(SWEEP_SECONDS)
        address: tuple[str, int] = sock.getsockname()[:2]
        return address

    async def stop(self) -> None:
        """Accept no more requests, end streams, and give the current requests three seconds."""
        if self._server is not None:
            self._server.close()
        self._sweep.stop()
        self._shared.is_stopping = True
        for connection in list(self._shared.connections):
            connection.shut_down()
        await _wait_while(self._is_working, STOP_SECONDS)
        for connection in list(self._shared.connections):
            connection.abort()
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        await _wait_while(self._is_streaming, STREAM_END_SECONDS)
        await asyncio.sleep(0)

    def _is_working(self) -> bool:
        return any(not connection.is_idle for connection in self._shared.connections)

    def _is_streaming(self) -> bool:
        return self._shared.streams > 0


async def _wait_while(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition no longer holds, but no longer than so many seconds."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + seconds
    while condition() and loop.time() < ends_at:
        await asyncio.sleep(0.02)
