from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.errors import HeaderTooLarge, MessageTooLarge
from postal_server.smtpd.data import ChunkReader, DataReader, MessageReader, unstuff
from postal_server.smtpd.options import Options
from tests.each import each

OPTIONS = Options("mx.example", max_message_bytes=1000, max_header_bytes=200, max_header_fields=10)
HEADER = b"Subject: x\r\n\r\n"


def read(reader: MessageReader, *pieces: bytes) -> bytearray:
    """Let the reader read until the message is complete; what remains in the buffer."""
    buffer = bytearray()
    for piece in pieces:
        assert not reader.is_complete
        buffer += piece
        reader.read(buffer)
    return buffer


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


class TestData:
    @each("size", [1, 2, 3, 5, 1000])
    @each(
        "text",
        [b"", b"\r\n", b"a\r\n", b"..\r\n", b"a\n.\nb\r\n", b"\r\n..\r\n", b"\r.\r\n", b"a\r\n.b\r\n"],
        ids=repr,
    )
    def test_the_end_is_found_however_it_is_cut(self, text, size):
        reader = DataReader(OPTIONS)
        assert read(reader, *in_pieces(text + b".\r\n", size)) == b""
        assert reader.is_complete
        assert reader.take_content() == unstuff(text)
        assert reader.take_content() == b""

    @each("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"], ids=repr)
    def test_only_crlf_dot_crlf_is_an_end(self, end):
        reader = DataReader(OPTIONS)
        rest = b"MAIL FROM:<a@b.example>\r\n"
        assert read(reader, HEADER + b"a" + end + rest) == HEADER + b"a" + end + rest
        assert not reader.is_complete

    def test_what_follows_stays_in_the_buffer(self):
        assert read(DataReader(OPTIONS), HEADER + b"\r\n.\r\nQUIT\r\n") == b"QUIT\r\n"

    @each("cut", [0, 1, 3, 500, 1000])
    def test_a_message_may_be_as_large_as_the_limit(self, cut):
        message = HEADER + b"x" * (1000 - len(HEADER) - 2) + b"\r\n"
        reader = DataReader(OPTIONS)
        read(reader, message[:cut], message[cut:] + b".\r\n")
        assert reader.take_content() == message

    @pytest.mark.parametrize("has_end", [True, False])
    def test_a_larger_one_is_discarded_up_to_its_end(self, has_end):
        reader, buffer = DataReader(OPTIONS), bytearray(HEADER + b"x" * 1000)
        end = b"\r\n.\r\n"
        if has_end:
            buffer += end
        with pytest.raises(MessageTooLarge):
            reader.read(buffer)
        reader.discard(buffer)
        if not has_end:
            assert not reader.read(buffer)
            assert len(buffer) < len(end)
            buffer += b"\r\n.\r" + b"x" * 5000
            assert not reader.read(buffer)
            assert len(buffer) < len(end)
            buffer += end
        assert reader.read(buffer)
        assert (reader.is_complete, reader.take_content(), buffer) == (True, b"", b"")

    @each("header", [b"X: " + b"x" * 300, b"A: b\r\n" * 20], ids=["bytes", "fields"])
    @each("end", [b"", b"\r\n\r\n.\r\n"], ids=["under way", "complete"])
    def test_a_header_that_is_too_large_is_refused_at_once(self, header, end):
        buffer = bytearray(header + b"\r\nB: " + b"x" * 200 + end)
        with pytest.raises(HeaderTooLarge):
            DataReader(OPTIONS).read(buffer)

    def test_bytes_are_counted_kept_or_not(self):
        reader, buffer = DataReader(OPTIONS), bytearray(HEADER + b"x" * 100)
        reader.read(buffer)
        assert reader.received_bytes == 100 + len(HEADER)
        reader.discard(buffer)
        buffer += b"y" * 100
        reader.read(buffer)
        assert reader.received_bytes == 200 + len(HEADER)

    @given(st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\r\n.", b"\n"]), max_size=30).map(b"".join))
    def test_unstuffing_undoes_stuffing(self, data):
        """As smtplib does it: behind a bare LF as well."""
        assert unstuff(re.sub(rb"(?m)^\.", b"..", data)) == data


class TestChunks:
    @pytest.mark.parametrize("size", [1, 3, 1000])
    def test_chunks_are_joined_as_they_are(self, size):
        reader = ChunkReader(OPTIONS)
        reader.begin(len(HEADER), is_last=False)
        assert read(reader, *in_pieces(HEADER, size)) == b""
        assert not reader.is_complete
        reader.begin(5, is_last=True)
        assert read(reader, b"..\r\n.NOOP") == b"NOOP"
        assert reader.is_complete
        assert reader.kept_bytes == len(HEADER) + 5
        assert reader.take_content() == HEADER + b"..\r\n."
        assert reader.kept_bytes == 0

    def test_a_chunk_may_be_empty(self):
        reader = ChunkReader(OPTIONS)
        reader.begin(0, is_last=False)
        assert reader.read(bytearray())
        reader.begin(0, is_last=True)
        assert reader.read(bytearray(b"NOOP"))
        assert (reader.is_complete, reader.take_content()) == (True, b"")

    def test_more_than_the_limit_is_refused_when_it_is_announced_and_discarded(self):
        reader = ChunkReader(OPTIONS)
        reader.begin(600, is_last=False)
        read(reader, HEADER + b"x" * (600 - len(HEADER)))
        with pytest.raises(MessageTooLarge):
            reader.begin(401, is_last=True)
        buffer = bytearray(b"x" * 300)
        reader.discard(buffer)
        assert not reader.read(buffer)
        assert reader.kept_bytes == 0
        buffer += b"x" * 101 + b"NOOP"
        assert reader.read(buffer)
        assert (reader.is_complete, buffer) == (True, b"NOOP")

    @pytest.mark.parametrize("is_last", [True, False])
    def test_a_header_that_is_too_large_is_refused_once_it_has_come(self, is_last):
        reader = ChunkReader(OPTIONS)
        reader.begin(400, is_last)
        buffer = bytearray(b"X: " + b"x" * 200)
        with pytest.raises(HeaderTooLarge):
            reader.read(buffer)
        reader.discard(buffer)
        buffer += b"x" * 197
        assert reader.read(buffer)
        assert reader.kept_bytes == 0
        assert reader.received_bytes == 400
