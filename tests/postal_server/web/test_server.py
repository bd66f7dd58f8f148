"""The HTTP server over real sockets: bodies that nobody reads, bodies in chunks, bodies without end."""

from __future__ import annotations

import contextlib
import io
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.errors import HostileInput
from postal_server.web import server as web
from postal_server.web.server import ChunkedBody, make_server


def application(environ, start_response):
    """Echoes the body at /echo; elsewhere it is left unread."""
    body = b"unread"
    if environ["PATH_INFO"] == "/echo":
        length = environ.get("CONTENT_LENGTH")
        body = environ["wsgi.input"].read(int(length) if length else -1)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture(scope="module")
def address():
    server = make_server(("127.0.0.1", 0), application, 4)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server.bind_addr
    server.stop()
    thread.join(5)


def talk(address, *pieces: bytes) -> bytes:
    """Everything that the server says to these bytes until it closes."""
    with socket.create_connection(address, timeout=10) as wire:
        with contextlib.suppress(OSError):
            for piece in pieces:
                wire.sendall(piece)
            wire.shutdown(socket.SHUT_WR)
        heard = b""
        with contextlib.suppress(ConnectionError):
            while data := wire.recv(65536):
                heard += data
        return heard


def post(path: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", b"Host: x", *headers, b"", b""])


CHUNKED = b"Transfer-Encoding: chunked"


def test_a_body_that_nobody_read_is_no_next_request(address):
    body = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
    heard = talk(
        address,
        post(b"/", b"Content-Length: %d" % len(body)),
        body,
        post(b"/echo", b"Content-Length: 2"),
        b"ok",
    )
    assert heard.count(b"HTTP/1.1 200") == 2
    assert heard.endswith(b"ok")


def test_request_smuggling_a_body_in_chunks_that_nobody_read_is_no_next_request(address):
    smuggled = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
    heard = talk(address, post(b"/", CHUNKED), b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled))
    assert heard.count(b"HTTP/1.1 200") == 1
    assert b"Connection: close" in heard


def test_request_smuggling_trailers_are_no_next_request(address):
    trailer = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
    assert talk(address, post(b"/echo", CHUNKED), b"0\r\n" + trailer).count(b"HTTP/1.1 200") <= 1


def test_a_body_in_chunks_is_read(address):
    assert talk(address, post(b"/echo", CHUNKED), b"2\r\nok\r\n3;x=y\r\n!!!\r\n0\r\n\r\n").endswith(b"ok!!!")


def test_a_client_that_goes_on_sending_hears_the_answer(address):
    size = 4 * 1024 * 1024
    heard = talk(address, post(b"/", b"Content-Length: %d" % size), b"x" * size)
    assert heard.endswith(b"unread")
    assert b"Connection: close" not in heard


def test_a_body_that_will_not_end_is_not_waited_for(address):
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(post(b"/", b"Content-Length: 99999999999"))
        assert b"Connection: close" in wire.recv(1000)


def test_a_slow_body_is_not_waited_for(address, monkeypatch):
    monkeypatch.setattr(web, "UNREAD_SECONDS", 0.2)
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(post(b"/", b"Content-Length: 100"))
        wire.settimeout(0.1)
        for _ in range(20):
            wire.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                assert b"Connection: close" in wire.recv(1000)
                return
    raise AssertionError("no answer")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x\r\n",
        b"-5\r\n",
        b"+5\r\nabcde\r\n",
        b"5\r\nabc",
        b"5\r\nabcdexx0\r\n\r\n",
        b"5",
        b"0" * 2000 + b"\r\n",
        b"11111111111111111\r\n",
        b"\xb2\r\nab\r\n",
        b"5_0\r\n",
    ],
)
def test_what_is_not_in_chunks_is_hostile(body):
    with pytest.raises(HostileInput):
        ChunkedBody(io.BufferedReader(io.BytesIO(body))).read()


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(1, 50))
def test_chunks_are_joined_however_they_are_asked_for(chunks, size):
    text = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    body = ChunkedBody(io.BufferedReader(io.BytesIO(text)))
    read = []
    while data := body.read(size):
        read.append(data)
    assert b"".join(read) == b"".join(chunks)
    assert all(len(data) == size for data in read[:-1])


def test_a_chunk_is_not_taken_for_its_size():
    body = ChunkedBody(io.BufferedReader(io.BytesIO(b"ffffffffffff\r\nabc")))
    assert body.read(2) == b"ab"
