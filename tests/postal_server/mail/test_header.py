import email.header
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.header import (
    MAX_FIELDS,
    MAX_WORDS,
    decode_header,
    first,
    header_fields,
    header_values,
    is_header_too_large,
    last,
    message_id,
    prepend,
    remove_header,
    split_header,
    subject,
)
from tests.each import each

FOLDED = b"From: a@b.example\r\nX-Folded: one\r\n two\r\n\tthree \r\nSubject : x\r\n\r\nbody\r\n"


@each(
    "raw, header, body",
    [
        (b"A: 1\r\n\r\nbody", b"A: 1\r\n", b"body"),
        (b"A: 1\nB: 2\n\nbody", b"A: 1\nB: 2\n", b"body"),
        (b"A: 1\r\nB: 2\n\nbody\r\n\r\nmore", b"A: 1\r\nB: 2\n", b"body\r\n\r\nmore"),
        (b"A: 1\n\r\nbody\n\n", b"A: 1\n", b"body\n\n"),
        (b"\r\nbody", b"", b"body"),
        (b"\nbody\r\n\r\n", b"", b"body\r\n\r\n"),
        (b"A: 1\r\n", b"A: 1\r\n", b""),
        (b"", b"", b""),
    ],
)
def test_the_first_empty_line_ends_the_header(raw, header, body):
    assert split_header(raw) == (header, body)


def test_names_that_are_not_ascii_are_read_as_utf8():
    assert header_fields("X-Ü: ü\r\n".encode()) == [("X-Ü", "ü".encode())]


def test_fields_are_unfolded_and_keep_their_order():
    assert header_fields(FOLDED) == [
        ("From", b"a@b.example"),
        ("X-Folded", b"one two\tthree"),
        ("Subject", b"x"),
    ]


def test_lines_without_a_name_are_no_fields():
    assert header_fields(b"no colon here\r\n: no name\r\nA:\r\n\r\n") == [("A", b"")]


def test_a_flood_of_fields_is_cut():
    assert len(header_fields(b"A: 1\r\n" * 50_000 + b"\r\n")) == MAX_FIELDS
    assert len(header_fields(FOLDED, limit=1)) == 1


@each(
    "raw, is_too_large",
    [
        (b"A: 1\r\nB: 23\r\n\r\n" + b"x" * 100, False),  # 13 bytes
        (b"A: 1\r\nB: 234\r\n\r\n" + b"x" * 100, True),
        (b"A: 1\nB: 2345\n\n" + b"x" * 100, False),
        (b"A: 1\nB: 23456\n\n" + b"x" * 100, True),
        (b"A: 1\r\nB: 23", False),
        (b"A: 1\r\nB: 23456", True),
        (b"A:\n1:\n2:\n\n", False),
        (b"A:\n1:\n2:\n3:\n\n", True),
        (b"A:\r\n1\r\n:\r\n", False),
        (b"A:\r1\r2\r3\r\n\r\n", True),
        (b"A:\n 1\n 2\n\t3\n\n", False),
        (b"\r\n" + b"a\n" * 100, False),
        (b"", False),
    ],
)
def test_a_header_has_so_many_bytes_and_fields(raw, is_too_large):
    assert is_header_too_large(raw, 13, 3) is is_too_large
    assert is_header_too_large(bytearray(raw), 13, 3) is is_too_large


def test_no_more_fields_are_accepted_than_are_looked_at():
    raw = b"A:\n" * MAX_FIELDS + b"From: hidden@example.org\n\n"
    assert is_header_too_large(raw, 10**9, 10**9)


def test_folds_without_end_are_unfolded_in_a_moment():
    started = time.process_time()
    [(_, value)] = header_fields(b"X:" + b"\r\n " * 80_000 + b"\r\n\r\n")
    assert value == b""
    assert time.process_time() - started < 0.05


def test_values_are_found_without_regard_to_case():
    raw = b"To: one\r\nto: tw\xff\r\nSubject: s\r\n\r\nTo: body"
    assert header_values(raw, "TO") == ["one", "tw\ufffd"]
    assert (first(raw, "to"), last(raw, "to")) == ("one", "tw\ufffd")
    assert first(raw, "Cc") is None
    assert last(raw, "Cc") is None


