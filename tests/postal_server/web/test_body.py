"""A body between the event loop, which feeds it, and the thread that reads it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from postal_server.web.body import MAX_BUFFERED_BYTES, RequestBody


@pytest.fixture
def asked() -> list[str]:
    """The threads in which the body asked for more."""
    return []


@pytest.fixture
def body(asked) -> RequestBody:
    return RequestBody(lambda: asked.append(threading.current_thread().name))


@pytest.fixture
def reader():
    with ThreadPoolExecutor(1, "reader") as pool:
        yield pool


def test_what_has_come_is_read_and_then_the_end(body) -> None:
    body.feed(b"ab")
    body.feed(b"c")
    body.complete()
    assert [body.read(2), body.read(2), body.read(2)] == [b"ab", b"c", b""]


def test_a_reader_waits_for_all_that_it_asked_for(body, reader) -> None:
    reading = reader.submit(io.BufferedReader(body, 16).read, 100)
    for _ in range(100):
        body.feed(b"x")
    assert reading.result(10) == b"x" * 100


@pytest.mark.parametrize(
    ("end", "heard"), [(RequestBody.complete, b""), (RequestBody.truncate_input, ConnectionError)]
)
def test_a_reader_that_waits_hears_of_the_end(
    body, reader, end: Callable[[RequestBody], None], heard
) -> None:
    reading = reader.submit(body.read, 10)
    end(body)
    assert (reading.result(10) if heard == b"" else type(reading.exception(10))) == heard


def test_what_came_before_it_broke_off_is_read(body) -> None:
    body.feed(b"ab")
    body.truncate_input()
    assert body.read(10) == b"ab"
    with pytest.raises(ConnectionError):
        body.read(10)


def test_a_complete_body_does_not_break_off(body) -> None:
    body.complete()
    body.truncate_input()
    assert not body.is_truncated
    assert body.read(10) == b""


def test_more_is_asked_for_once_less_waits_by_who_reads(body, reader, asked) -> None:
    body.feed(b"x" * (MAX_BUFFERED_BYTES + 10))
    reader.submit(body.read, 9).result(10)
    assert asked == []
    reader.submit(body.read, 1).result(10)
    assert asked == ["reader_0"]
    reader.submit(body.read, 10).result(10)
    assert asked == ["reader_0"]


def test_discarded_data_is_not_held(body) -> None:
    body.feed(b"ab")
    body.discard()
    body.feed(b"cd")
    assert body.buffered_bytes == 0


def test_a_complete_body_is_taken_at_once(body) -> None:
    body.feed(b"ab")
    body.complete()
    assert body.take_all() == b"ab"
    assert body.buffered_bytes == 0
