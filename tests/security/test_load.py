"""Attacks on time and memory: meanwhile another client's SMTP, API and /health are answered at once.

Of attacks in several shapes one is tried with all other tests; the others are among the drills.
"""

from __future__ import annotations

import base64
import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from .test_smtp import MEGABYTE, Wire

# Seconds that somebody else may wait. Measured: 0.05 to 0.2; before the limits 3 to 14, or for ever.
PATIENCE = 5.0  # ten times what is asked for on a quiet machine: 0.5 s
SLOW_DISK = "452"  # an answer as well: the machine of a test may have better things to do
LARGE = 13 * MEGABYTE
ANSWERS_BYTES = 64 * MEGABYTE  # web.unsent
STRANGERS_BYTES = 128 * MEGABYTE  # smtp_server.max_memory_before_auth


def one_of(shapes: Iterable[str], shown: str) -> pytest.MarkDecorator:
    """A test for each shape of an attack; all but `shown` are drills."""
    drill = pytest.mark.drill
    cases = [pytest.param(shape, marks=() if shape == shown else drill) for shape in shapes]
    return pytest.mark.parametrize("name", cases)


class Bystander(threading.Thread):
    """Another client, which sends small mail and asks for /health again and again."""

    def __init__(self, postal) -> None:
        super().__init__()
        self._postal = postal
        self._has_enough = threading.Event()
        self.waits: dict[str, list[float]] = {"SMTP": [], "API": [], "large API": [], "/health": []}
        self.errors: list[str] = []

    def run(self) -> None:
        calls: dict[str, Callable[[], None]] = {
            "SMTP": self.send,
            "API": self.call,
            "large API": lambda: self.call("x" * 600_000),
            "/health": self.probe,
        }
        while not self._has_enough.is_set() or not self.waits["/health"]:
            for name, call in calls.items():
                began = time.monotonic()
                try:
                    call()
                except Exception as error:
                    self.errors.append(f"{name}: {error!r}")
                self.waits[name].append(time.monotonic() - began)
            self._has_enough.wait(0.02)

    def send(self) -> None:
        wire = Wire(self._postal.smtp_address)
        try:
            for line in (b"EHLO c.example", b"MAIL FROM:<a@b.example>", self.recipient, b"DATA"):
                reply = wire.say(line)
                if reply.startswith(SLOW_DISK):
                    return
                assert reply[0] in "23", line
            assert wire.say(b"Subject: ordinary\r\n\r\nHello\r\n.")[:3] in ("250", SLOW_DISK)
        finally:
            wire.close()

    @property
    def recipient(self) -> bytes:
        return b"RCPT TO:<postmaster@%s>" % self._postal.domain.encode()

    def call(self, text: str = "Hello") -> None:
        given = {"to": ["bob@example.org"], "from": f"app@{self._postal.domain}", "plain_body": text}
        headers = {"X-Server-API-Key": self._postal.api_key}
        answer = requests.post(
            f"{self._postal.url}/api/v1/send/message", json=given, headers=headers, timeout=20
        )
        assert answer.json()["status"] == "success" or answer.json()["data"]["code"] == "Busy", answer.text

    def probe(self) -> None:
        assert requests.get(f"{self._postal.url}/health", timeout=20).text == "OK"

    def stop(self) -> None:
        self._has_enough.set()
        self.join()


@contextlib.contextmanager
def others_are_served(postal, patience: float = PATIENCE) -> Iterator[Bystander]:
    """Within the block another client is answered in so many seconds, each time."""
    bystander = Bystander(postal)
    bystander.start()
    try:
        yield bystander
    finally:
        bystander.stop()
    longest = {name: round(max(waits), 2) for name, waits in bystander.waits.items()}
    print(f"longest waits of {len(bystander.waits['/health'])}: {longest}")  # for who measures
    assert bystander.errors == []
    assert max(longest.values()) < patience, longest


