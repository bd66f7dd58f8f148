"""Responses that come in pieces, over real sockets: what a client hears, and what a stream may hold."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from postal_server.web import protocol, server
from postal_server.web.application import Application
from postal_server.web.handlers import InLoop
from postal_server.web.routing import Route, Routes
from postal_server.web.streaming import FixedLength, StreamingResponse, choose_framing
from postal_server.web.unsent import UnsentResponses
from postal_server.wire.http import Request, Response
from tests.loops import LOOPS

from .test_server import Running, get, listen, request, reset, statuses, wait_for

TEXT = ("content-type", "text/event-stream")
PIECE = b"x" * 50_000
MB = 1024 * 1024


class Views:
    """Streams, and what became of each."""

    def __init__(self) -> None:
        self.queues: list[asyncio.Queue[bytes | None]] = []  # of each stream of events that has begun
        self.ends: Counter[str] = Counter()  # how often a stream's `finally` ran, by path
        self.pieces = 0  # yielded by the endless streams
        self.is_asked = threading.Event()  # for the late stream
        self.may_begin = False

    def routes(self) -> Routes:
        views = (
            self.events,
            self.endless,
            self.stubborn,
            self.careful,
            self.late,
            self.broken,
            self.sized,
            self.mislabelled,
            self.plain,
            self.nothing,
        )
        return Routes([Route(f"/{view.__name__}", InLoop(view)) for view in views])

    async def events(self, request: Request) -> StreamingResponse:
        """What the test puts into the queue, until that is None."""

        async def body() -> AsyncGenerator[bytes, None]:
            queue: asyncio.Queue[bytes | None] = asyncio.Queue()
            self.queues.append(queue)
            try:
                while (piece := await queue.get()) is not None:
                    yield piece
            finally:
                await asyncio.sleep(0)
                self.ends["events"] += 1

        return StreamingResponse(200, (TEXT,), body())

    async def endless(self, request: Request) -> StreamingResponse:
        async def body() -> AsyncGenerator[bytes, None]:
            try:
                while True:
                    self.pieces += 1
                    yield PIECE
            finally:
                self.ends["endless"] += 1

        return StreamingResponse(200, (TEXT,), body())

    async def stubborn(self, request: Request) -> StreamingResponse:
        """Goes on though it is cancelled."""

        async def body() -> AsyncGenerator[bytes, None]:
            try:
                yield b"begun"
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(60)
                yield b"more"
                yield b"and more"
            finally:
                self.ends["stubborn"] += 1

        return StreamingResponse(200, (TEXT,), body())

    async def careful(self, request: Request) -> StreamingResponse:
        """Takes its time to give back what it holds."""

        async def body() -> AsyncGenerator[bytes, None]:
            try:
                yield b"begun"
                await asyncio.sleep(60)
            finally:
                self.ends["careful begins"] += 1
                await asyncio.sleep(0.4)
                self.ends["careful"] += 1

        return StreamingResponse(200, (TEXT,), body())

    async def late(self, request: Request) -> StreamingResponse:
        """Events, once the test lets it begin."""
        self.is_asked.set()
        while not self.may_begin:
            await asyncio.sleep(0.01)
        return await self.events(request)

    async def broken(self, request: Request) -> StreamingResponse:
        async def body() -> AsyncGenerator[bytes, None]:
            yield b"begun"
            raise RuntimeError("a bug")

        return StreamingResponse(200, (TEXT,), body())

    async def sized(self, request: Request) -> StreamingResponse:
        """As many bytes as the query has, said to be five."""

        async def body() -> AsyncGenerator[bytes, None]:
            yield b""
            for char in request.query:
                yield char.encode()

        return StreamingResponse(200, (TEXT, ("Content-Length", "5")), body())

    async def mislabelled(self, request: Request) -> StreamingResponse:
        return replace(await self.events(request), headers=(TEXT, ("content-length", "5 B")))

    async def nothing(self, request: Request) -> StreamingResponse:
        async def body() -> AsyncGenerator[bytes, None]:
            yield b"something"

        return StreamingResponse(204, (), body())

    async def plain(self, request: Request) -> Response:
        return Response(200, (), b"plain")


class Streams(Running):
    """A server of `Views`, which reads as an own host any that a client names."""

    def __init__(self, loop_name: str, config) -> None:
        self.views = Views()
        super().__init__(
            loop_name, Application(config, self.views.routes(), Routes(()), "X-None", lambda: None)
        )
        self.application.hosts = frozenset({"x"})

    @property
    def shared(self):
        return self.server._shared

    def put(self, *pieces: bytes | None, stream: int = 0) -> None:
        """Have a stream of events send this, as soon as it has begun."""
        wait_for(lambda: len(self.views.queues) > stream)
        for piece in pieces:
            self.loop.call_soon_threadsafe(self.views.queues[stream].put_nowait, piece)

    def connect(self, path: bytes, *headers: bytes, version: bytes = b"1.1", method: bytes = b"GET"):
        """A connection on which a stream was asked for."""
        wire = socket.create_connection(self.address, timeout=10)
        wire.sendall(request(method, path, *headers, version=version))
        return wire

    def ended(self, path: str, times: int = 1) -> None:
        """Wait until the streams have given back what they held, and their connections are gone."""
        wait_for(lambda: self.views.ends[path] == times)
        wait_for(lambda: self.shared.streams == 0)


@pytest.fixture(params=LOOPS)
def streams(request, recorded_config) -> Iterator[Streams]:
    made = Streams(request.param, recorded_config)
    yield made
    made.stop()


@pytest.fixture(params=LOOPS)
def hasty(request, recorded_config, monkeypatch) -> Iterator[Streams]:
    """A server whose patience is short."""
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.05)
    for name in ("IDLE_SECONDS", "DISCARD_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(protocol, name, 0.3)
    made = Streams(request.param, recorded_config)
    yield made
    made.stop()


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def hear(wire: socket.socket, end: bytes) -> bytes:
    """What comes up to `end`."""
    heard = b""
    while not heard.endswith(end):
        data = wire.recv(65536)
        assert data, heard
        heard += data
    return heard


# What a client hears


def test_pieces_come_as_they_are_made_and_the_connection_is_kept(streams):
    with streams.connect(b"/events") as wire:
        head = hear(wire, b"\r\n\r\n").lower()
        assert b"transfer-encoding: chunked" in head
        assert b"content-length" not in head
        assert b"x-request-id" in head
        for number in range(3):
            streams.put(b"event %d" % number)
            assert hear(wire, b"%d\r\n" % number) == b"7\r\nevent %d\r\n" % number
        streams.put(b"", b"last", None)
        assert hear(wire, b"0\r\n\r\n") == b"4\r\nlast\r\n0\r\n\r\n"
        wire.sendall(get(b"/plain"))
        assert hear(wire, b"plain").startswith(b"HTTP/1.1 200 OK")
    streams.ended("events")


def test_an_old_client_hears_it_until_the_connection_is_closed(streams):
    with streams.connect(b"/events", b"Connection: keep-alive", version=b"1.0") as wire:
        streams.put(b"one", b"two", None)
        head, _, body = listen(wire).partition(b"\r\n\r\n")
    assert body == b"onetwo"
    assert b"Connection: close" in head
    assert b"transfer-encoding" not in head.lower()


@pytest.mark.parametrize("path", [b"/events", b"/sized?12345"])
def test_a_head_has_no_body_and_begins_no_stream(streams, path):
    with streams.connect(path, method=b"HEAD") as wire:
        wire.sendall(get(b"/plain"))
        head, _, rest = hear(wire, b"plain").partition(b"\r\n\r\n")
        assert rest.startswith(b"HTTP/1.1 200")
        assert (b"transfer-encoding: chunked" in head) is (path == b"/events")
    assert streams.views.queues == []


def test_no_content_is_no_stream(streams):
    with streams.connect(b"/nothing") as wire:
        wire.sendall(get(b"/plain"))
        head = hear(wire, b"plain").partition(b"\r\n\r\n")[0]
    assert statuses(head) == [204]
    assert b"transfer-encoding" not in head


def test_a_length_that_is_known_takes_no_chunks(streams):
    with streams.connect(b"/sized?12345") as wire:
        heard = hear(wire, b"12345")
        assert b"transfer-encoding" not in heard
        wire.sendall(get(b"/plain"))
        assert hear(wire, b"plain")


@pytest.mark.parametrize("query", [b"1234", b"123456"])
def test_a_wrong_length_is_cut_off_and_logged(streams, query, caplog):
    with streams.connect(b"/sized?" + query) as wire:
        assert listen(wire).partition(b"\r\n\r\n")[2] in (b"", b"1234", b"12345")
    assert "A stream broke off" in caplog.text
    streams.ended("sized", 0)


def test_a_request_behind_a_stream_is_answered_after_it(streams):
    with streams.connect(b"/events") as wire:
        wire.sendall(get(b"/plain"))
        streams.put(b"one", None)
        assert hear(wire, b"plain").partition(b"0\r\n\r\n")[2].startswith(b"HTTP/1.1 200")


def test_a_body_that_still_comes_is_no_part_of_the_next_request(streams):
    with socket.create_connection(streams.address, timeout=10) as wire:
        wire.sendall(request(b"GET", b"/events", b"Content-Length: 200000") + b"x" * 100_000)
        streams.put(b"one", None)
        assert hear(wire, b"0\r\n\r\n")
        wire.sendall(b"x" * 100_000 + get(b"/plain"))
        assert hear(wire, b"plain").startswith(b"HTTP/1.1 200")


def test_a_stream_that_fails_has_no_end(streams, caplog):
    with streams.connect(b"/broken") as wire:
        heard = listen(wire)
    assert b"0\r\n\r\n" not in heard
    assert "A stream broke off" in caplog.text
    assert "a bug" in caplog.text
    wait_for(lambda: not streams.connections)


def test_a_stream_that_fails_does_not_pass_for_a_whole_one_with_an_old_client(streams):
    with streams.connect(b"/broken", version=b"1.0") as wire, pytest.raises(ConnectionResetError):
        hear(wire, b"the end")


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_length_that_is_no_number_is_a_500_and_logged(streams, method, caplog):
    with streams.connect(b"/mislabelled", method=method) as wire:
        assert statuses(hear(wire, b"\r\n\r\n" if method == b"HEAD" else b"</h1>\n")) == [500]
        wire.sendall(get(b"/plain"))
        assert hear(wire, b"plain")
    assert "/mislabelled could not be answered" in caplog.text
    assert streams.shared.streams == 0
    wait_for(lambda: not streams.connections)


@pytest.mark.parametrize("length", ["5 B", "", "-1", "+1", "1_000", "\N{SUPERSCRIPT TWO}"])
def test_a_length_has_only_digits(length):
    assert isinstance(choose_framing([("Content-Length", "0005")], "HTTP/1.1"), FixedLength)
    with pytest.raises(ValueError, match="content-length"):
        choose_framing([("Content-Length", length)], "HTTP/1.1")


def test_a_stream_without_keep_alive_goes_on(streams, monkeypatch):
    monkeypatch.setattr(protocol, "keep_alive", raising(OSError("the socket is closed")))
    with streams.connect(b"/events") as wire:
        streams.put(b"one", None)
        assert hear(wire, b"0\r\n\r\n")
    streams.ended("events")


@pytest.mark.parametrize(
    ("path", "where", "name"),
    [
        (b"/events", protocol, "keep_alive"),
        (b"/plain", protocol, "encode_response"),
        (b"/events", protocol, "encode_response"),
        (b"/broken", protocol.HttpProtocol, "_reset"),
        (b"/sized?12345", protocol.HttpProtocol, "_may_keep"),
        (b"/sized?12345", protocol.HttpProtocol, "_end_response"),
    ],
)
def test_a_bug_in_sending_costs_the_connection_and_no_place(streams, path, where, name, monkeypatch, caplog):
    monkeypatch.setattr(where, name, raising(RuntimeError("a bug in the server")))
    with streams.connect(path) as wire:
        listen(wire)
        wait_for(lambda: not streams.connections)
    assert streams.shared.streams == 0
    assert "A response could not be sent" in caplog.text
    assert "a bug in the server" in caplog.text


# The end


@pytest.mark.parametrize("leave", [socket.socket.close, reset, lambda wire: wire.shutdown(socket.SHUT_WR)])
def test_a_stream_ends_when_its_client_leaves(streams, leave):
    with streams.connect(b"/events") as wire:
        streams.put(b"one")
        hear(wire, b"one\r\n")
        leave(wire)
        streams.ended("events")
        wait_for(lambda: not streams.connections)


def test_a_stream_of_a_client_that_does_not_read_ends_when_it_leaves(streams):
    with streams.connect(b"/endless") as wire:
        wait_for(lambda: [c._is_full for c in list(streams.connections)] == [True])
        reset(wire)
        streams.ended("endless")


def test_a_stream_that_goes_on_though_it_is_cancelled_ends(streams):
    with streams.connect(b"/stubborn") as wire:
        hear(wire, b"begun\r\n")
    streams.ended("stubborn")


def test_streams_end_when_the_server_stops(streams):
    with streams.connect(b"/events") as quiet, streams.connect(b"/endless"):
        hear(quiet, b"\r\n\r\n")
        wait_for(lambda: streams.shared.streams == 2)
        started = time.monotonic()
        streams.run(streams.server.stop())
        assert time.monotonic() - started < server.STOP_SECONDS
        assert streams.views.ends == {"events": 1, "endless": 1}
        assert b"0\r\n\r\n" not in listen(quiet)


def test_no_stream_begins_while_the_server_stops(streams):
    with streams.connect(b"/late") as wire:
        assert streams.views.is_asked.wait(10)
        started = time.monotonic()
        stopping = asyncio.run_coroutine_threadsafe(streams.server.stop(), streams.loop)
        wait_for(lambda: streams.shared.is_stopping)
        streams.views.may_begin = True
        heard = listen(wire)
        wire.close()
        stopping.result(10)
        assert time.monotonic() - started < server.STOP_SECONDS
    assert statuses(heard) == [503]
    assert b"Connection: close" in heard
    assert streams.views.queues == []


def test_a_stream_is_cancelled_once_if_its_client_leaves_while_the_server_stops(streams):
    with streams.connect(b"/careful") as wire:
        hear(wire, b"begun\r\n")
        stopping = asyncio.run_coroutine_threadsafe(streams.server.stop(), streams.loop)
        wait_for(lambda: streams.views.ends["careful begins"])
        reset(wire)
        stopping.result(10)
    assert streams.views.ends["careful"] == 1


def test_a_stream_is_cancelled_once_if_the_server_stops_after_its_client_has_left(streams):
    with streams.connect(b"/careful") as wire:
        hear(wire, b"begun\r\n")
        reset(wire)
    wait_for(lambda: streams.views.ends["careful begins"])
    streams.run(streams.server.stop())
    assert streams.views.ends["careful"] == 1


def test_streams_that_are_cut_off_give_back_what_they_hold_before_the_end(streams, monkeypatch):
    monkeypatch.setattr(server, "STOP_SECONDS", 0.1)
    with streams.connect(b"/careful") as wire:
        hear(wire, b"begun\r\n")
        streams.run(streams.server.stop())
    assert streams.views.ends["careful"] == 1


def test_the_server_does_not_wait_long_for_streams_that_are_cut_off(streams, monkeypatch):
    monkeypatch.setattr(server, "STOP_SECONDS", 0.1)
    monkeypatch.setattr(server, "STREAM_END_SECONDS", 0.1)
    with streams.connect(b"/careful") as wire:
        hear(wire, b"begun\r\n")
        streams.run(streams.server.stop())
        assert streams.views.ends["careful"] == 0
    streams.ended("careful")


# Bounds


def test_a_stream_waits_for_its_client(streams):
    with streams.connect(b"/endless") as wire:
        wait_for(lambda: [c._is_full for c in list(streams.connections)] == [True])
        pieces = streams.views.pieces
        [connection] = streams.connections
        assert connection.unsent_bytes <= 64 * 1024 + len(PIECE) + 100
        time.sleep(0.2)
        assert streams.views.pieces == pieces
        heard = 0
        while heard < 20 * MB:
            heard += len(wire.recv(MB))
        assert streams.views.pieces > pieces


def test_a_stream_that_is_always_ready_lets_others_have_their_turn(streams):
    with streams.connect(b"/endless") as wire:
        reading = threading.Thread(target=listen, args=(wire,))
        reading.start()
        for _ in range(5):
            with streams.connect(b"/plain") as other:
                assert hear(other, b"plain")
        wire.shutdown(socket.SHUT_RDWR)
        reading.join(10)


def test_a_pause_in_a_stream_is_never_too_long(hasty):
    with hasty.connect(b"/events") as wire:
        hear(wire, b"\r\n\r\n")
        time.sleep(1)
        hasty.put(PIECE * 10, b"late")
        assert hear(wire, b"late\r\n")
        time.sleep(1)
        hasty.put(None)
        assert hear(wire, b"0\r\n\r\n")
        assert listen(wire) == b""  # a kept connection is closed as any


def test_a_client_that_does_not_read_its_stream_is_cut_off(hasty):
    with hasty.connect(b"/endless"):
        hasty.ended("endless")
        wait_for(lambda: not hasty.connections)


def test_what_streams_hold_unread_has_a_bound(streams):
    streams.shared.unsent = UnsentResponses(150_000)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(streams.connect(b"/endless"))
        wait_for(lambda: streams.views.ends["endless"] >= 3)
        assert streams.shared.unsent.held_bytes <= 150_000


def test_a_stream_gives_way_to_no_other_connection(streams):
    streams.shared.max_connections = 2
    with streams.connect(b"/events") as wire:
        streams.put(b"one")
        hear(wire, b"one\r\n")
        for _ in range(5):
            with streams.connect(b"/plain") as other:
                assert hear(other, b"plain")
                with streams.connect(b"/plain") as another:
                    assert hear(another, b"plain")
        streams.put(b"two", None)
        assert hear(wire, b"0\r\n\r\n").startswith(b"3\r\ntwo")


def test_streams_leave_half_of_the_connections_to_other_requests(streams):
    streams.shared.max_connections = 5
    with contextlib.ExitStack() as stack:
        for number in range(2):
            wire = stack.enter_context(streams.connect(b"/events"))
            streams.put(b"one", stream=number)
            hear(wire, b"one\r\n")
        with streams.connect(b"/events") as refused:
            assert statuses(listen(refused)) == [503]
        streams.put(None)
        wait_for(lambda: streams.shared.streams == 1)
        with streams.connect(b"/events") as wire:
            assert statuses(hear(wire, b"\r\n\r\n")) == [200]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_thousand_streams_cost_little_and_no_thread(streams):
    """Measured: 12 to 25 MB, with the clients' sockets."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 3000:
        pytest.skip("so many files may not be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    streams.shared.max_connections, streams.shared.max_per_client = 2500, 2500
    before, threads = resident_bytes(), threading.active_count()
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(streams.connect(b"/events")) for _ in range(1000)]
        wait_for(lambda: len(streams.views.queues) == 1000)
        for number in range(1000):
            streams.put(b"one", stream=number)
        for wire in wires:
            hear(wire, b"one\r\n")
        used = resident_bytes() - before
        print(f"{used / MB:.1f} MB")
        assert used < 100 * MB
        assert threading.active_count() == threads
    streams.ended("events", 1000)
