"""What servers that listen have in common: bound sockets, and connections with a deadline."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

NEVER = float("inf")


class CannotListen(OSError):
    """An address that cannot be listened on; `strerror` names it. `is_host`: the fault is the host's."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(error.errno, f"cannot listen on {host}:{port}: {error.strerror}")
        self.port = port
        self.is_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises `CannotListen`.

    `::` takes IPv4 too, and only that on a machine without IPv6.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, proto, _, address = found[0]
        sock = socket.socket(family, kind, proto)
    except OSError as error:
        if host != "::":
            raise CannotListen(host, port, error) from error
        return bind("0.0.0.0", port)  # noqa: S104 - what `::` asks for
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise CannotListen(host, port, error) from error
    sock.setblocking(False)
    return sock


def canonical_address(address: str) -> str:
    """One form for each address: an IPv4-mapped IPv6 address as IPv4, and without a zone."""
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    return str(parsed.ipv4_mapped or parsed)


class Connection(asyncio.Protocol):
    """`deadline` (seconds of the loop's clock) is when a `Sweep` calls `expire()`."""

    def __init__(self) -> None:
        self.deadline = NEVER
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._is_paused = False

    @property
    def is_closing(self) -> bool:
        """Is nothing more read from the peer?"""
        raise NotImplementedError

    def expire(self) -> None:
        """The peer took too long."""
        raise NotImplementedError

    def _set_deadline(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    def _set_paused(self, is_paused: bool) -> None:
        """Stop reading from the peer, or resume."""
        if is_paused == self._is_paused or self.is_closing:
            return
        self._is_paused = is_paused
        if is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


class Turns:
    """Runs long work in turns, one at a time; the event loop serves everything else in between.

    However much is sent at once, a peer with little to do waits for one turn, not for all.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def add(self, work: Callable[[], None]) -> None:
        """Call `work` when it is its turn: soon, but not now."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        work = self._waiting[0]
        try:
            work()
        finally:  # also after an error, the others have their turn
            self._waiting.popleft()
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._next)


class Sweep:
    """Cuts off connections that are past their deadline: one timer for all, none per command."""

    def __init__(self, connections: Collection[Connection]) -> None:
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None

    def start(self, interval: float) -> None:
        """Check all deadlines now, and every `interval` seconds from then on."""
        loop = asyncio.get_running_loop()
        # First, so that an error below does not end the sweep.
        self._timer = loop.call_later(interval, self.start, interval)
        now = loop.time()
        for connection in [c for c in self._connections if c.deadline < now]:
            connection.expire()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
