"""The HTTP server over real sockets: what it answers, what it keeps, and what no client can make it do."""

from __future__ import annotations

import asyncio
import contextlib
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from postal_server.net.memory_budget import MemoryBudget
from postal_server.web import protocol, server
from postal_server.web.body import MAX_BUFFERED_BYTES
from postal_server.web.gateway import BodyLimit, RawResponse, call_wsgi
from postal_server.web.handlers import Work
from postal_server.web.server import HttpServer
from postal_server.web.unsent import UnsentResponses
from tests.loops import LOOPS

CHUNKED = b"Transfer-Encoding: chunked"
BIG = 4 * 1024 * 1024
THREADS = 4


class Echo:
    """Echoes the body at /echo, fails at /fail, waits at /wait; elsewhere the body is left unread.

    What is below /lean is answered in the event loop. At /echo/gathered up to `BIG` bytes are wanted before.
    """

    def __init__(self) -> None:
        self.environs: list[dict] = []
        self.threads: set[str] = set()
        self.go_on = threading.Event()
        self.begun = threading.Event()
        self.lean_paths: list[str] = []  # in the order in which they were answered

    def route(self, environ):
        if environ["PATH_INFO"] == "/route/fail":
            raise RuntimeError("a bug")
        return Routed(self, environ)

    def __call__(self, environ, start_response):
        self.environs.append(environ)
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        path, body = environ["PATH_INFO"], b"unread"
        if path == "/wait":
            assert self.go_on.wait(10)
        if path == "/fail":
            raise RuntimeError("a bug")
        if path.startswith("/echo"):
            length = environ.get("CONTENT_LENGTH")
            try:
                body = environ["wsgi.input"].read(int(length) if length else -1)
            except OSError:
                start_response("400 Bad Request", [])
                return [b"broken"]
        if path == "/nothing":
            start_response("204 No Content", [])
            return [b"something"]
        start_response("200 OK", [("X-Path", path)])
        return [body]

    async def answer_async(self, environ):
        self.environs.append(environ)
        await asyncio.sleep(0)
        if environ["PATH_INFO"] == "/lean/fail":
            raise RuntimeError("a bug")
        self.lean_paths.append(environ["PATH_INFO"])
        return RawResponse("200 OK", [("content-length", "4")], b"lean")


@dataclass(frozen=True)
class Routed:
    """A request to an `Echo`."""

    echo: Echo
    environ: dict

    @property
    def is_login(self) -> bool:
        return self.environ["PATH_INFO"] == "/login"

    def body_limit(self) -> BodyLimit | None:
        if not self.environ["PATH_INFO"].startswith("/echo/gathered"):
            return None
        return BodyLimit(BIG, is_known="HTTP_X_KEY" in self.environ)

    def begin(self, *, has_small_body: bool) -> Work:
        if self.environ["PATH_INFO"] == "/begin/fail":
            raise RuntimeError("a bug")
        if has_small_body and self.environ["PATH_INFO"].startswith("/lean"):
            return self.echo.answer_async(self.environ)
        return partial(call_wsgi, self.echo, self.environ)


class Running:
    """A server in an event loop of its own thread."""

    def __init__(self, loop_name: str, application: Any = None) -> None:
        self.echo = Echo()
        self.application = application or self.echo
        self.loop = LOOPS[loop_name]()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server = self.run(self._make())
        self.address = self.run(self.server.start("127.0.0.1", 0))

    async def _make(self) -> HttpServer:
        return HttpServer(self.application, THREADS)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    @property
    def connections(self):
        return self.server._shared.connections

    def stop(self) -> None:
        self.echo.go_on.set()
        self.run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


@pytest.fixture(params=LOOPS)
def running(request) -> Iterator[Running]:
    made = Running(request.param)
    yield made
    made.stop()


@pytest.fixture
def address(running):
    return running.address


