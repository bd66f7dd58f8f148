"""SMTP load: one message again and again over kept connections, and how long each took.

    python benchmarks/smtp_load.py HOST PORT [--messages N] [--connections N] [--size BYTES] [--recipients N]
                                   [--from ADDRESS] [--to ADDRESS] [--key SMTP-KEY] [--pipelining] [--fresh]
    python benchmarks/smtp_load.py --own            our own protocol, without storage, in a process of its own
    python benchmarks/smtp_load.py --sending        our own sender, to that process

`{n}` in `--to` is the number of the message. `--fresh` opens a connection for each message. Bounded by
`--messages`; stops what it started.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import statistics
import sys
import time
from base64 import b64encode
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import uvloop

HOSTNAME = "sink.example"


@dataclass(frozen=True)
class Load:
    """What to send, and how."""

    host: str
    port: int
    messages: int
    connections: int
    size: int
    reverse_path: str
    recipient: str
    key: str
    pipelining: bool
    fresh: bool

    @property
    def data(self) -> bytes:
        """A message of `size` bytes."""
        head = (
            f"From: Load <{self.reverse_path}>\r\nTo: {self.recipient}\r\nSubject: load\r\n"
            "Date: Fri, 02 Jan 2026 03:04:05 +0000\r\nMessage-ID: <load@load.example>\r\n\r\n"
        ).encode()
        lines = b"the quick brown fox jumps over the lazy dog, again and again and once more..\r\n"
        return head + (lines * (self.size // len(lines) + 1))[: max(self.size - len(head) - 2, 0)] + b"\r\n"


class Client(asyncio.Protocol):
    """One connection. `exchange` sends bytes and waits for a number of replies; none may be negative."""

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


async def connect(load: Load) -> Client:
    _, client = await asyncio.get_running_loop().create_connection(Client, load.host, load.port)
    await client.waiter
    await client.exchange(b"EHLO load.example\r\n")
    if load.key:
        await client.exchange(b"AUTH PLAIN " + b64encode(f"\0load\0{load.key}".encode()) + b"\r\n")
    return client


async def send(client: Client, load: Load, number: int, body: bytes) -> None:
    commands = [
        f"MAIL FROM:<{load.reverse_path}>\r\n".encode(),
        f"RCPT TO:<{load.recipient.replace('{n}', str(number))}>\r\n".encode(),
        b"DATA\r\n",
    ]
    if load.pipelining:
        await client.exchange(b"".join(commands), 3)
    else:
        for command in commands:
            await client.exchange(command)
    await client.exchange(body)


async def run(load: Load) -> list[float]:
    """Send all messages; returns the seconds of each."""
    body = load.data.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    numbers = iter(range(load.messages))
    took: list[float] = []

    async def one_connection() -> None:
        client = None
        for number in numbers:
            began = time.perf_counter()
            client = client or await connect(load)
            await send(client, load, number, body)
            took.append(time.perf_counter() - began)
            if load.fresh:
                await client.exchange(b"QUIT\r\n")
                client = None
        if client is not None:
            await client.exchange(b"QUIT\r\n")

    await asyncio.gather(*(one_connection() for _ in range(load.connections)))
    return took


class Sink:
    """A handler that takes everything and keeps nothing."""

    def authenticate(self, secret: str) -> None:
        return None

    def cram_secrets(self, username: str) -> list[Any]:
        return []

    def check_room(self, size_bytes: int) -> None:
        pass

    def recipient(self, session: Any, address: str) -> Any:
        from postal_server.smtpd.handler import Recipient

        return Recipient(address, "incoming", None)

    def accept(self, session: Any, envelope: Any) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


def serve(channel: Connection) -> None:
    """Serve a `Sink` until told to stop; sends the port, then the CPU seconds used."""
    from postal_server.smtpd.options import Options
    from postal_server.smtpd.server import Listener, SmtpServer

    async def work() -> None:
        options = Options(HOSTNAME, max_connections_per_client=10_000, max_connections=10_000)
        server = SmtpServer(Sink(), options)
        [(_, port)] = await server.start([Listener("127.0.0.1", 0)])
        channel.send(port)
        began = time.process_time()
        await asyncio.get_running_loop().run_in_executor(None, channel.recv)
        channel.send(time.process_time() - began)
        await server.stop()

    uvloop.install()
    asyncio.run(work())


async def run_sender(load: Load) -> list[float]:
    """The same number of messages through our own sender."""
    from postal_server.engine.ports import Target
    from postal_server.transports.smtp.connect import Connector, MxHosts
    from postal_server.transports.smtp.pool import Limits, SmtpPool
    from tests.fakes import FakeResolver, mail

    resolver = FakeResolver()
    target = Target("sink.example", load.host, load.port, "None")
    connector = Connector(MxHosts(resolver), resolver, lambda source: "load.example")
    limits = Limits(load.connections, load.connections, load.connections, mails_per_session=1_000_000)
    pool = SmtpPool(connector, limits)
    letter = mail(load.recipient, load.data, target=target)
    numbers = iter(range(load.messages))
    took: list[float] = []

    async def one_connection() -> None:
        for _ in numbers:
            began = time.perf_counter()
            result = await pool.send(letter)
            assert result.is_delivered, result
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(one_connection() for _ in range(load.connections)))
    await pool.close()
    return took


def report(title: str, load: Load, took: list[float], wall: float, server_cpu: float | None) -> None:
    ranks = statistics.quantiles(took, n=100) if len(took) > 1 else took * 99
    own = time.process_time() / len(took) * 1e6
    print(f"## {title}\n")
    print(
        f"{load.messages} messages of {load.size} bytes, {load.connections} connections"
        f"{' (a new one for each message)' if load.fresh else ' kept'}, "
        f"{'' if load.pipelining else 'no '}pipelining, {os.cpu_count()} cores shared with the generator, "
        f"Python {platform.python_version()}, uvloop {uvloop.__version__}\n"
    )
    print("| messages/s | median ms | 99 % ms | CPU of this process, us | CPU of the server, us |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    cpu = f"{server_cpu / len(took) * 1e6:.0f}" if server_cpu is not None else "not ours"
    print(f"| {len(took) / wall:.0f} | {ranks[49] * 1e3:.2f} | {ranks[98] * 1e3:.2f} | {own:.0f} | {cpu} |\n")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=2525)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--size", type=int, default=10_240)
    parser.add_argument("--from", dest="reverse_path", default="load@load.example")
    parser.add_argument("--to", dest="recipient", default="in@example.test")
    parser.add_argument("--key", default="")
    parser.add_argument("--pipelining", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--sending", action="store_true")
    told = vars(parser.parse_args(arguments))
    own, sending = told.pop("own"), told.pop("sending")
    load = Load(**told)
    if not own and not sending:
        began = time.perf_counter()
        took = uvloop_run(run(load))
        report(f"SMTP acceptance of {load.host}:{load.port}", load, took, time.perf_counter() - began, None)
        return
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        load = Load(**{**told, "port": ours.recv()})
        began = time.perf_counter()
        took = uvloop_run(run_sender(load) if sending else run(load))
        wall = time.perf_counter() - began
        ours.send("stop")
        title = "Our SMTP sender" if sending else "Our SMTP protocol, without storage"
        report(title, load, took, wall, ours.recv())
    finally:
        process.join(5)
        process.kill()


def uvloop_run(work: Any) -> Any:
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    main(sys.argv[1:])
