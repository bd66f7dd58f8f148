"""HTTP posts: kept connections, a limit on all that comes back, and only to addresses that are allowed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from postal_server.engine.ports import HttpDelivery, HttpResult
from postal_server.errors import HostileInput
from postal_server.net.dialling import NoneConnected, describe, in_turn, race
from postal_server.rules.http_code import NO_CONNECTION, NO_TLS, TIMED_OUT

from .answer import AnswerReader, retry_after
from .connection import Connection, NothingCame
from .hosts import Permits
from .request import compose, compose_get
from .url import Url

MAX_ADDRESSES = 4  # of one host
LOOK_EVERY = 1.0  # seconds between looks at idle connections

Lookup = Callable[[str], Awaitable[list[str]]]


@dataclass
class _Site:
    """One scheme, host and port."""

    slots: asyncio.Semaphore
    idle: list[Connection] = field(default_factory=list)
    users: int = 0


class HttpPool:
    """Implements `HttpPoster`.

    `permits(host, address)` says whether an address may be connected to; `lookup` gives the addresses of a
    host, and raises `OSError` where it has none. The connection is made to the very address that was asked
    about, so that a name cannot change its mind.
    """

    def __init__(
        self,
        permits: Permits,
        lookup: Lookup,
        *,
        per_site: int = 20,
        idle: timedelta = timedelta(seconds=30),
        verifying: ssl.SSLContext | None = None,
    ) -> None:
        self._permits = permits
        self._lookup = lookup
        self._per_site = per_site
        self._max_idle = idle.total_seconds()
        self._verifying = verifying or ssl.create_default_context()
        self._sites: dict[tuple[bool, str, int], _Site] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False

    async def post(self, post: HttpDelivery) -> HttpResult:
        """Never raises for what a server does, nor for a URL that is none."""
        try:
            url = Url.parse(post.url)
            head = compose(url, post)
        except ValueError as error:
            return HttpResult(NO_CONNECTION, str(error).encode())
        key = (url.is_secure, url.host, url.port)
        site = self._sites.get(key)
        if site is None:
            site = self._sites[key] = _Site(asyncio.Semaphore(self._per_site))
        site.users += 1
        try:
            async with site.slots:
                if self._is_closing:
                    return HttpResult(NO_CONNECTION, b"shutting down")
                return await self._timed(site, url, head, post)
        finally:
            site.users -= 1
            if not site.users and not site.idle:
                self._sites.pop(key, None)

    async def get(self, url: str, timeout: float) -> AnswerReader:
        """What is at this URL. Redirects are not followed, and what is longer than `MAX_BODY_BYTES` is cut.

        Raises `OSError` (`ssl.SSLError` is one), `HostileInput`, or ValueError for a URL that is none.
        """
        parsed = Url.parse(url)

        async def exchange() -> AnswerReader:
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
        """Begin no other post, wait `grace` for those under way, close idle connections.

        What has not ended by then ends with its callers.
        """
        self._is_closing = True
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + grace.total_seconds()
        while any(site.users for site in self._sites.values()) and loop.time() < ends_at:
            await asyncio.sleep(0.02)
        if self._timer is not None:
            self._timer.cancel()
        for site in self._sites.values():
            for connection in site.idle:
                connection.abort()
            site.idle.clear()
        await asyncio.sleep(0)

    async def _timed(self, site: _Site, url: Url, head: bytes, post: HttpDelivery) -> HttpResult:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await asyncio.wait_for(self._exchange(site, url, head, post.body), post.timeout)
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
                answer.status,
                answer.kept,
                retry_after(answer.headers.get("retry-after", "")),
                loop.time() - began,
            )
        return HttpResult(status, text.encode(), seconds=loop.time() - began)

    async def _exchange(self, site: _Site, url: Url, head: bytes, body: bytes) -> AnswerReader:
        connection = self._take(site)
        if connection is not None:
            try:
                answer = await connection.exchange(head, body)
            except NothingCame:
                pass  # closed by the server while it was idle: this post gets a new one
            else:
                self._keep(site, connection)
                return answer
        connection = await self._connect(url)
        answer = await connection.exchange(head, body)
        self._keep(site, connection)
        return answer

    async def _connect(self, url: Url) -> Connection:
        try:
            addresses = await self._lookup(url.host)
        except OSError as error:
            raise OSError(f"{url.host} cannot be looked up") from error
        if not all(self._permits(url.host, address) for address in addresses):
            # One is enough: whoever names both a public and a private address wants to be let in.
            raise OSError(f"{url.host} is at an address that may not be posted to")
        try:
            connection, _ = await race(
                in_turn(addresses)[:MAX_ADDRESSES], lambda address: self._dial(url, address), OSError
            )
        except NoneConnected as failed:
            errors = list(failed.errors.values())
            # What is wrong with a certificate tells more than that another address is silent.
            raise next((e for e in errors if isinstance(e, ssl.SSLError)), errors[-1]) from failed
        return connection

    async def _dial(self, url: Url, address: str) -> Connection:
        tls: dict[str, Any] = {"ssl": self._verifying, "server_hostname": url.host} if url.is_secure else {}
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(Connection, address, url.port, **tls)
        except asyncio.TimeoutError as error:  # of the operating system, not ours
            raise OSError("connecting timed out") from error
        return connection

    def _take(self, site: _Site) -> Connection | None:
        while site.idle:
            connection = site.idle.pop()
            if connection.is_usable:
                return connection
        return None

    def _keep(self, site: _Site, connection: Connection) -> None:
        if not connection.is_usable:
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        site.idle.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        """Let go of connections that were idle for too long, or closed by the server."""
        self._timer = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._max_idle
        for key, site in list(self._sites.items()):
            for connection in [c for c in site.idle if c.idle_since < oldest or not c.is_usable]:
                site.idle.remove(connection)
                connection.abort()
            if not site.users and not site.idle:
                del self._sites[key]
        if any(site.idle for site in self._sites.values()):
            self._timer = loop.call_later(LOOK_EVERY, self._look)
