"""A large mail, a server that relays it to a host on loopback, and the memory that this takes.

Peaks are those of the whole server process (its resident memory), over what it had before.
"""

from __future__ import annotations

import contextlib
import smtplib
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postal_server.testing import MailServer
from tests.altered import relaying_to

PAGE = 1024
MESSAGE_BYTES = 50 * 1000 * 1000
LINE = b"A line of the mail, 76 characters long as base64 has them: 0123456789012345\r\n"


def resident_bytes(pid: int, name: str = "VmRSS") -> int:
    """The memory of a process now (`VmRSS`) or at its peak (`VmHWM`)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        found = next(line for line in lines if line.startswith(name + ":"))
    return int(found.split()[1]) * PAGE


def reset_peak(pid: int) -> None:
    """Make the peak the memory of now."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


class Host(socketserver.ThreadingTCPServer):
    """Takes every mail over SMTP and forgets it. `sizes` are those of the messages."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.sizes: list[int] = []
        super().__init__(("127.0.0.1", 0), Dialogue)


class Dialogue(socketserver.StreamRequestHandler):
    server: Host

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            self.talk()

    def talk(self) -> None:
        self.wfile.write(b"220 host.example\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go\r\n")
                size = 0
                while (text := self.rfile.readline()) != b".\r\n":
                    size += len(text)
                self.server.sizes.append(size)
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 host.example\r\n")


class Measured:
    """The peak of the server's memory over what it was, in sizes of the message."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        reset_peak(pid)
        self._before = resident_bytes(pid)

    @property
    def times(self) -> float:
        return (resident_bytes(self._pid, "VmHWM") - self._before) / MESSAGE_BYTES


@dataclass(frozen=True)
class Relayed:
    """A mail server that has sent a small mail, so that what is loaded once is loaded."""

    host: Host
    postal: MailServer
    measured: Measured


@contextlib.contextmanager
def relaying() -> Iterator[Relayed]:
    """A server of its own: what another large mail left behind would hide what this one takes."""
    with Host() as host:
        thread = threading.Thread(target=host.serve_forever, args=(0.05,))
        thread.start()
        with relaying_to(host.server_address[1], megabytes=60) as running:
            postal = running.add()
            send_smtp(postal, large_mail(postal, 1000))
            wait_for(host.sizes, 1)
            yield Relayed(host, postal, Measured(running.pid))
        host.shutdown()
        thread.join(5)


def large_mail(server: MailServer, size: int = MESSAGE_BYTES) -> bytes:
    head = f"From: app@{server.domain}\r\nTo: bob@example.org\r\nSubject: large\r\n\r\n".encode()
    return head + LINE * (size // len(LINE))


def send_smtp(server: MailServer, raw: bytes) -> None:
    with smtplib.SMTP(*server.smtp_address, timeout=120) as client:
        client.login("anybody", server.smtp_key)
        client.sendmail(f"app@{server.domain}", "bob@example.org", raw)


def wait_for(found: list[Any], count: int, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < end, "not delivered"
        time.sleep(0.05)
