"""HTTP requests over reused connections, with limits on all that comes back, to permitted addresses only."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from postal_server.engine.ports import HttpDelivery, HttpResult
from postal_server.errors import HostileInput
from postal_server.net.dialling import NoneConnected, describe, interleave_families, race
from postal_server.rules.http_code import NO_CONNECTION, NO_TLS, TIMED_OUT

from .connection import HttpConnection, NoResponse
from .hosts import Permits
from .request import compose_get, compose_post
from .response import ResponseReader, retry_after
from .url import Url

MAX_ADDRESSES = 4  # of one host
IDLE_CHECK_INTERVAL = 1.0  # seconds

Resolve = Callable[[str], Awaitable[list[str]]]


@dataclass
class _Origin:
    """The connections to one scheme, host and port (RFC 6454)."""

    slots: asyncio.Semaphore
    idle: list[HttpConnection] = field(default_factory=list)
    users: int = 0


class HttpPool:
    """Implements `HttpPoster`.

    `permits(host, address)` says whether an address may be connected to; `resolve` gives the addresses of a
    host, and raises `OSError` where it has none. The connection is made to the very address that was asked
    about, so that a name cannot change its mind.
    """

    def __init__(
        self,
        permits: Permits,
        resolve: Resolve,
        *,
        per_origin: int = 20,
        idle: timedelta = timedelta(seconds=30),
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self._permits = permits
        self._resolve = resolve
        self._per_origin = per_origin
        self._max_idle = idle.total_seconds()
        self._tls_context = tls_context or ssl.create_default_context()
        self._origins: dict[tuple[bool, str, int], _Origin] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False

    async def post(self, post: HttpDelivery) -> HttpResult:
        """Send a POST request. Raises neither for what a server does nor for what is no URL."""
        try:
            url = Url.parse(post.url)
            head = compose_post(url, post)
        except ValueError as error:
            return HttpResult(NO_CONNECTION, str(error).encode())
        key = (url.is_secure, url.host, url.port)
        origin = self._origins.get(key)
        if origin is None:
            origin = self._origins[key] = _Origin(asyncio.Semaphore(self._per_origin))
        origin.users += 1
        try:
            async with origin.slots:
                if self._is_closing:
                    return HttpResult(NO_CONNECTION, b"shutting down")
                return await self._timed(origin, url, head, post)
        finally:
            origin.users -= 1
            if not origin.users and not origin.idle:
                self._origins.pop(key, None)

    async def get(self, url: str, timeout: float) -> ResponseReader:
        """The response to a GET request. Redirects are not followed; the body is cut at `MAX_BODY_BYTES`.

        `timeout` is in seconds. Raises `OSError` (`ssl.SSLError` is one), `HostileInput`, or ValueError for
        what is no http or https URL.
        """
        parsed = Url.parse(url)

        async def exchange() -> ResponseReader:
            connection = await self._connect(parsed)
            try:
                return await connection.exchange(compose_get(parsed), b"")
            finally:
                connection.abort()

        try:
            return await asyncio.wait_for(exchange(), timeout)
        except asyncio.TimeoutError as error:
            raise OSError(f"timed out after {timeout:g} s") from error

    async def close(self, grace: timedelta = timedelta(seconds=3)) -> None:
        """Begin no other request, wait `grace` for those under way, and close idle connections.

        Requests that have not ended by then end with their callers.
        """
        self._is_closing = True
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + grace.total_seconds()
        while any(origin.users for origin in self._origins.values()) and loop.time() < ends_at:
            await asyncio.sleep(0.02)
        if self._timer is not None:
            self._timer.cancel()
        for origin in self._origins.values():
            for connection in origin.idle:
                connection.abort()
            origin.idle.clear()
        await asyncio.sleep(0)

    async def _timed(self, origin: _Origin, url: Url, head: bytes, post: HttpDelivery) -> HttpResult:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            response = await asyncio.wait_for(self._exchange(origin, url, head, post.body), post.timeout)
        except ssl.SSLCertVerificationError:
            status, text = NO_TLS, "Invalid SSL certificate"
        except ssl.SSLError as error:
            status, text = NO_TLS, describe(error)
        except asyncio.TimeoutError:
            status, text = TIMED_OUT, f"Timed out after {post.timeout:g}s"
        except (OSError, HostileInput) as error:
            status, text = NO_CONNECTION, describe(error)
        else:
            return HttpResult(
                response.status,
                response.excerpt,
                retry_after(response.headers.get("retry-after", "")),
                loop.time() - began,
            )
        return HttpResult(status, text.encode(), seconds=loop.time() - began)

    async def _exchange(self, origin: _Origin, url: Url, head: bytes, body: bytes) -> ResponseReader:
        connection = self._take_idle(origin)
        if connection is not None:
            try:
                response = await connection.exchange(head, body)
            except NoResponse:
                pass  # closed by the server while it was idle: a new one is needed
            else:
                self._keep(origin, connection)
                return response
        connection = await self._connect(url)
        response = await connection.exchange(head, body)
        self._keep(origin, connection)
        return response

    async def _connect(self, url: Url) -> HttpConnection:
        try:
            addresses = await self._resolve(url.host)
        except OSError as error:
            raise OSError(f"{url.host} cannot be looked up") from error
        if not all(self._permits(url.host, address) for address in addresses):
            # One is enough: a name with a public and a private address is an attempt to get in.
            raise OSError(f"{url.host} is at an address that may not be posted to")
        try:
            connection, _ = await race(
                interleave_families(addresses)[:MAX_ADDRESSES],
                lambda address: self._dial(url, address),
                OSError,
            )
        except NoneConnected as failed:
            errors = list(failed.errors.values())
            # A problem with the certificate says more than another address that does not answer.
            raise next((e for e in errors if isinstance(e, ssl.SSLError)), errors[-1]) from failed
        return connection

    async def _dial(self, url: Url, address: str) -> HttpConnection:
        tls: dict[str, Any] = {"ssl": self._tls_context, "server_hostname": url.host} if url.is_secure else {}
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(HttpConnection, address, url.port, **tls)
        except asyncio.TimeoutError as error:  # the time-out of the operating system
            raise OSError("connecting timed out") from error
        return connection

    def _take_idle(self, origin: _Origin) -> HttpConnection | None:
        while origin.idle:
            connection = origin.idle.pop()
            if connection.is_usable:
                return connection
        return None

    def _keep(self, origin: _Origin, connection: HttpConnection) -> None:
        if not connection.is_usable:
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        origin.idle.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(IDLE_CHECK_INTERVAL, self._close_idle)

    def _close_idle(self) -> None:
        """Close connections that have been idle for too long or that the server has closed."""
        self._timer = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._max_idle
        for key, origin in list(self._origins.items()):
            for connection in [c for c in origin.idle if c.idle_since < oldest or not c.is_usable]:
                origin.idle.remove(connection)
                connection.abort()
            if not origin.users and not origin.idle:
                del self._origins[key]
        if any(origin.idle for origin in self._origins.values()):
            self._timer = loop.call_later(IDLE_CHECK_INTERVAL, self._close_idle)
