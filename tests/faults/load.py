"""Submits until SIGTERM, in a process of its own, and remembers what was acknowledged.

    python -m tests.faults.load FOLDER

FOLDER/load.json is an `Order`. Lines of FOLDER/acknowledged: kind, recipient, seconds; of FOLDER/refused:
kind, what the server said ("" if the connection broke). No recipient is used twice.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.lines import Lines

ANSWER_SECONDS = 90.0
AFTER_A_REFUSAL = 0.2
API, SMTP, INCOMING = "api", "smtp", "incoming"
Address = tuple[str, int]


@dataclass(frozen=True)
class Order:
    """What to submit.

    `rate` is in messages a second, 0 for as many as can be. `connections` are shared by the `kinds`. `domain`
    is the mail server's; recipients are at `destinations`, and numbered from `first` on.
    """

    web: Address
    smtp: Address
    api_key: str
    smtp_key: str
    domain: str
    destinations: Sequence[str]
    rate: float = 50.0
    connections: int = 9
    size_bytes: int = 2000
    first: int = 0
    kinds: Sequence[str] = (API, SMTP, INCOMING)


class Refused(Exception):
    """The server's words."""


class Client:
    """One kept connection."""

    def __init__(self, order: Order, kind: str) -> None:
        self._order = order
        self.kind = kind
        self._text = "x" * 70 + "\r\n"
        self._text *= order.size_bytes // len(self._text)
        self._writer: asyncio.StreamWriter | None = None

    async def submit(self, recipient: str) -> None:
        """Return once it is acknowledged. Raises `Refused`, or an exception of the connection."""
        try:
            await asyncio.wait_for(self._submit(recipient), ANSWER_SECONDS)
        except (Refused, EOFError, OSError, asyncio.TimeoutError):
            self.close()
            raise

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _connect(self) -> None:
        place = self._order.web if self.kind == API else self._order.smtp
        self._reader, self._writer = await asyncio.open_connection(*place)
        if self.kind != API:
            await self._replies(1)
            await self._say("EHLO client.example")
        if self.kind == SMTP:
            login = base64.b64encode(f"\0x\0{self._order.smtp_key}".encode()).decode()
            await self._say(f"AUTH PLAIN {login}")

    async def _submit(self, recipient: str) -> None:
        if self._writer is None:
            await self._connect()
        if self.kind == API:
            await self._post(recipient)
            return
        sender = "someone@elsewhere.example" if self.kind == INCOMING else f"a@{self._order.domain}"
        await self._say(f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA")
        head = f"From: {sender}\r\nTo: {recipient}\r\nMessage-ID: <{recipient}>\r\nSubject: x\r\n"
        await self._say(f"{head}\r\n{self._text}.")

    async def _say(self, *lines: str) -> None:
        assert self._writer
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self._writer.drain()
        await self._replies(len(lines))

    async def _replies(self, count: int) -> None:
        for _ in range(count):
            while (line := await self._line())[3:4] == "-":
                pass
            if line[:1] not in "23":
                raise Refused(line)

    async def _line(self) -> str:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line.decode().rstrip()

    async def _post(self, recipient: str) -> None:
        assert self._writer
        body = json.dumps(
            {"from": f"a@{self._order.domain}", "to": [recipient], "subject": "x", "plain_body": self._text}
        ).encode()
        self._writer.write(
            f"POST /api/v1/send/message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"X-Server-API-Key: {self._order.api_key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        self._writer.write(body)
        status, headers = (await self._line()).split(" ", 1)[1], {}
        while line := await self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        answer = await self._reader.readexactly(int(headers["content-length"]))
        if status[:3] != "200" or json.loads(answer)["status"] != "success":
            raise Refused(f"{status}; Retry-After: {headers.get('retry-after')}; {answer.decode()}")


class Load:
    """All clients, at one rate together."""

    def __init__(self, folder: Path, order: Order) -> None:
        self._order = order
        self._acknowledged = Lines(folder / "acknowledged")
        self._refused = Lines(folder / "refused")
        self._numbers = itertools.count(order.first)
        self._is_stopping = asyncio.Event()
        self._due_at = time.monotonic()

    async def run(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._is_stopping.set)
        kinds = itertools.islice(itertools.cycle(self._order.kinds), self._order.connections)
        await asyncio.gather(*[self._work(Client(self._order, kind)) for kind in kinds])

    async def _work(self, client: Client) -> None:
        while await self._turn():
            recipient = self._recipient(client.kind)
            started = time.monotonic()
            try:
                await client.submit(recipient)
            except Refused as error:
                self._refused.add(client.kind, str(error))
            except (EOFError, OSError, asyncio.TimeoutError):
                self._refused.add(client.kind, "")
            else:
                self._acknowledged.add(client.kind, recipient, f"{time.monotonic() - started:.3f}")
                continue
            await asyncio.sleep(AFTER_A_REFUSAL)
        client.close()

    async def _turn(self) -> bool:
        """Wait for the time of the next message; false if there is none. What was missed is not made up."""
        if self._order.rate:
            now = time.monotonic()
            self._due_at = max(self._due_at + 1 / self._order.rate, now - 1)
            wait = self._due_at - now
        else:
            wait = 0.0
        await asyncio.sleep(max(0.0, wait))
        return not self._is_stopping.is_set()

    def _recipient(self, kind: str) -> str:
        number = next(self._numbers)
        if kind == INCOMING:
            return f"in+{number}@{self._order.domain}"
        return f"r{number}@{self._order.destinations[number % len(self._order.destinations)]}"


def order(told: dict[str, Any]) -> Order:
    return Order(**{**told, "web": tuple(told["web"]), "smtp": tuple(told["smtp"])})


async def main(folder: Path) -> None:
    await Load(folder, order(json.loads((folder / "load.json").read_text("utf-8")))).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
