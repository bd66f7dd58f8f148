"""The rest of the world, in a process of its own: DNS, hosts that take mail, and an HTTP server.

    python -m tests.faults.receivers FOLDER ADDRESS SCRIPTS

All names exist, and have an MX at ADDRESS; but the domains in SCRIPTS, JSON of {domain: {verb: answer}}, each
have a host of their own that answers as told (`tests/postal_server/transports/smtp/scripted.py`).
FOLDER/ready.json names the ports. What arrives is in FOLDER/mail (recipient, Message-ID) and FOLDER/posts
(path, uuid, event, recipient), and is answered for a moment later; a host with a script tells in FOLDER/dots
of each final dot (recipient), whatever it answers. While FOLDER/pause exists no mail is
answered for; while FOLDER/silent exists the DNS server says nothing.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import sys
from pathlib import Path
from typing import Any

import dns.message
import dns.rdatatype
import dns.rrset

from postal_server.smtpd.options import Options
from postal_server.smtpd.server import ListenAddress, SmtpServer
from tests.faults.lines import Lines
from tests.postal_server.transports.smtp.scripted import Scripted, ScriptedHost

MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
TO = re.compile(rb"^to:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
LOOK_INTERVAL = 0.02  # seconds
# Seconds until a mail or a post is answered, at most: so that some are always under way.
MAIL_SECONDS = 0.2
POST_SECONDS = 0.04
SCRIPTED = "127.0.1.{}"  # addresses of the hosts with a script


class Taker:
    """The handler of an SMTP server that takes everything, and says so once there is no `pause`."""

    def __init__(self, lines: Lines, pause: Path) -> None:
        self._lines = lines
        self._pause = pause

    def authenticate(self, secret: str) -> None:
        return None

    def find_cram_keys(self, username: str) -> list[Any]:
        return []

    def check_room(self, size_bytes: int) -> None:
        pass

    def accept_recipient(self, session: Any, address: str) -> Any:
        from postal_server.smtpd.handler import Recipient

        return Recipient(address, "incoming", None)

    async def accept_message(self, session: Any, envelope: Any) -> None:
        found = MESSAGE_ID.search(envelope.data)
        for recipient in envelope.recipients:
            self._lines.add(recipient.address, found[1].decode("ascii", "replace") if found else "")
        await asyncio.sleep(random.uniform(0, MAIL_SECONDS))
        while self._pause.exists():
            await asyncio.sleep(LOOK_INTERVAL)


class Names(asyncio.DatagramProtocol):
    """The DNS server. `addresses` are those of domains with a host of their own."""

    def __init__(self, address: str, addresses: dict[str, str], silent: Path) -> None:
        self._address = address
        self._addresses = addresses
        self._silent = silent

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, peer: Any) -> None:
        if self._silent.exists():
            return
        query = dns.message.from_wire(data)
        asked = query.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        answer = dns.message.make_response(query)
        found = {
            "MX": f"10 mx.{name}.",
            "A": self._addresses.get(name.removeprefix("mx."), self._address),
        }.get(dns.rdatatype.to_text(asked.rdtype))
        if found:
            kind = dns.rdatatype.to_text(asked.rdtype)
            answer.answer.append(dns.rrset.from_text(asked.name, 5, "IN", kind, found))
        self._transport.sendto(answer.to_wire(), peer)


async def take_posts(lines: Lines, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One kept connection of the HTTP server."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            given = json.loads(await reader.readexactly(int(length[1]) if length else 0))
            message = given.get("payload", {}).get("message", {})
            recipient = message.get("to") or given.get("rcpt_to") or ""
            lines.add(path, given.get("uuid", ""), given.get("event", ""), recipient)
            await asyncio.sleep(random.uniform(0, POST_SECONDS))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def serve(folder: Path, address: str, scripts: dict[str, dict[str, str]]) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    mail, posts, dots = (Lines(folder / name) for name in ("mail", "posts", "dots"))
    options = Options("mx.example", max_connections_per_client=10_000, max_connections=10_000)
    smtp = SmtpServer(Taker(mail, folder / "pause"), options)
    [(_, smtp_port)] = await smtp.start([ListenAddress(address, 0)])

    class Telling(ScriptedHost):
        """Tells of each final dot, before it answers."""

        def finish(self, content: bytes) -> None:
            found = TO.search(content)
            dots.add(found[1].decode("ascii", "replace") if found else "")
            super().finish(content)

    hosts = {domain: SCRIPTED.format(number) for number, domain in enumerate(scripts, 1)}
    for domain, answers in scripts.items():
        await Scripted(answers, address=hosts[domain], port=smtp_port, protocol=Telling).__aenter__()
    names, _ = await loop.create_datagram_endpoint(
        lambda: Names(address, hosts, folder / "silent"), local_addr=(address, 0)
    )
    http = await asyncio.start_server(lambda r, w: take_posts(posts, r, w), address, 0)
    ports = {
        "smtp": smtp_port,
        "dns": names.get_extra_info("sockname")[1],
        "http": http.sockets[0].getsockname()[1],
    }
    draft = folder / "ready.draft"
    draft.write_text(json.dumps(ports), "utf-8")
    draft.replace(folder / "ready.json")
    await stopped.wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
