"""The SMTP server as a whole: listens, times out slow peers, stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from postal_server.errors import ConfigurationError
from postal_server.net.listening import Sweep, bind
from postal_server.net.memory_budget import MemoryBudget
from postal_server.services.shared.throttle import Throttle

from .clients import Clients
from .handler import Count, SmtpHandler, count_nothing
from .options import Options
from .protocol import SmtpProtocol
from .shared import Shared
from .tls import Certificates

logger = logging.getLogger(__name__)

BACKLOG = 1024
CHECK_INTERVAL = 1.0  # seconds between checks of all deadlines


@dataclass(frozen=True)
class ListenAddress:
    """An address to listen on, in the terms of `net.listening.bind`."""

    host: str
    port: int
    implicit_tls: bool = False


class SmtpServer:
    """Serves `handler` on all its addresses, in one event loop.

    `names` looks up the PTR name of a client's address, for Received headers.
    """

    def __init__(
        self,
        handler: SmtpHandler,
        options: Options,
        certificates: Certificates | None = None,
        names: Callable[[str], Awaitable[str | None]] | None = None,
        count: Count = count_nothing,
    ) -> None:
        clients = Clients(
            options.max_connections,
            options.max_connections_per_client,
            options.max_recipients_per_client,
        )
        throttle = Throttle(options.login_limits)
        self.room = MemoryBudget(options.max_unfinished_bytes, options.max_unfinished_bytes_before_auth)
        self._shared = Shared(handler, options, clients, throttle, self.room, certificates, names, count)
        self._connections: set[SmtpProtocol] = set()
        self._servers: list[asyncio.AbstractServer] = []
        self._sweep = Sweep(self._connections)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self, addresses: Sequence[ListenAddress]) -> list[tuple[str, int]]:
        """Listen; returns host and port of each address. Raises `ConfigurationError` or `CannotListen`."""
        loop = asyncio.get_running_loop()
        listening = []
        for address in addresses:
            self._check(address)
            tls = self._implicit_tls() if address.implicit_tls else {}
            server = await loop.create_server(
                self._protocol, sock=bind(address.host, address.port), backlog=BACKLOG, **tls
            )
            self._servers.append(server)
            listening.append(server.sockets[0].getsockname()[:2])
        self._sweep.start(CHECK_INTERVAL)
        return listening

    async def stop(self, grace: timedelta = timedelta(seconds=3)) -> None:
        """Accept no more connections, send 421 to idle ones, and wait `grace` for messages to be answered."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._sweep.stop()
        for connection in list(self._connections):
            connection.shut_down()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + grace.total_seconds()
        while self._connections and loop.time() < ends_at:
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    def _check(self, address: ListenAddress) -> None:
        if address.implicit_tls and self._shared.certificates is None:
            raise ConfigurationError("smtp_server.implicit_tls_port needs smtp_server.tls_enabled.")
        if address.implicit_tls and self._shared.options.proxy_protocol:
            # The PROXY line and the first bytes of TLS may come together.
            raise ConfigurationError(
                "smtp_server.implicit_tls_port cannot be used with proxy_protocol: let the proxy end TLS."
            )

    def _protocol(self) -> SmtpProtocol:
        return SmtpProtocol(self._shared, self._connections)

    def _implicit_tls(self) -> dict[str, Any]:
        assert self._shared.certificates is not None
        timeout = self._shared.options.tls_timeout.total_seconds()
        return {"ssl": self._shared.certificates.lasting_context(), "ssl_handshake_timeout": timeout}
