import binascii
import quopri
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.transfer import (
    choose,
    decode,
    decode_base64,
    encode,
    encode_base64,
    encode_quoted_printable,
    has_long_line,
    to_crlf,
    to_lf,
)
from tests.each import each


@each(
    "data, is_long",
    [
        (b"x" * 998, False),
        (b"x" * 999, True),
        (b"x" * 998 + b"\r\n", False),
        (b"x" * 999 + b"\r\n", True),
        (b"x" * 998 + b"\n", False),
        (b"x" * 999 + b"\n", True),
        (b"short\r\n" * 500 + b"x" * 999, True),
        (b"short\r\n" * 500, False),
        (b"", False),
    ],
)
def test_lines_over_998_octets_are_found(data, is_long):
    assert has_long_line(data) is is_long


@given(st.lists(st.sampled_from([b"x" * 500, b"x" * 499, b"y", b"\n", b"\r\n"]), max_size=12))
def test_long_lines_are_found_wherever_they_are(pieces):
    data = b"".join(pieces)
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    assert has_long_line(data) is any(len(line) > 998 for line in lines)


@each(
    "data, encoding",
    [
        (b"plain\r\n", "7bit"),
        (b"x" * 999, "quoted-printable"),
        (b"nul\0 in a longer text", "quoted-printable"),
        ("ein paar Umläute in Text".encode(), "quoted-printable"),
        ("日本語".encode(), "base64"),
        (b"\xff" + b"x" * 5, "quoted-printable"),  # 8 octets either way: a tie
        (b"\xff" + b"x" * 4, "base64"),
        (b"", "7bit"),
    ],
)
def test_the_cheapest_encoding_is_chosen(data, encoding):
    assert choose(data) == encoding


def test_line_ends():
    assert to_crlf(b"a\r\nb\nc\rd\n\r") == b"a\r\nb\r\nc\r\nd\r\n\r\n"
    assert to_lf(b"a\r\nb\nc\rd") == b"a\nb\nc\nd"


@each(
    "data, encoded",
    [
        (b"a=b\r\n", b"a=3Db\r\n"),
        (b"blank \r\ntab\t\r\n", b"blank=20\r\ntab=09\r\n"),
        (b"no end ", b"no end =\r\n"),
        (b"\xff\r\n", b"=FF\r\n"),
        (b"bare \r cr\r\n", b"bare =0D cr\r\n"),
        (b"x" * 74 + b"\r\n", b"x" * 73 + b"=\r\nx\r\n"),
        (b"x" * 72 + b"=\r\n", b"x" * 72 + b"=\r\n=3D\r\n"),
        (b"", b""),
    ],
)
def test_quoted_printable(data, encoded):
    assert encode_quoted_printable(data) == encoded


@given(st.binary(max_size=500))
def test_quoted_printable_comes_back(data):
    data = to_crlf(data)
    encoded = encode_quoted_printable(data)
    assert max(map(len, encoded.split(b"\r\n"))) <= 76
    assert quopri.decodestring(encoded) == data
    assert decode(encoded, "Quoted-Printable") == data


@given(st.binary(max_size=500))
def test_base64_comes_back(data):
    encoded = encode_base64(data)
    assert max(map(len, encoded.split(b"\r\n"))) <= 60
    assert decode(encoded, " BASE64 ") == data
    assert binascii.a2b_base64(encoded) == data


@each(
    "text, data",
    [
        (b"Y W\r\nI-!", b"ab"),
        (b"YWI", b"ab"),
        (b"YWJjZ", b"abc"),
        (b"YQ==YQ==", b"aa"),
        (b"YQ==\r\nYWI=\r\n", b"aab"),
        (b"YWJj=ZGVm", b"abcdef"),
        (b"YWJjZA==\r\n-- \r\nThe list\r\n", b"abcd"),
        (b"YWJj\r\n______\r\nThe list\r\n", b"abc"),
        (b"====", b""),
        (b"\xff", b""),
    ],
)
def test_base64_is_decoded_leniently(text, data):
    assert decode_base64(text) == data


def test_seven_bit_needs_no_encoding():
    assert encode(b"x", "7bit") == b"x"
    assert decode(b"x", "8bit") == b"x"


@given(st.binary(max_size=100))
def test_decoding_never_raises(data):
    decode(data, "base64")
    decode(data, "quoted-printable")


@pytest.mark.parametrize("data", [b"=" * 1_000_000, b" " * 1_000_000, b"\xff" * 300_000, b"a\n" * 300_000])
def test_encoding_is_linear(data):
    start = time.process_time()
    encode_quoted_printable(data)
    decode(data, "quoted-printable")
    assert time.process_time() - start < 3
