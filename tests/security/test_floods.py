"""Floods over many connections at once: meanwhile another client's SMTP, API and /health are answered.

One flood of commands and one of calls run with all other tests, the others are among the drills.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from postal_server.testing import MailServer, RunningServer

from .test_load import http_connection, one_of, others_are_served
from .test_smtp import Wire

# Measured: others wait 0.2 to 0.5 s on two quiet cores. When a connection was served until nothing was left
# of what it had sent they waited 6 to 16 s, and 20 to 30 s for the calls.
CONNECTIONS = 50
CALLING = 25  # connections: half of what was measured would take 10 to 15 s without turns
PATIENCE = 5.0  # seconds: ten times what was measured

MAIL = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n"


@pytest.fixture
def postal() -> Iterator[MailServer]:
    """A mail server of a server of its own: wrong keys count against all who come from this address."""
    with RunningServer() as running:
        yield running.add()


def recipient(postal: MailServer) -> bytes:
    return b"RCPT TO:<postmaster@%s>\r\n" % postal.domain.encode()


def in_unicode(number: int) -> bytes:
    """A recipient whose domain takes half a millisecond to be read, and is nobody's."""
    label = "ü" * 30 + chr(0x4E00 + number)
    return f"RCPT TO:<a@{label}.{label}.{label}.example>\r\n".encode()


PIPELINES: dict[str, Callable[[MailServer], bytes]] = {
    "NOOP": lambda postal: b"NOOP\r\n" * 3000,
    "EHLO": lambda postal: b"EHLO c.example\r\n" * 3000,
    "domains in Unicode": lambda postal: MAIL + b"".join(map(in_unicode, range(60))),
    "recipients": lambda postal: MAIL + recipient(postal) * 990 + b"QUIT\r\n",
    "long commands": lambda postal: (b"X" * 2000 + b"\r\n") * 60,
    "chunks of one byte": lambda postal: MAIL + recipient(postal) + b"BDAT 1\r\nx" * 1990 + b"QUIT\r\n",
    "wrong keys": lambda postal: MAIL + b"AUTH PLAIN %s\r\n" % base64.b64encode(b"\0a\0wrong") * 60,
}


def say(wire: Wire, text: bytes) -> None:
    """Say all of it at once, and hear what is answered until the server has enough."""
    with contextlib.suppress(OSError):  # it may have enough before that
        wire.socket.sendall(text)
        while wire.socket.recv(1 << 20):
            pass


@one_of(PIPELINES, "recipients")
def test_a_flood_of_commands_does_not_delay_others(postal, name):
    text = PIPELINES[name](postal)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as pool:
        wires = [Wire(postal.smtp_address) for _ in range(CONNECTIONS)]
        for wire in wires:
            stack.callback(wire.close)
        with others_are_served(postal, PATIENCE):
            for said in [pool.submit(say, wire, text) for wire in wires]:
                said.result()


CALLS = {
    "numbers": b'{"to":[' + b"1," * 30_000 + b"1]}",
    "lists": b'{"to":[' + b"[1]," * 15_000 + b"1]}",
    "objects": b'{"to":[' + b'{"a":1},' * 7500 + b"1]}",
}


@one_of(CALLS, "lists")
def test_a_flood_of_calls_does_not_delay_others(postal, name):
    """With a key: calls of as much as is read at a time, three on each connection."""
    host, body = postal.url.removeprefix("http://").encode(), CALLS[name]
    call = (
        b"POST /api/v1/send/message HTTP/1.1\r\nHost: %s\r\nX-Server-API-Key: %s\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (host, postal.api_key.encode(), len(body), body)
    )

    def ask() -> bytes:
        with http_connection(postal) as connection, connection.makefile("rb") as answers:
            connection.sendall(3 * call)
            return answers.readline()

    with ThreadPoolExecutor(CALLING) as pool, others_are_served(postal, PATIENCE):
        statuses = {asked.result() for asked in [pool.submit(ask) for _ in range(CALLING)]}
    assert statuses == {b"HTTP/1.1 200 OK\r\n"}