def listen(wire: socket.socket) -> bytes:
    """All that comes until the server closes."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while data := wire.recv(65536):
            heard += data
    return heard


def talk(address, *pieces: bytes) -> bytes:
    """Everything that the server says to these bytes until it closes."""
    with socket.create_connection(address, timeout=10) as wire:
        with contextlib.suppress(OSError):
            for piece in pieces:
                wire.sendall(piece)
            wire.shutdown(socket.SHUT_WR)
        return listen(wire)


def request(method: bytes, path: bytes, *headers: bytes, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"%s %s HTTP/%s" % (method, path, version), b"Host: x", *headers, b"", b""])


def get(path: bytes, *headers: bytes) -> bytes:
    return request(b"GET", path, *headers)


def post(path: bytes, *headers: bytes) -> bytes:
    return request(b"POST", path, *headers)


def statuses(heard: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+)", heard)]


# Answers


def test_an_answer_is_complete(address):
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(get(b"/a%20b?c=d"))
        assert wire.recv(1000) == b"HTTP/1.1 200 OK\r\nX-Path: /a b\r\ncontent-length: 6\r\n\r\nunread"


def test_the_application_gets_the_request_as_wsgi_has_it(running, address):
    talk(
        address,
        post(
            b"http://other/p%C3%BC?q=%41", b"A: 1", b"a: 2", b"Content-Type:\ttext/x ", b"Content-Length: 0"
        ),
    )
    environ = running.echo.environs[0]
    assert environ["PATH_INFO"] == "/pü".encode().decode("latin-1")
    assert environ["QUERY_STRING"] == "q=%41"
    assert environ["HTTP_A"] == "1, 2"
    assert (environ["CONTENT_LENGTH"], environ["REMOTE_ADDR"]) == ("0", "127.0.0.1")
    assert environ["SERVER_PORT"] == str(address[1])


def test_a_field_with_an_underscore_does_not_pass_for_another(running, address):
    talk(address, get(b"/", b"X_Forwarded_For: 192.0.2.1"))
    assert "HTTP_X_FORWARDED_FOR" not in running.echo.environs[0]


def test_requests_are_answered_in_order_on_one_connection(address):
    heard = talk(address, get(b"/1") + get(b"/lean/2") + get(b"/3"), get(b"/4"))
    assert statuses(heard) == [200] * 4
    assert heard.index(b"/1") < heard.index(b"lean") < heard.index(b"/3") < heard.index(b"/4")


def test_large_calls_at_once_let_a_small_one_through(running, address):
    large = b"POST /lean/large HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(9)]
        time.sleep(0.1)  # until all of them are connected
        running.loop.call_soon_threadsafe(time.sleep, 0.3)  # what is sent meanwhile comes at once
        for sock in sockets[:-1]:
            sock.sendall(large)
        sockets[-1].sendall(get(b"/lean/small"))
        for sock in sockets:
            assert sock.recv(1000).endswith(b"lean")
    assert running.echo.lean_paths.index("/lean/small") <= 3
    assert running.echo.lean_paths.count("/lean/large") == 8


def test_what_needs_no_thread_gets_none(running, address):
    assert talk(address, get(b"/lean")).endswith(b"lean")
    assert running.echo.threads == set()
    talk(address, get(b"/"))
    assert running.echo.threads != set()


def test_a_head_has_no_body(address):
    assert talk(address, request(b"HEAD", b"/"), get(b"/lean")).count(b"unread") == 0


def test_no_content_has_neither_length_nor_body(address):
    heard = talk(address, get(b"/nothing"))
    assert b"content-length" not in heard.lower()
    assert heard.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", [b"/fail", b"/lean/fail", b"/route/fail", b"/begin/fail"])
def test_a_bug_is_a_500_and_logged(running, address, path, caplog):
    assert statuses(talk(address, get(path))) == [500]
    assert "could not be answered" in caplog.text
    wait_for(lambda: not running.connections)


@pytest.mark.parametrize(
    ("version", "headers", "keeps"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"Connection: close"], False),
        (b"1.0", [], False),
        (b"1.0", [b"Connection: keep-alive"], True),
    ],
)
def test_a_connection_is_kept_as_the_client_wants_it(address, version, headers, keeps):
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(request(b"GET", b"/lean", *headers, version=version))
        heard = wire.recv(1000)
        assert (b"Connection: close" in heard) is not keeps
        assert (b"Connection: keep-alive" in heard) is (keeps and version == b"1.0")
        if keeps:
            wire.sendall(request(b"GET", b"/lean", b"Connection: close"))
            assert wire.recv(1000).endswith(b"lean")
        assert listen(wire) == b""


@pytest.mark.parametrize(
    "line",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked, gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"CONNECT other:25 HTTP/1.1\r\n\r\n",
        b"GET other HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\nContent-Length: %s1\r\n\r\n" % (b"0" * 5000),
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_a_400_and_the_end(address, line, caplog):
    heard = talk(address, line, get(b"/lean"))
    assert statuses(heard) == [400]
    assert b"Connection: close" in heard
    assert caplog.text == ""


def test_what_comes_before_garbage_is_answered(address):
    assert statuses(talk(address, get(b"/1"), b"GARBAGE\r\n\r\n")) == [200, 400]


def test_a_protocol_that_is_not_spoken_is_not_switched_to(address):
    heard = talk(address, get(b"/1", b"Connection: Upgrade", b"Upgrade: websocket") + get(b"/smuggled"))
    assert statuses(heard) == [200]


# Bodies


def test_a_large_body_is_read_while_it_comes(running, address):
    heard = talk(address, post(b"/echo", b"Content-Length: %d" % BIG), b"x" * BIG, get(b"/lean"))
    assert statuses(heard) == [200, 200]
    assert heard.count(b"x") == BIG


def test_a_body_that_is_not_read_is_held_back(running, address):
    with socket.create_connection(address, timeout=1) as wire:
        wire.sendall(post(b"/wait", b"Content-Length: 999999999"))
        with contextlib.suppress(TimeoutError):
            for _ in range(1000):
                wire.sendall(b"x" * 65536)
            pytest.fail("the client was not held back")
        [connection] = running.connections
        assert connection._reading.body.buffered_bytes < MAX_BUFFERED_BYTES + 1024 * 1024
        running.echo.go_on.set()
        wire.settimeout(10)
        assert b"unread" in wire.recv(1000)


def test_a_body_in_chunks_is_read(address):
    chunks = b"2\r\nok\r\n3;x=y\r\n!!!\r\n0\r\n\r\n"
    assert talk(address, post(b"/echo", CHUNKED), chunks).endswith(b"ok!!!")


@pytest.mark.parametrize(
    "body", [b"x\r\n", b"-5\r\n", b"5\r\nabcdexx0\r\n\r\n", b"5_0\r\n", b"\xb2\r\nab\r\n"]
)
def test_what_is_not_in_chunks_is_a_400(address, body):
    assert statuses(talk(address, post(b"/echo", CHUNKED), body)) == [400]


def test_trailers_are_no_header(running, address):
    talk(address, post(b"/", CHUNKED), b"0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
    assert "HTTP_X_FORWARDED_FOR" not in running.echo.environs[0]


def test_a_body_that_breaks_off_is_an_error_for_its_reader(address):
    size = MAX_BUFFERED_BYTES * 2
    heard = talk(address, post(b"/echo", b"Content-Length: %d" % (size * 2)), b"x" * size)
    assert statuses(heard) == [400]
    assert heard.endswith(b"broken")


def test_a_small_body_that_breaks_off_is_no_request(running, address):
    assert talk(address, post(b"/echo", b"Content-Length: 10"), b"x") == b""
    assert running.echo.environs == []


def test_a_client_that_waits_for_it_gets_100_continue(address):
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(post(b"/echo", b"Content-Length: 2", b"Expect: 100-continue"))
        assert wire.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(b"ok")
        assert wire.recv(1000).endswith(b"ok")


def test_an_old_client_gets_no_100_continue(address):
    old = request(b"POST", b"/echo", b"Content-Length: 2", b"Expect: 100-continue", version=b"1.0")
    assert statuses(talk(address, old, b"ok")) == [200]


def test_an_unread_body_is_no_next_request(address):
    body = get(b"/smuggled")
    heard = talk(
        address,
        post(b"/", b"Content-Length: %d" % len(body)),
        body,
        post(b"/echo", b"Content-Length: 2"),
        b"ok",
    )
    assert statuses(heard) == [200, 200]
    assert b"/smuggled" not in heard


def test_request_smuggling_an_unread_body_in_chunks_is_no_next_request(address):
    smuggled = get(b"/smuggled")
    heard = talk(address, post(b"/", CHUNKED), b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled))
    assert statuses(heard) == [200]
    assert b"/smuggled" not in heard


def test_request_smuggling_trailers_are_no_next_request(address):
    heard = talk(address, post(b"/echo", CHUNKED), b"0\r\n" + get(b"/smuggled"))
    assert b"/smuggled" not in heard


def test_a_client_that_goes_on_sending_hears_the_answer_and_keeps_its_connection(address):
    heard = talk(address, post(b"/", b"Content-Length: %d" % BIG), b"x" * BIG, get(b"/lean"))
    assert statuses(heard) == [200, 200]


def test_a_client_that_goes_on_sending_its_last_request_hears_the_answer(address):
    heard = talk(address, post(b"/", b"Content-Length: %d" % BIG, b"Connection: close"), b"x" * BIG)
    assert statuses(heard) == [200]


def test_a_client_that_goes_on_sending_after_the_end_is_cut_off(address):
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(b"GARBAGE\r\n\r\n")
        with pytest.raises(ConnectionError):
            wire.sendall(b"x" * 100 * 1024 * 1024)


def test_a_body_that_will_not_end_is_not_waited_for(address):
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(post(b"/", b"Content-Length: 99999999999"))
        assert b"Connection: close" in wire.recv(1000)


def test_an_unread_body_in_chunks_ends(address, monkeypatch):
    monkeypatch.setattr(protocol, "MAX_DISCARDED_BYTES", BIG)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with socket.create_connection(address, timeout=10) as wire, contextlib.suppress(ConnectionError):
        wire.sendall(post(b"/", CHUNKED))
        for _ in range(10_000):
            wire.sendall(chunk)
        pytest.fail("the server went on reading")


# Bounds


def wait_for(condition) -> None:
    ends_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 30_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * 65_535 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X:\r\n" * 201 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X:\r\n" * 16_000 + b"\r\n",
    ],
    ids=lambda data: data[:20].decode(),
)
def test_too_much_header_is_a_431(address, data):
    assert statuses(talk(address, data)) == [431]


@pytest.mark.parametrize("rest", [b"0\r\nX: ", b"1;x="])
def test_what_stands_around_chunks_has_an_end(address, rest):
    heard = talk(address, post(b"/echo", CHUNKED), rest, b"x" * 500_000)
    assert statuses(heard) == [431]


def test_many_fields_are_a_header(running, address):
    assert statuses(talk(address, get(b"/", *[b"X: y"] * 199))) == [200]
    assert running.echo.environs[0]["HTTP_X"].count("y") == 199


def test_what_stands_around_small_chunks_has_an_end(running, address):
    """A chunk of one byte may have an extension, but not all may have long ones."""
    assert statuses(talk(address, post(b"/echo", CHUNKED), b"1\r\nx\r\n" * 60_000, b"0\r\n\r\n")) == [200]
    assert statuses(talk(address, post(b"/echo", CHUNKED), b"1;a=b\r\nx\r\n" * 9_000, b"0\r\n\r\n")) == [200]
    extended = b"1;" + b"y" * 1000 + b"\r\nx\r\n"
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(post(b"/echo/gathered", CHUNKED) + extended * 80)
        assert statuses(listen(wire)) == [431]


def test_requests_that_wait_for_others_are_held_back(running, address):
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(get(b"/wait") + get(b"/lean") * 5000)
        assert running.echo.begun.wait(10)
        [connection] = running.connections
        wait_for(lambda: connection._waiting)
        assert len(connection._waiting) < 200
        running.echo.go_on.set()
        wire.shutdown(socket.SHUT_WR)
        assert statuses(listen(wire)) == [200] * 5001


def test_who_closed_its_side_before_the_answer_keeps_no_connection(running, address, monkeypatch):
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 60)
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(get(b"/wait"))
        wire.shutdown(socket.SHUT_WR)
        assert running.echo.begun.wait(10)
        [connection] = running.connections
        wait_for(lambda: connection._has_left)
        running.echo.go_on.set()
        assert statuses(listen(wire)) == [200]
        wait_for(lambda: not running.connections)


@pytest.fixture(params=LOOPS)
def hasty(request, monkeypatch):
    """A server whose patience is short."""
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.05)
    for name in ("IDLE_SECONDS", "DISCARD_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(protocol, name, 0.3)
    made = Running(request.param)
    yield made
    made.stop()


def test_a_client_that_says_nothing_is_cut_off(hasty):
    with socket.create_connection(hasty.address, timeout=10) as wire:
        assert wire.recv(1000) == b""


@pytest.mark.parametrize(
    "start", [b"GET /", get(b"/")[:-2], post(b"/echo", b"Content-Length: 100"), post(b"/echo", CHUNKED)]
)
def test_a_request_that_comes_a_byte_at_a_time_is_a_408(hasty, start):
    with socket.create_connection(hasty.address, timeout=0.05) as wire:
        wire.sendall(start)
        heard = b""
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                heard += wire.recv(1000)
                break
            wire.sendall(b"1")
        assert statuses(heard) == [408]


def test_a_body_that_stops_is_an_error_for_its_reader(hasty):
    with socket.create_connection(hasty.address, timeout=10) as wire:
        wire.sendall(post(b"/echo", b"Content-Length: 999999") + b"x" * (MAX_BUFFERED_BYTES + 1))
        assert listen(wire).endswith(b"broken")


def test_a_rest_that_comes_slowly_is_not_waited_for(hasty):
    with socket.create_connection(hasty.address, timeout=10) as wire:
        wire.sendall(post(b"/", b"Content-Length: 999999") + b"x" * (MAX_BUFFERED_BYTES + 1))
        assert b"unread" in listen(wire)


def test_clients_that_send_slowly_hold_up_no_requests_that_are_complete(running, address):
    with contextlib.ExitStack() as stack:
        for _ in range(THREADS + 1):
            wire = stack.enter_context(socket.create_connection(address, timeout=10))
            wire.sendall(post(b"/echo", b"Content-Length: 999999"))
        wait_for(lambda: len(running.echo.environs) == THREADS)
        assert talk(address, get(b"/quick")).endswith(b"unread")


@contextlib.contextmanager
def connections(address, count: int, *sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections, on which all of this was sent."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(count)]
        for wire in wires:
            with contextlib.suppress(ConnectionError):  # it had to give way
                wire.sendall(b"".join(sent))
        yield wires


def test_slow_bodies_that_are_wanted_hold_no_thread(running, address):
    """F7: twenty slow posts kept all others with a large body waiting."""
    begun = post(b"/echo/gathered", b"Content-Length: 300000")
    with connections(address, 3 * THREADS, begun, b"x" * 100_000) as wires:
        heard = talk(address, begun, b"y" * 300_000)
        assert heard.count(b"y") == 300_000
        assert len(running.echo.environs) == 1
        wires[0].sendall(b"x" * 200_000)
        wires[0].shutdown(socket.SHUT_WR)
        assert listen(wires[0]).count(b"x") == 300_000


@pytest.mark.parametrize("head", [[b"Content-Length: 4194305"], [CHUNKED]], ids=["told", "in chunks"])
def test_a_body_of_more_than_is_wanted_is_answered_when_that_is_known(running, address, head):
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(post(b"/echo/gathered", *head))
        if head == [CHUNKED]:
            wire.sendall(b"%x\r\n" % (BIG + 1) + b"x" * (BIG + 1))
        assert running.echo.begun.wait(10)


@pytest.mark.slow
def test_bodies_that_are_gathered_have_a_bound_in_all(running, address):
    running.server._shared.room = MemoryBudget(3_000_000, 1_000_000)
    begun = post(b"/echo/gathered", b"Content-Length: 400001")
    with connections(address, 9, begun, b"x" * 400_000) as wires:
        wait_for(
            lambda: len([c for c in list(running.connections) if c._reading and c._reading.is_answered]) == 7
        )
        assert running.server._shared.room.held == 800_000
        known = post(b"/echo/gathered", b"X-Key: 1", b"Content-Length: 500000")
        assert statuses(talk(address, known, b"x" * 500_000)) == [200]
        for wire in wires:
            wire.sendall(b"x")
            wire.shutdown(socket.SHUT_WR)
        answers = [statuses(listen(wire)) for wire in wires]
        assert sorted(answers) == [[200]] * 2 + [[503]] * 7
    wait_for(lambda: not running.connections)
    assert running.server._shared.room.held == 0


def test_who_goes_makes_room_for_another_body(running, address):
    running.server._shared.room = MemoryBudget(1_000_000, 1_000_000)
    begun = post(b"/echo/gathered", b"Content-Length: 900000")
    with connections(address, 1, begun, b"x" * 800_000):
        wait_for(lambda: running.server._shared.room.held == 800_000)
    wait_for(lambda: not running.connections)
    assert statuses(talk(address, begun, b"x" * 900_000)) == [200]


def test_what_came_quickly_buys_no_time_for_what_comes_slowly(hasty):
    """Half a megabyte is eight minutes at the least rate."""
    with socket.create_connection(hasty.address, timeout=0.05) as wire:
        wire.sendall(post(b"/echo/gathered", b"Content-Length: 999999") + b"x" * 500_000)
        heard = b""
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                heard += wire.recv(1000)
                break
            wire.sendall(b"1")
        assert statuses(heard) == [408]


def test_a_client_that_does_not_read_is_cut_off(hasty):
    size = 64 * 1024 * 1024
    with socket.create_connection(hasty.address, timeout=10) as wire:
        wire.sendall(post(b"/echo", b"Content-Length: %d" % size))
        for _ in range(size // 65536):
            wire.sendall(b"x" * 65536)
        wait_for(lambda: not hasty.connections)


def test_answers_that_are_not_read_have_a_bound_in_all(running, address):
    size = 4 * BIG
    running.server._shared.unsent = UnsentResponses(size + size // 2)
    asked = post(b"/echo", b"Content-Length: %d" % size) + b"x" * size
    with contextlib.ExitStack() as stack:
        wires = []
        for _ in range(3):
            wires.append(stack.enter_context(socket.create_connection(address, timeout=20)))
            wires[-1].sendall(asked)
            wait_for(lambda: [c._is_full for c in list(running.connections)] == [True])
        for wire in wires[:2]:
            assert listen(wire).count(b"x") < size
        wires[2].shutdown(socket.SHUT_WR)
        assert listen(wires[2]).count(b"x") == size
    wait_for(lambda: not running.connections)
    assert running.server._shared.unsent.held_bytes == 0


def test_a_client_has_as_much_time_for_its_last_answer_as_for_others(hasty, monkeypatch):
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 60.0)
    size = 4 * BIG
    with socket.create_connection(hasty.address, timeout=10) as wire:
        wire.sendall(post(b"/echo", b"Content-Length: %d" % size, b"Connection: close") + b"x" * size)
        [connection] = hasty.connections
        wait_for(lambda: connection.is_closing)
        time.sleep(0.6)
        assert listen(wire).count(b"x") == size


def test_a_kept_connection_gives_way_to_a_new_one(running, address, monkeypatch):
    running.server._shared.max_connections = 2
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(3)]
        for wire in wires[1:]:
            wire.sendall(get(b"/lean"))
            assert wire.recv(1000).endswith(b"lean")
        assert wires[0].recv(1000) == b""


def test_a_connection_too_many_is_closed(running, address):
    running.server._shared.max_connections = 1
    with socket.create_connection(address, timeout=10) as busy:
        busy.sendall(get(b"/wait"))
        assert running.echo.begun.wait(10)
        with (
            socket.create_connection(address, timeout=10) as other,
            contextlib.suppress(ConnectionError),
        ):
            assert other.recv(1000) == b""
        running.echo.go_on.set()
        assert b"unread" in busy.recv(1000)


def reset(wire: socket.socket) -> None:
    """Close at once, so that the server cannot say anything more."""
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


@pytest.mark.parametrize(
    "unfinished",
    [b"", get(b"/")[:-2], post(b"/echo", b"Content-Length: 5") + b"x", get(b"/lean") + get(b"/")[:-2]],
    ids=["nothing", "half a head", "half a body", "half of the second"],
)
def test_unfinished_requests_give_way_where_there_is_no_room_for_others(running, address, unfinished):
    running.server._shared.max_connections = 20

    def are_all_read() -> bool:
        found = list(running.connections)
        is_last_known = wires[-1].getsockname() in [connection._peer for connection in found]
        is_last_known |= bool(select.select([wires[-1]], [], [], 0)[0])  # it was answered, or turned away
        return is_last_known and not any(c.is_answering or c.is_idle is bool(unfinished) for c in found)

    with connections(address, 40, unfinished) as wires:
        wait_for(are_all_read)
        for _ in range(20):
            assert statuses(talk(address, get(b"/lean"))) == [200]
        assert len(running.connections) <= 20


def came(running) -> list[int]:
    """How many bytes have come of each body that is under way, the least first."""
    return sorted(c._reading.received_bytes for c in list(running.connections) if c._reading is not None)


def test_who_made_least_progress_gives_way_first(running, address):
    """Whose last bytes came longest ago goes: what one sends buys time, up to `IDLE_SECONDS` from then on."""
    running.server._shared.max_connections = 3
    begun = post(b"/echo", b"Content-Length: 20001") + b"x"
    with connections(address, 3, begun) as wires:
        wait_for(lambda: came(running) == [1, 1, 1])
        time.sleep(0.01)  # uvloop counts milliseconds: within the same one nobody is ahead
        wires[0].sendall(b"x" * 10_000)
        wait_for(lambda: came(running) == [1, 1, 10_001])
        assert statuses(talk(address, get(b"/lean"))) == [200]
        wires[0].sendall(b"x" * 10_000)
        wires[0].shutdown(socket.SHUT_WR)
        assert listen(wires[0]).endswith(b"x" * 20_001)


def test_a_client_has_so_many_connections_and_a_proxy_any_number(running, address):
    running.server._shared.max_per_client = 5
    with connections(address, 8) as wires:
        for wire in wires[5:]:
            with contextlib.suppress(ConnectionError):
                assert wire.recv(1000) == b""
        assert len(running.connections) == 5
        for wire in wires[:2]:
            wire.close()
        wait_for(lambda: len(running.connections) == 3)
        assert statuses(talk(address, get(b"/lean"))) == [200]
        running.server._shared.is_proxy = lambda client: client == "127.0.0.1"
        with connections(address, 20, get(b"/lean")) as others:
            assert [other.recv(1000)[-4:] for other in others] == [b"lean"] * 20
    wait_for(lambda: not running.connections)
    assert not running.server._shared.clients


def test_a_request_takes_its_place_until_it_is_answered_though_its_client_is_gone(
    running, address, monkeypatch
):
    running.server._shared.max_connections = 1
    gone = socket.create_connection(address, timeout=10)
    gone.sendall(get(b"/wait"))
    assert running.echo.begun.wait(10)
    [connection] = running.connections
    reset(gone)
    wait_for(connection._transport.is_closing)
    with socket.create_connection(address, timeout=10) as other, contextlib.suppress(ConnectionError):
        other.sendall(get(b"/lean"))
        assert other.recv(1000) == b""
    running.echo.go_on.set()
    wait_for(lambda: not running.connections)
    assert statuses(talk(address, get(b"/lean"))) == [200]


def test_a_client_that_is_gone_does_not_keep_the_server_from_looking_after_others(running, address):
    gone = socket.create_connection(address, timeout=10)
    with socket.create_connection(address, timeout=10) as other:
        wait_for(lambda: len(running.connections) == 2)

        async def look() -> None:
            reset(gone)  # the loop does not know it yet
            for connection in running.connections:
                connection.deadline = 0.0
            running.server._sweep.start(server.SWEEP_SECONDS)

        running.run(look())
        assert other.recv(1000) == b""
    wait_for(lambda: not running.connections)


# Stopping


def test_a_client_that_keeps_its_connection_does_not_delay_the_end(running, address):
    with socket.create_connection(address, timeout=10) as kept:
        kept.sendall(get(b"/lean"))
        assert kept.recv(1000).endswith(b"lean")
        started = time.monotonic()
        running.run(running.server.stop())
        assert time.monotonic() - started < server.STOP_SECONDS / 2
        assert kept.recv(1000) == b""


def test_a_request_under_way_is_answered_before_the_end(running, address):
    with (
        socket.create_connection(address, timeout=10) as busy,
        socket.create_connection(address, timeout=10) as idle,
    ):
        busy.sendall(get(b"/wait"))
        assert running.echo.begun.wait(10)
        stopping = asyncio.run_coroutine_threadsafe(running.server.stop(), running.loop)
        assert idle.recv(1000) == b""
        running.echo.go_on.set()
        heard = listen(busy)
        assert b"Connection: close" in heard
        assert heard.endswith(b"unread")
        stopping.result(10)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=1)