def stranger(postal, *lines: bytes) -> Wire:
    """A client without a key, whose mail is always taken; it said these lines as well."""
    wire = Wire(postal.smtp_address)
    recipient = b"RCPT TO:<postmaster@%s>" % postal.domain.encode()
    for line in (b"EHLO c.example", b"MAIL FROM:<a@b.example>", recipient, *lines):
        assert wire.say(line)[0] in "23", line
    return wire


HEADERS = {
    "folds": b"X:" + b"\r\n " * (LARGE // 3),
    "short fields": b"a:\r\n" * (LARGE // 4),
    "fields": b"X-Field: value\r\n" * (LARGE // 16),
    "one field": b"X: " + b"x" * LARGE,
    "bare carriage returns": b"a:\r" * (LARGE // 3),
    "a subject": b"Subject: " + "ü".encode() * (LARGE // 2),
}


@one_of(HEADERS, "folds")
def test_a_large_header_of_a_stranger_does_not_delay_others(postal, name):
    """F1: five mails whose ends come together."""
    with contextlib.ExitStack() as stack:
        wires = [stranger(postal, b"DATA") for _ in range(5)]
        for wire in wires:
            stack.callback(wire.close)
            wire.socket.sendall(HEADERS[name])
        with others_are_served(postal):
            for wire in wires:
                wire.socket.sendall(b"\r\n\r\nx\r\n.\r\n")
            for wire in wires:
                assert wire.reply().startswith("552 5.3.4 ")
    with others_are_served(postal):  # while it comes
        wire = stranger(postal, b"DATA")
        wire.socket.sendall(HEADERS[name] + b"\r\n\r\nx\r\n.\r\n")
        assert wire.reply().startswith("552 ")
        wire.close()


ACCEPTED_HEADERS = {
    "folds": b"X:" + b"\r\n " * 87_000,
    "fields": b"".join(b"X-%d: %s\r\n" % (n, b"v" * 240) for n in range(999)),
    "encoded words": b"Subject:" + b" =?utf-8?q?=C3=BC?=" * 13_000,
    "umlauts": b"Subject: " + "ü".encode() * 130_000,
    "addresses": b"To: " + b"a@b.example," * 21_000,
    "loops": b"Received: by localhost" + b" by localhost" * 19_000,
}


@one_of(ACCEPTED_HEADERS, "encoded words")
def test_the_largest_headers_that_are_accepted_do_not_delay_others(postal, name):
    with others_are_served(postal), contextlib.ExitStack() as stack:
        wires = [stranger(postal, b"DATA") for _ in range(20)]
        for wire in wires:
            stack.callback(wire.close)
            wire.socket.sendall(ACCEPTED_HEADERS[name])
        for wire in wires:
            wire.socket.sendall(b"\r\n\r\nx\r\n.\r\n")
        assert {wire.reply()[:3] for wire in wires} <= {"250", "452"}


@one_of(["DATA", "BDAT"], "DATA")
def test_unfinished_mail_of_strangers_takes_so_much_memory_and_does_not_delay_others(postal, growth, name):
    """F2: 24 clients and 13 MB each, which they never end."""
    begin = b"DATA" if name == "DATA" else b"NOOP"
    text = b"Subject: x\r\n\r\n" + b"A line of the mail.\r\n" * (LARGE // 21)
    with contextlib.ExitStack() as stack:
        wires = []
        with others_are_served(postal):
            for _ in range(24):
                wire = stranger(postal, begin)
                stack.callback(wire.close)
                if name == "BDAT":
                    wire.socket.sendall(b"BDAT %d LAST\r\n" % (len(text) + 1))
                wire.socket.sendall(text)
                wires.append(wire)
            time.sleep(0.5)
            assert growth() < 1.4 * STRANGERS_BYTES
            metrics = requests.get(f"{postal.url}/metrics", timeout=20).text
            assert "\npostal_smtp_server_unfinished_bytes 1." in metrics  # 1.2e+08
            assert '\npostal_smtp_server_messages_without_room_total{authenticated="no"}' in metrics
        for wire in wires:
            wire.socket.sendall(b".\r\n" if name == "DATA" else b"x")
        replies = [wire.reply()[:3] for wire in wires]
        assert set(replies) == {"250", "452"}
        assert replies.count("452") >= 24 - STRANGERS_BYTES // LARGE


def test_large_answers_that_are_not_read_take_so_much_memory_and_do_not_delay_others(postal, call, growth):
    """20 connections ask for a mail of 13 MB and read nothing; that was a gigabyte."""
    raw = b"From: app@%s\r\n\r\n" % postal.domain.encode() + b"A line of the mail.\r\n" * (LARGE // 21)
    sent = {"mail_from": f"app@{postal.domain}", "rcpt_to": ["bob@example.org"]}
    answer = call("send/raw", {**sent, "data": base64.b64encode(raw).decode()}).json()
    asked = {"id": answer["data"]["messages"]["bob@example.org"]["id"], "_expansions": ["raw_message"]}
    body = json.dumps(asked).encode()
    head = (
        f"POST /api/v1/messages/message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Server-API-Key: {postal.api_key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    before = growth()
    with contextlib.ExitStack() as stack, others_are_served(postal):
        for _ in range(20):
            wire = stack.enter_context(http_connection(postal))
            wire.sendall(head.encode() + body)
        wait_until(lambda: answers_cut_off(postal) >= 20 - ANSWERS_BYTES // LARGE, "the others are cut off")
        assert growth() - before < ANSWERS_BYTES + 30 * LARGE  # with what making and sending them takes
        shown = call("messages/message", asked).json()["data"]["raw_message"]
        assert base64.b64decode(shown).endswith(raw.partition(b"\r\n\r\n")[2])


def answers_cut_off(postal) -> float:
    metrics = requests.get(f"{postal.url}/metrics", timeout=20).text
    return float(metrics.partition("\npostal_web_answers_cut_off_total ")[2].partition("\n")[0])


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_slow_posts_of_strangers_do_not_delay_others(postal):
    """F7: their bodies never come."""
    host = postal.url.removeprefix("http://").encode()
    form = b"Cookie: postal_server_csrf=" + b"x" * 32 + b"\r\nContent-Type: %s"
    heads = [
        b"POST %s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Length: 3000000\r\n\r\n" % (path, host, field)
        for path, field in (
            (b"/admin/login/", form % b"application/x-www-form-urlencoded"),
            (b"/admin/", form % b"multipart/form-data; boundary=x"),
            (b"/api/v1/send/message", b"X-Server-API-Key: wrong"),
            (b"/api/v1/send/message", b"X-Server-API-Key: " + postal.api_key.encode()),
        )
    ]
    with contextlib.ExitStack() as stack:
        for head in heads:
            for _ in range(70):  # more than web_server.max_threads
                stack.enter_context(http_connection(postal)).sendall(head + b"x" * 100_000)
        time.sleep(0.2)
        with others_are_served(postal):
            time.sleep(1)


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


UNFINISHED = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "half a body": b"POST /admin/login/ HTTP/1.1\r\nContent-Length: 10\r\n\r\nx",
}


@one_of(UNFINISHED, "half a body")
def test_unfinished_requests_of_one_address_do_not_delay_others(postal, many_files, name):
    """F7: as many as there are connections, from where all the world may come (a proxy)."""
    with contextlib.ExitStack() as stack:
        for _ in range(1100):
            wire = stack.enter_context(http_connection(postal))
            with contextlib.suppress(ConnectionError):  # gave way already
                wire.sendall(UNFINISHED[name])
        with others_are_served(postal):
            time.sleep(1)


def http_connection(postal) -> socket.socket:
    host, port = postal.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def dashes() -> bytes:
    """29 parts inside each other whose boundaries are dashes, around 13 MB of dashes."""
    head = b""
    for depth in range(1, 30):
        boundary = b"-" * depth
        head += b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n" % (boundary, boundary)
    return b"From: a@b.example\r\n" + head + b"\r\n" + (b"-" * 76 + b"\r\n") * (12 * MEGABYTE // 78)


def nested_form(levels: int, size: int) -> bytes:
    inner = b"x" * size
    for level in range(levels):
        name = b'Content-Disposition: form-data; name="a"\r\n' if level == levels - 1 else b""
        inner = b"--b%d\r\n%sContent-Type: multipart/mixed; boundary=b%d\r\n\r\n%s\r\n--b%d--\r\n" % (
            *(level, name, max(level - 1, 0), inner, level),
        )
    return inner


COSTLY_REQUESTS = {
    "a header line of 45 MB": lambda postal: raw_mail(postal, b"X: " + b"x" * (45 * MEGABYTE)),
    "a header line of 250 KB": lambda postal: raw_mail(postal, b"X: " + b"x" * 250_000),
    "a subject of 5 million umlauts": lambda postal: message(postal, subject="ü" * 5_000_000),
    "a subject of 9000 umlauts": lambda postal: message(postal, subject="ü" * 9000),
    "20,000 headers": lambda postal: message(postal, headers={f"X-{n}": "y" for n in range(20_000)}),
    "a name of 4 MB": lambda postal: message(postal, to=['"' + "\\" * 4_000_000 + '" <bob@example.org>']),
    "brackets without end": lambda postal: message(postal, to=["(" * 60_000]),
    "a form in a form, 64 KB": lambda postal: form(nested_form(249, 1000)),
    "a form in a form, 4 MB": lambda postal: form(nested_form(249, 4 * MEGABYTE)),
    "lists": lambda postal: ("application/json", b'{"to":' + b"[" * 60_000),
    "numbers": lambda postal: ("application/json", b'{"to":[' + b"1," * 30_000 + b"1]}"),
}


def message(postal, **values) -> tuple[str, bytes]:
    given = {"to": ["bob@example.org"], "from": f"app@{postal.domain}", "plain_body": "x", **values}
    return "application/json", json.dumps(given).encode()


def raw_mail(postal, header: bytes) -> tuple[str, bytes]:
    data = b"From: app@%s\r\n%s\r\n\r\nx" % (postal.domain.encode(), header)
    given = {"mail_from": f"app@{postal.domain}", "rcpt_to": ["bob@example.org"]}
    return "application/json", json.dumps(given | {"data": base64.b64encode(data).decode()}).encode()


def form(body: bytes) -> tuple[str, bytes]:
    return "multipart/form-data; boundary=b248", body


@one_of(COSTLY_REQUESTS, "a form in a form, 64 KB")
def test_a_costly_request_does_not_delay_others(postal, name):
    """F11: with a key. Three at a time, but for those whose size alone keeps a processor busy."""
    content_type, body = COSTLY_REQUESTS[name](postal)
    headers = {"X-Server-API-Key": postal.api_key, "Content-Type": content_type}
    action = "send/raw" if b'"data"' in body[: 10**6] else "send/message"

    def ask() -> int:
        url = f"{postal.url}/api/v1/{action}"
        return requests.post(url, data=body, headers=headers, timeout=30).status_code

    with others_are_served(postal), ThreadPoolExecutor(1 if len(body) > 8 * MEGABYTE else 3) as pool:
        statuses = [asked.result() for asked in [pool.submit(ask) for _ in range(3)]]
    assert set(statuses) <= {200, 400, 413, 503}


def test_a_mail_that_is_costly_to_read_does_not_delay_others(postal, site):
    """F11: from a stranger, for an endpoint that wants its parts."""
    address = postal.post_mail_to(site.url, format="Hash")

    def is_pending() -> bool:
        return any(found["status"] == "Pending" for found in postal.messages() if found["rcpt_to"] == address)

    with others_are_served(postal):
        for _ in range(3):
            wire = Wire(postal.smtp_address)
            recipient = b"RCPT TO:<%s>" % address.encode()
            for line in (b"EHLO c.example", b"MAIL FROM:<a@b.example>", recipient, b"DATA"):
                assert wire.say(line)[0] in "23"
            assert wire.say(dashes() + b".")[:3] in ("250", SLOW_DISK)
            wire.close()
        wait_until(lambda: not is_pending(), "they are posted")
