"""The generators: the same message repeatedly, over SMTP or the API, on persistent connections."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import uvloop

SENDER = "load@sender.example"
DESTINATIONS = 50
LINE = "The quick brown fox jumps over the lazy dog, again and again, and then once more.\r\n"


def text(size: int) -> str:
    """`size` bytes in lines."""
    return (LINE * (size // len(LINE) + 1))[:size]


def mail(size: int) -> bytes:
    """A message of about `size` bytes."""
    head = (
        f"From: Load <{SENDER}>\r\nTo: Somebody <somebody@dest.example>\r\nSubject: load\r\n"
        "Date: Fri, 02 Jan 2026 03:04:05 +0000\r\nMessage-ID: <load@sender.example>\r\n\r\n"
    )
    return head.encode() + text(max(size - len(head) - 2, 0)).encode() + b"\r\n"


def recipient(number: int, destinations: int) -> str:
    """The recipient of message `number`."""
    return f"r{number}@d{number % destinations}.example"


@dataclass(frozen=True)
class Load:
    """What to send, and where to. `key` is an SMTP or API key, empty for servers that require none."""

    port: int
    messages: int
    key: str = ""
    size: int = 10_240
    connections: int = 20
    destinations: int = DESTINATIONS
    host: str = "127.0.0.1"


class SmtpClient(asyncio.Protocol):
    """One connection. `exchange` sends bytes and waits for a number of replies; none may be negative."""

    pipelines = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.rest = b""
        self.wanted = 1
        self.waiter = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.waiter.done():
            self.waiter.set_exception(exc or ConnectionError("connection closed"))

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\r\n")
        for line in lines:
            if line[4:] == b"PIPELINING":
                self.pipelines = True
            if line[3:4] == b"-":
                continue
            if line[:1] not in (b"2", b"3"):
                self.waiter.set_exception(RuntimeError(line.decode()))
                self.transport.close()
                return
            self.wanted -= 1
        if self.wanted <= 0 and not self.waiter.done():
            self.waiter.set_result(None)

    async def exchange(self, data: bytes, replies: int = 1) -> None:
        self.wanted = replies
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        await self.waiter

    async def begin(self, key: str) -> None:
        await self.waiter
        await self.exchange(b"EHLO load.example\r\n")
        if key:
            await self.exchange(b"AUTH PLAIN " + b64encode(f"\0load\0{key}".encode()) + b"\r\n")

    async def send(self, rcpt_to: str, body: bytes, mail_from: str = SENDER) -> None:
        """One transaction, pipelined if the server offers it, as a mail server would."""
        commands = [f"MAIL FROM:<{mail_from}>\r\n", f"RCPT TO:<{rcpt_to}>\r\n", "DATA\r\n"]
        if self.pipelines:
            await self.exchange("".join(commands).encode(), 3)
        else:
            for command in commands:
                await self.exchange(command.encode())
        await self.exchange(body)


class HttpClient(asyncio.Protocol):
    """One persistent connection; `post` waits for the response."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = b""
        self.waiter: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.waiter.done():
            self.waiter.set_exception(exc or ConnectionError("connection closed"))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(length):
            self.buffer = b""
            self.waiter.set_result(body)

    async def post(self, request: bytes) -> bytes:
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.waiter


def smtp(load: Load) -> float:
    """Send all messages over SMTP; seconds until the last one was acknowledged."""
    body = mail(load.size).replace(b"\r\n.", b"\r\n..") + b".\r\n"
    numbers = iter(range(load.messages))

    async def one_connection() -> None:
        client = await _connect(SmtpClient, load)
        await client.begin(load.key)
        for number in numbers:
            await client.send(recipient(number, load.destinations), body)
        await client.exchange(b"QUIT\r\n")

    return _timed(one_connection, load.connections)


def reports(load: Load, mails: Iterable[tuple[str, bytes]]) -> float:
    """Send reports to return paths; seconds until the last one was acknowledged."""
    waiting = iter(mails)

    async def one_connection() -> None:
        client = await _connect(SmtpClient, load)
        await client.begin("")
        for return_path, body in waiting:
            await client.send(return_path, body + b".\r\n", mail_from="")
        await client.exchange(b"QUIT\r\n")

    return _timed(one_connection, load.connections)


def api(load: Load) -> float:
    """Send all messages by `send/message`; seconds until the last one was acknowledged."""
    half = text(load.size // 2)
    numbers = iter(range(load.messages))

    def request(number: int) -> bytes:
        asked = {
            "to": [recipient(number, load.destinations)],
            "from": f"Load <{SENDER}>",
            "subject": "load",
            "plain_body": half,
            "html_body": half,
        }
        data = json.dumps(asked).encode()
        head = (
            f"POST /api/v1/send/message HTTP/1.1\r\nHost: {load.host}:{load.port}\r\n"
            f"X-Server-API-Key: {load.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    async def one_connection() -> None:
        client = await _connect(HttpClient, load)
        for number in numbers:
            answer = await client.post(request(number))
            assert b'"status":"success"' in answer, answer
        client.transport.close()

    return _timed(one_connection, load.connections)


async def _connect(client: Callable[[], Any], load: Load) -> Any:
    _, connected = await asyncio.get_running_loop().create_connection(client, load.host, load.port)
    return connected


def _timed(one_connection: Callable[[], Any], connections: int) -> float:
    async def work() -> float:
        started = time.monotonic()
        await asyncio.gather(*(one_connection() for _ in range(connections)))
        return time.monotonic() - started

    return float(uvloop.run(work()))
