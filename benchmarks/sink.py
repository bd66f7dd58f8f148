"""The sink for mail and webhooks of a benchmark: a process that counts them, and stores nothing.

One process listens on many loopback addresses, each as a mail host. Counts are in shared memory, so reading
them costs nothing.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import time
from collections.abc import Sequence
from typing import Any

import uvloop

SMTP_PORT = 12525  # of every mail host: `smtp_client.port` has one value
GREETING = b"220 sink.example ESMTP\r\n"
EHLO = b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 0\r\n250 ENHANCEDSTATUSCODES\r\n"
HTTP_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
SIGNED = b"\nDKIM-Signature:"
HEAD = 4096  # bytes of a mail in which a signature is looked for


class Counts(ctypes.Structure):
    """What the sink has received. Times are `time.monotonic()` of the last mail and the last request."""

    _fields_ = [
        ("mails", ctypes.c_longlong),
        ("signed", ctypes.c_longlong),
        ("posts", ctypes.c_longlong),
        ("connections", ctypes.c_longlong),
        ("most_connections", ctypes.c_longlong),
        ("mail_at", ctypes.c_double),
        ("post_at", ctypes.c_double),
    ]


class MailHost(asyncio.Protocol):
    """Accepts every mail, `delay` seconds after its final dot."""

    def __init__(self, counts: Any, delay: float) -> None:
        self.counts = counts
        self.delay = delay
        self.buffer = bytearray()
        self.in_data = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.counts.connections += 1
        self.counts.most_connections = max(self.counts.most_connections, self.counts.connections)
        transport.write(GREETING)

    def connection_lost(self, exc: Exception | None) -> None:
        self.counts.connections -= 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self._read():
            pass

    def _read(self) -> bool:
        if self.in_data:
            return self._read_mail()
        line, end, _ = self.buffer.partition(b"\r\n")
        if not end:
            return False
        del self.buffer[: len(line) + 2]
        self._answer(bytes(line[:4]).upper().rstrip())
        return True

    def _answer(self, verb: bytes) -> None:
        if verb == b"EHLO":
            self.transport.write(EHLO)
        elif verb == b"DATA":
            self.in_data = True
            self.transport.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 2.0.0 ok\r\n")

    def _read_mail(self) -> bool:
        end = self.buffer.find(b"\r\n.\r\n")
        if end < 0:
            return False
        is_signed = SIGNED in b"\n" + self.buffer[:HEAD]
        del self.buffer[: end + 5]
        self.in_data = False
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._taken, is_signed)
        else:
            self._taken(is_signed)
        return True

    def _taken(self, is_signed: bool) -> None:
        self.counts.signed += is_signed
        self.counts.mail_at = time.monotonic()
        self.counts.mails += 1
        self.transport.write(b"250 2.0.0 taken\r\n")


class Receiver(asyncio.Protocol):
    """Responds 200 to every HTTP request, once its body is complete."""

    def __init__(self, counts: Any) -> None:
        self.counts = counts
        self.buffer = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (head := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = self.buffer[:head].lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            end = head + 4 + int(length or 0)
            if len(self.buffer) < end:
                return
            del self.buffer[:end]
            self.counts.post_at = time.monotonic()
            self.counts.posts += 1
            self.transport.write(HTTP_OK)


def _serve(counts: Any, addresses: Sequence[str], delay: float, ready: Any) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        for address in addresses:
            await loop.create_server(
                lambda: MailHost(counts, delay), address, SMTP_PORT, backlog=1024, reuse_address=True
            )
        http = await loop.create_server(lambda: Receiver(counts), "127.0.0.1", 0)
        ready.send(http.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(work())


class Sink:
    """A running sink: `addresses` are its mail hosts, `url` is the target for webhooks."""

    def __init__(self, hosts: int = 20, delay: float = 0.0) -> None:
        self.addresses = [f"127.0.1.{number}" for number in range(1, hosts + 1)]
        self.counts: Any = multiprocessing.RawValue(Counts)
        ours, theirs = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.Process(
            target=_serve, args=(self.counts, self.addresses, delay, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        try:
            self.url = f"http://127.0.0.1:{ours.recv()}/"
        except EOFError:
            raise OSError(
                f"Port {SMTP_PORT} of 127.0.1.1 and those beside it: another benchmark runs"
            ) from None

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def reset(self) -> None:
        self.counts.mails = self.counts.signed = self.counts.posts = self.counts.most_connections = 0

    def wait(self, mails: int, posts: int = 0, patience: float = 60.0) -> float:
        """When the last of so many arrived (monotonic clock). Fails if nothing arrives for `patience`."""
        seen, since = -1, time.monotonic()
        while self.counts.mails < mails or self.counts.posts < posts:
            total = self.counts.mails + self.counts.posts
            if total != seen:
                seen, since = total, time.monotonic()
            elif time.monotonic() - since > patience:
                raise TimeoutError(
                    f"{self.counts.mails} of {mails} mails, {self.counts.posts} of {posts} posts"
                )
            time.sleep(0.01)
        return float(max(self.counts.mail_at, self.counts.post_at if posts else 0.0))
