"""An SMTP host that does as it is told, wrong things included."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

CLOSE = "<close>"
HANG = "<hang>"
EHLO = "250-host.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000"


class ScriptedHost(asyncio.Protocol):
    """One connection. `answers` maps a verb (`BANNER`, `EHLO`, ..., `DOT`) to a reply, CLOSE or HANG."""

    def __init__(self, host: Scripted) -> None:
        self.host = host
        self.buffer = b""
        self.in_data = self.is_shaking_hands = False
        self.lines: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self not in self.host.connections:
            self.host.connections.append(self)
            self.answer("BANNER", "220 host.example ESMTP")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while not self.is_shaking_hands:
            end = b"\r\n.\r\n" if self.in_data else b"\r\n"
            if self.in_data and self.buffer.startswith(b".\r\n"):
                self.finish(b"")
                self.buffer = self.buffer[3:]
                continue
            head, mark, rest = self.buffer.partition(end)
            if not mark:
                return
            self.buffer = rest
            if self.in_data:
                self.finish(head + b"\r\n")
            else:
                self.obey(head.decode())

    def obey(self, line: str) -> None:
        self.lines.append(line)
        verb = line.split(" ", maxsplit=1)[0].upper()
        defaults = {"EHLO": self.host.ehlo, "DATA": "354 go", "QUIT": "221 bye", "STARTTLS": "220 go"}
        self.answer(verb, defaults.get(verb, "250 ok"))

    def finish(self, content: bytes) -> None:
        self.in_data = False
        self.host.received.append(content)
        self.answer("DOT", "250 queued")

    def answer(self, verb: str, default: str) -> None:
        answers = self.host.answers.get(verb, default)
        answer = answers if isinstance(answers, str) else answers.pop(0) if answers else default
        if answer == HANG:
            return
        if answer == CLOSE:
            self.transport.close()
            return
        self.transport.write(answer.encode() + b"\r\n")
        self.in_data = verb == "DATA" and answer.startswith("354")
        if verb == "STARTTLS" and answer.startswith("220") and self.host.tls:
            self.is_shaking_hands = True
            self.transport.pause_reading()  # what comes now is TLS
            self.host.tasks.append(asyncio.ensure_future(self.start_tls()))
        if answer.startswith("421"):
            self.transport.close()

    async def start_tls(self) -> None:
        try:
            self.transport = await asyncio.get_running_loop().start_tls(
                self.transport, self, self.host.tls, server_side=True
            )
        except OSError:
            return
        self.is_shaking_hands = False
        self.data_received(b"")


class Scripted:
    """`async with Scripted({"RCPT": "550 no"}) as host:` listens on `host.port` of `address`.

    A list of answers is used up one by one, over all connections.
    """

    def __init__(
        self,
        answers: Mapping[str, str | list[str]] | None = None,
        ehlo: str = EHLO,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        address: str = "127.0.0.1",
        port: int = 0,
        protocol: type[ScriptedHost] = ScriptedHost,
    ) -> None:
        self.answers = dict(answers or {})
        self.ehlo = ehlo
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.address = address
        self.port = port
        self.protocol = protocol
        self.connections: list[ScriptedHost] = []
        self.received: list[bytes] = []
        self.tasks: list[Any] = []

    async def __aenter__(self) -> Scripted:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            lambda: self.protocol(self), self.address, self.port, ssl=self.tls if self.implicit_tls else None
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for connection in self.connections:
            connection.transport.abort()
        await asyncio.sleep(0)

    @property
    def lines(self) -> list[str]:
        """What was said, over all connections."""
        return [line for connection in self.connections for line in connection.lines]
