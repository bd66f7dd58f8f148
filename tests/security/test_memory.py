"""Memory: one large mail on its way through a server costs a few times its size, and no more.

Peaks are those of the whole server process (its resident memory), over what it had before.
"""

from __future__ import annotations

import base64
import contextlib
import smtplib
import socketserver
import threading
import time

import pytest
import requests

from tests.altered import relaying_to

from .conftest import reset_peak, resident_bytes

MESSAGE_BYTES = 50 * 1000 * 1000
SMTP_TIMES, OTHER_TIMES = 4, 6
LINE = b"A line of the mail, 76 characters long as base64 has them: 0123456789012345\r\n"

pytestmark = pytest.mark.slow


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


@pytest.fixture
def host():
    with Host() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


@pytest.fixture
def running(host):
    with relaying_to(host.server_address[1], megabytes=60) as server:
        yield server


@pytest.fixture
def postal(running, host):
    """A mail server that has sent a small mail, so that what is loaded once is loaded."""
    server = running.add()
    send_smtp(server, large_mail(server, 1000))
    wait_for(host.sizes, 1)
    return server


class Measured:
    """The peak of the server's memory over what it was, in sizes of the message."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        reset_peak(pid)
        self._before = resident_bytes(pid)

    @property
    def times(self) -> float:
        return (resident_bytes(self._pid, "VmHWM") - self._before) / MESSAGE_BYTES


@pytest.fixture
def measured(postal, running):
    return Measured(running.pid)


def large_mail(server, size: int = MESSAGE_BYTES) -> bytes:
    head = f"From: app@{server.domain}\r\nTo: bob@example.org\r\nSubject: large\r\n\r\n".encode()
    return head + LINE * (size // len(LINE))


def send_smtp(server, raw: bytes) -> None:
    with smtplib.SMTP(*server.smtp_address, timeout=120) as client:
        client.login("anybody", server.smtp_key)
        client.sendmail(f"app@{server.domain}", "bob@example.org", raw)


def wait_for(found: list, count: int, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < end, "not delivered"
        time.sleep(0.05)


def test_mail_over_smtp_in_and_out(postal, host, measured):
    send_smtp(postal, large_mail(postal))
    wait_for(host.sizes, 2)
    assert host.sizes[1] > MESSAGE_BYTES * 0.99
    assert measured.times <= SMTP_TIMES


def test_mail_over_the_api(postal, host, measured):
    given = {
        "mail_from": f"app@{postal.domain}",
        "rcpt_to": ["bob@example.org"],
        "data": base64.b64encode(large_mail(postal)).decode(),
    }
    headers = {"X-Server-API-Key": postal.api_key}
    answer = requests.post(f"{postal.url}/api/v1/send/raw", json=given, headers=headers, timeout=120)
    assert answer.json()["status"] == "success"
    wait_for(host.sizes, 2)
    assert measured.times <= OTHER_TIMES


def test_large_attachment_over_the_api(postal, host, measured):
    given = {
        "from": f"app@{postal.domain}",
        "to": ["bob@example.org"],
        "plain_body": "See the file.",
        "attachments": [
            {
                "name": "a.bin",
                "content_type": "application/octet-stream",
                "data": base64.b64encode(bytes(range(256)) * (MESSAGE_BYTES * 72 // 100 // 256)).decode(),
            }
        ],
    }
    headers = {"X-Server-API-Key": postal.api_key}
    answer = requests.post(f"{postal.url}/api/v1/send/message", json=given, headers=headers, timeout=120)
    assert answer.json()["status"] == "success"
    wait_for(host.sizes, 2)
    assert measured.times <= OTHER_TIMES


@pytest.mark.parametrize("format", ["RawMessage", "Hash"])
def test_mail_posted_to_an_endpoint(postal, site, measured, format):
    address = postal.post_mail_to(site.url, format=format)
    with smtplib.SMTP(*postal.smtp_address, timeout=120) as client:
        client.sendmail("someone@example.org", address, large_mail(postal))
    wait_for(site.requests, 1)
    assert measured.times <= OTHER_TIMES
