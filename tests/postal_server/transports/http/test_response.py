from __future__ import annotations

import contextlib
import gzip
import zlib
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.errors import HostileInput
from postal_server.transports.http.response import EXCERPT_BYTES, MAX_BODY_BYTES, ResponseReader, retry_after
from tests.each import each

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def read(*pieces: bytes, ends: bool = False) -> ResponseReader:
    reader = ResponseReader()
    for piece in pieces:
        reader.feed(piece)
    if ends:
        reader.end()
    return reader


def test_chunks_are_joined():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = read(head + b"3;x=1\r\nabc\r\n2", b"\r\nde\r\n0\r\nTrailer: x\r\n\r\n")
    assert (reader.is_done, reader.may_reuse, reader.excerpt) == (True, True, b"abcde")


def test_an_answer_without_length_ends_with_the_connection():
    reader = read(b"HTTP/1.1 200 OK\r\n\r\nabc", ends=True)
    assert (reader.is_done, reader.may_reuse, reader.excerpt) == (True, False, b"abc")


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_ends_with_its_head(status):
    assert read(b"HTTP/1.1 %d x\r\n\r\n" % status).is_done


def test_interim_answers_are_passed_over():
    assert (
        read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").status == 201
    )


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n"])
def test_a_connection_that_will_close_is_not_reused(head):
    assert not read(head + b"Content-Length: 0\r\n\r\n").may_reuse


def test_a_second_answer_to_one_request_is_not_taken_for_the_next():
    assert not read(OK + OK).may_reuse


def test_only_the_start_of_a_long_answer_is_read_and_kept():
    reader = read(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"x" * (MAX_BODY_BYTES + 1))
    assert (reader.is_done, reader.may_reuse, len(reader.excerpt)) == (True, False, EXCERPT_BYTES)
    assert len(reader.body) == MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_content_encodings_are_undone(encoding, encode):
    body = encode(b"hello")
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    assert read(head.encode() + body).excerpt == b"hello"


def test_a_compression_bomb_yields_no_more_than_is_kept():
    body = gzip.compress(b"\0" * 10_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert len(read(head + body).excerpt) == EXCERPT_BYTES


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@each(
    "begins, goes_on",
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (CHUNKED + b"1;", b"x" * 1000),
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 100),
    ],
    ids=["a field", "fields", "interim answers", "a chunk extension", "trailers"],
)
def test_what_has_no_end_is_given_up(begins, goes_on):
    with pytest.raises(HostileInput):
        read(begins, *[goes_on] * 100)


@each(
    "came",
    [
        CHUNKED,
        CHUNKED + b"3",
        CHUNKED + b"3\r\n",
        CHUNKED + b"3\r\nab",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        OK[:-2],
        OK[:-1],
        OK[:20],
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=lambda came: repr(came[-10:]),
)
def test_an_answer_that_is_cut_is_none(came):
    """A chunked one before its first chunk as well, which has a status already."""
    with pytest.raises(HostileInput, match="middle of the answer"):
        read(*[came] if came else [], ends=True)


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes_are_an_answer_or_one_exception(pieces):
    with contextlib.suppress(HostileInput):
        read(b"HTTP/1.1 200 OK\r\n", *pieces, ends=True)


@given(st.binary(max_size=200), st.integers(1, 20))
def test_how_it_is_cut_does_not_matter(body, size):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert read(*(answer[i : i + size] for i in range(0, len(answer), size))).excerpt == body


@each(
    "value, seconds",
    [
        ("120", 120),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("9" * 30, None),
    ],
)
def test_retry_after(value, seconds):
    assert retry_after(value, datetime(2026, 1, 1, tzinfo=timezone.utc)) == seconds
