"""A raw SMTP client for tests, and a handler that knows the recorded installation."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

from postal_server import errors
from postal_server.smtpd.handler import ClientSession, Envelope, Principal, Recipient
from postal_server.smtpd.options import Options
from postal_server.smtpd.server import ListenAddress, SmtpServer

HOSTNAME = "mx.postal.example.test"
KEYS = {
    "K70gy3gHQZaFB9vMhiHcbnpN": "example/live",
    "Bqp29gM1QcnSurTFJ3YvXRHD": "example/live",
    "4qur4DG7VFUTl27fO05up7si": "example/private",
}
ROUTES = {
    "in@example.test": None,
    "accept@example.test": None,
    "hold@example.test": None,
    "bounce@example.test": None,
    "reject@example.test": errors.RouteRejects,
    "in@suspended.test": errors.ServerSuspended,
}


class MemoryHandler:
    """The recorded installation: its keys, its routes. Remembers what it accepted."""

    def __init__(self) -> None:
        self.accepted: list[tuple[ClientSession, Envelope]] = []
        self.is_busy = False
        self.fails_with: Exception | None = None
        self.may_finish: asyncio.Event | None = None

    def authenticate(self, secret: str) -> Principal | None:
        path = KEYS.get(secret)
        return Principal(path, secret) if path else None

    def find_cram_keys(self, username: str) -> Iterable[tuple[Principal, str]] | None:
        return [
            (Principal(path, secret), secret)
            for secret, path in KEYS.items()
            if username in (path, path.replace("/", "_"))
        ] or None

    def check_room(self, size_bytes: int) -> None:
        if self.is_busy:
            raise errors.Busy("full")

    def accept_recipient(self, session: ClientSession, address: str) -> Recipient:
        local, _, domain = address.partition("@")
        if domain == "rp.postal.example.test" or domain.startswith("psrp."):
            if local != "s8halm":
                raise errors.InvalidServerToken
            return Recipient(address, "bounce", None)
        if domain == "routes.postal.example.test":
            if local != "PFidnp7X":
                raise errors.InvalidRouteToken
            return Recipient(address, "incoming", None)
        if session.principal:
            return Recipient(address, "outgoing", None)
        name = f"{local.partition('+')[0]}@{domain}".lower()
        if name not in ROUTES and domain != "wild.test":
            raise errors.AuthenticationRequired
        refusal = ROUTES.get(name)
        if refusal:
            raise refusal
        return Recipient(address, "incoming", None)

    async def accept_message(self, session: ClientSession, envelope: Envelope) -> None:
        if self.may_finish:
            await self.may_finish.wait()
        if self.fails_with:
            raise self.fails_with
        if envelope.data.count(f"by {HOSTNAME}".encode()) >= 4:
            raise errors.LoopDetected
        if session.principal and b"ext@remote.example" in envelope.data:
            raise errors.UnauthenticatedFromAddress
        self.accepted.append((session, envelope))


class Talk(asyncio.Protocol):
    """One connection. `say` returns the reply, all its lines, without the last line end."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.transport: Any = None

    @classmethod
    async def to(cls, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> Talk:
        loop = asyncio.get_running_loop()
        _, talk = await loop.create_connection(cls, *address, ssl=tls)
        return talk

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reader.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reader.feed_eof()

    async def say(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return await self.reply()

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def reply(self) -> str:
        lines = []
        while True:
            raw = await self.reader.readline()
            if not raw:
                return "\n".join([*lines, "<closed>"])
            text = raw.decode().rstrip("\r\n")
            lines.append(text)
            if text[3:4] != "-":
                return "\n".join(lines)

    async def start_tls(self) -> None:
        """TLS on a connection that got its 220."""
        self.transport = await asyncio.get_running_loop().start_tls(self.transport, self, trusting())

    def close(self) -> None:
        self.transport.abort()


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Running:
    """A server on loopback: `async with Running(handler) as server: talk = await server.talk()`."""

    def __init__(self, handler: Any = None, listeners: int = 1, **kwargs: Any) -> None:
        certificates = kwargs.pop("certificates", None)
        names = kwargs.pop("names", None)
        implicit = kwargs.pop("implicit_tls", False)
        kwargs.setdefault("plaintext_auth", True)
        self.counted: list[tuple[str, dict[str, str]]] = []
        self.handler = handler or MemoryHandler()
        self.server = SmtpServer(
            self.handler,
            Options(HOSTNAME, **kwargs),
            certificates,
            names,
            lambda m, /, **k: self.counted.append((m, k)),
        )
        self.listen_address = ListenAddress("127.0.0.1", 0, implicit)
        self.talks: list[Talk] = []

    async def __aenter__(self) -> Running:
        [self.address] = await self.server.start([self.listen_address])
        return self

    async def __aexit__(self, *_: object) -> None:
        for talk in self.talks:
            talk.close()
        await asyncio.sleep(0)
        await self.server.stop()

    async def talk(self, *lines: str, tls: ssl.SSLContext | None = None) -> Talk:
        """A connection that was greeted, and on which these lines were said."""
        talk = await Talk.to(self.address, tls)
        self.talks.append(talk)
        assert (await talk.reply()).startswith("220 ")
        for line in lines:
            assert (await talk.say(line))[0] in "23"
        return talk
