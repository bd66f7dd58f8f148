"""HTTP posts: kept connections, a limit on all that comes back, and only to addresses that are allowed.

The headers and their order are Postal's (contract 3.2), but that `Connection` says `keep-alive`.
"""

from __future__ import annotations

import asyncio
import email.utils
import socket
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from postal_server.engine.ports import HttpResult, Post
from postal_server.errors import HostileInput
from postal_server.mail.address import domain_to_ascii
from postal_server.rules.http_code import NO_CONNECTION, NO_TLS, TIMED_OUT

from .answer import AnswerReader
from .network import NoneConnected, describe, in_turn, race

MAX_ADDRESSES = 4  # of one host
LOOK_EVERY = 1.0  # seconds between looks at idle connections

SAFE_IN_TARGET = "/?:@!$&'()*+,;=%~-._"

Permits = Callable[[str, str], bool]
Lookup = Callable[[str], Awaitable[list[str]]]


@dataclass(frozen=True)
class Url:
    """A URL taken apart. `target` is what stands in the request line."""

    is_secure: bool
    host: str
    port: int
    target: str
    authorization: str

    @classmethod
    def parse(cls, text: str) -> Url:
        """Raises ValueError."""
        parts = urlsplit(text.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("Not an http or https URL")
        is_secure = parts.scheme == "https"
        host = parts.hostname if ":" in parts.hostname else domain_to_ascii(parts.hostname)
        target = quote(parts.path or "/", safe=SAFE_IN_TARGET)
        target += f"?{quote(parts.query, safe=SAFE_IN_TARGET)}" if parts.query else ""
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        token = b64encode(user.encode()).decode() if "@" in parts.netloc else ""
        return cls(is_secure, host, parts.port or (443 if is_secure else 80), target, token)

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"


def compose(url: Url, post: Post) -> bytes:
    """The request up to its body. Raises ValueError for a header that would break out of its line."""
    fields = [
        *post.headers,
        *([("Authorization", f"Basic {url.authorization}")] if url.authorization else []),
        ("Connection", "keep-alive"),
        ("Host", url.host_header),
        ("Content-Length", str(len(post.body))),
    ]
    if any(c in name + value for name, value in fields for c in "\r\n\0"):
        raise ValueError("A header has a line end in it")
    lines = [f"POST {url.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode()


def compose_get(url: Url) -> bytes:
    """A request for what is there, over a connection that ends with the answer."""
    lines = [f"GET {url.target} HTTP/1.1", f"Host: {url.host_header}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self) -> None:
        self.is_usable = True
        self.idle_since = 0.0
        self._transport: Any = None
        self._reader: AnswerReader | None = None
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self.abort()  # an answer that nobody asked for
            return
        try:
            self._reader.feed(data)
        except HostileInput as error:
            self._finish(error)
        else:
            if self._reader.is_done:
                self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_usable = False
        if self._reader is None:
            return
        try:
            if exc is not None:
                raise exc
            self._reader.end()
        except (HostileInput, OSError) as error:
            self._finish(error)
        else:
            self._finish(None)

    async def exchange(self, head: bytes, body: bytes) -> AnswerReader:
        """Send a request and read its answer. Raises `OSError` or `HostileInput`."""
        reader = self._reader = AnswerReader()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            self._transport.writelines((head, body))
            await self._waiter
        except BaseException as error:
            self.abort()
            if isinstance(error, (OSError, HostileInput)) and not reader.has_begun:
                raise NothingCame(describe(error)) from error
            raise
        finally:
            self._reader = self._waiter = None
        if not reader.may_reuse:
            self.abort()
        return reader

    def abort(self) -> None:
        self.is_usable = False
        self._transport.abort()

    def _finish(self, error: Exception | None) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if error is None:
            self._waiter.set_result(None)
        else:
            self._waiter.set_exception(error)


class NothingCame(OSError):
    """The connection ended before the first byte of an answer."""


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

    async def post(self, post: Post) -> HttpResult:
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

    async def _timed(self, site: _Site, url: Url, head: bytes, post: Post) -> HttpResult:
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


def is_allowed_host(host: str, permits: Permits) -> bool:
    """Would a post to this host be tried? Looks it up; a name without address is not refused."""
    try:
        found: Sequence[Any] = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return all(permits(host, str(address[0])) for *_, address in found)


def retry_after(value: str, now: datetime | None = None) -> int | None:
    """Seconds named by a Retry-After header, as a number or a date; null for anything else."""
    if value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    try:
        at = email.utils.parsedate_to_datetime(value)
        return max(int((at - (now or datetime.now(timezone.utc))).total_seconds()), 0)
    except (TypeError, ValueError):
        return None