@each(
    "raw, expected",
    [
        (b"Message-ID: <a@b.example>\r\n\r\n", "a@b.example"),
        (b"Message-ID: a@b.example\r\n\r\n", "a@b.example"),
        (b"Message-Id:\r\n <a@b.example>\r\n\r\n", "a@b.example"),
        (b"Message-ID:\r\n\r\n", None),
        (b"Message-ID: <>\r\n\r\n", None),
        (b"\r\n", None),
    ],
)
def test_message_ids_lose_their_brackets(raw, expected):
    assert message_id(raw) == expected


def test_the_last_subject_counts_and_is_decoded():
    assert subject(b"Subject: a\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n") == "Grüße"
    assert subject(b"\r\n") is None


@each(
    "value, text",
    [
        ("plain", "plain"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe_=F0=9F=91=8B?= rest", "Grüße 👋 rest"),
        ("=?UTF-8?Q?one?=\t=?UTF-8?Q?_two?=", "one two"),
        ("=?UTF-8?B?w7w=?= =?UTF-8?B?w7w=?=", "üü"),
        ("=?UTF-8?B?ww?= =?UTF-8?B?vA==?=", "ü"),  # a character split over two words
        ("=?iso-8859-1?q?=FC?= =?utf-8?q?=C3=BC?=", "üü"),
        ("=?utf-8*de?q?x?=", "x"),  # RFC 2231 section 5
        ("a =?utf-8?q?b?= c", "a b c"),
        ("=?nonsense?q?=C3=BC?=", "ü"),
        ("=?utf-8?b?!!!?=", ""),
        ("=?utf-8?b?a?=", "=?utf-8?b?a?="),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?=FF?= \xff", "\ufffd ÿ"),
        (b"Gr\xfc\xdfe", "Grüße"),
        ("Grüße".encode(), "Grüße"),
        ("=?gb2312?b?1uzpRrv5?=", "朱镕基"),
        ("=?us-ascii?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?x-unknown?q?Gr=FC=DFe?=", "Grüße"),
        ("=?utf-8?q?a=00b?=", "ab"),
        ("a\0b", "ab"),
        ("=?utf-7?q?+2AA-?=", "\ufffd"),
        ("=?undefined?q?a?=", "a"),
        ("=?base64?q?a?=", "a"),
    ],
)
def test_encoded_words_are_decoded(value, text):
    assert decode_header(value) == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=60))
def test_what_the_standard_library_encodes_is_decoded(text):
    encoded = email.header.Header(text, "utf-8", maxlinelen=200).encode(linesep="")
    assert decode_header(encoded) == (text if "=?" in encoded else encoded)


@given(st.binary(max_size=80))
def test_hostile_headers_never_raise(raw):
    decode_header(raw)
    decode_header(b"=?utf-8?b?" + raw + b"?=")
    header_fields(raw)
    subject(b"Subject: " + raw)
    message_id(b"Message-ID: " + raw)
    header, body = split_header(raw)
    assert raw.startswith(header)
    assert raw.endswith(body)


def test_no_more_encoded_words_of_a_value_are_decoded_than_a_writer_has_use_for():
    text = decode_header("=?utf-8?q?a?= x " * (MAX_WORDS + 1))
    assert text.startswith("a x a x ")
    assert text.endswith("a x =?utf-8?q?a?= x ")


@each(
    "raw, name, rest",
    [
        (b"A: 1\r\nB: 2\r\n x\r\nC: 3\r\n\r\nB: body", "b", b"A: 1\r\nC: 3\r\n\r\nB: body"),
        (b"B: 1\nA: 2\nb : 3\n\t4\n\n", "B", b"A: 2\n\n"),
        (b"A: 1\r\nBB: 2\r\n\r\n", "B", b"A: 1\r\nBB: 2\r\n\r\n"),
        (b"A: 1\r\nB: 2", "B", b"A: 1\r\n"),
    ],
)
def test_removing_a_field_leaves_every_other_byte(raw, name, rest):
    assert remove_header(raw, name) == rest


def test_prepended_lines_stand_on_top():
    assert prepend(b"A: 1\r\n\r\n", b"X: 0\r\n") == b"X: 0\r\nA: 1\r\n\r\n"


@pytest.mark.parametrize("flood", [b"=?utf-8?q?", b"=?utf-8?q?a?= ", b"=?", b"\n ", b"\r\n", b"A:"])
def test_a_flood_is_read_in_linear_time(flood):
    raw = b"Subject: " + flood * (200_000 // len(flood))
    start = time.process_time()
    subject(raw)
    remove_header(raw, "Subject")
    decode_header(raw)
    assert time.process_time() - start < 2
