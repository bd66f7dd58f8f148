import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.message import parts
from postal_server.mail.mime import (
    MAX_DEPTH,
    MAX_PARTS,
    parse,
    parse_content_type,
    parse_header_value,
    replace_ranges,
)
from postal_server.mail.transport_encoding import to_7bit
from tests.each import each


def bodies(raw, **options):
    return [part.body for part in parse(raw, **options).walk() if not part.children]


MULTIPART = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'


@each(
    "raw, found",
    [
        (MULTIPART + b"pre\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\npost", [b"one", b"two"]),
        (MULTIPART.replace(b"\r\n", b"\n") + b"--b\n\none\n--b--\n", [b"one"]),
        (MULTIPART + b"--b \t\r\n\r\none\r\n\r\n--b--", [b"one\r\n"]),
        (MULTIPART + b"--b\r\n\r\nnever closed", [b"never closed"]),
        (MULTIPART + b"--b\r\n\r\nx --b\r\n--bb\r\n--b-\r\n--b--", [b"x --b\r\n--bb\r\n--b-"]),
        (MULTIPART + b"no boundary at all", [b"no boundary at all"]),
        (b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n--b--", [b"--b\r\n\r\nx\r\n--b--"]),
        (b"Content-Type: text/plain; boundary=b\r\n\r\n--b\r\n", [b"--b\r\n"]),
        (MULTIPART + b"--b\r\n--b--", [b""]),
    ],
)
def test_parts_stand_between_boundary_lines(raw, found):
    assert bodies(raw) == found


def test_attached_messages_are_opened_on_request():
    raw = MULTIPART + b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninner\r\n--b--"
    assert bodies(raw) == [b"Subject: x\r\n\r\ninner"]
    assert bodies(raw, into_messages=True) == [b"inner"]


@each(
    "text, expected",
    [
        ("TEXT/Plain; Charset=UTF-8", "text/plain; charset=UTF-8"),
        ("text/plain charset=x", "text/plain"),
        ("text/plain (comment)", "text/plain"),
        ('a/b; x="c;d"; y=e f', 'a/b; x="c;d"; y="e f"'),
        ('a/b; x="\\"\\\\"', 'a/b; x="\\"\\\\"'),
        ("a/b; ; x=1;", "a/b; x=1"),
        ('a/b; x="open', "a/b; x=open"),
        ('a/b; x="open; y=1', "a/b; x=open; y=1"),
        ("not a type", "None"),
        ("", "None"),
    ],
)
def test_content_types_are_parsed_and_written(text, expected):
    assert str(parse_content_type(text)) == expected


@each(
    "text, name, is_attachment",
    [
        ("attachment filename=a.pdf", "a.pdf", True),
        ("filename=a.pdf", "a.pdf", False),
        ("inline Filename*=UTF-8''%C3%BC.pdf", "ü.pdf", False),
        ("attachment; x=filename; filename=b.pdf", "b.pdf", True),
        ('attachment; filename="a.pdf', "a.pdf", True),
    ],
)
def test_a_file_name_is_found_behind_whatever_parts_it_from_the_disposition(text, name, is_attachment):
    part = parse(f"Content-Disposition: {text}\r\n\r\n".encode())
    assert (part.filename, part.is_attachment) == (name, is_attachment)


def test_parameters_are_bounded():
    assert len(parse_header_value("a;" + "b=c;" * 5000).raw) == 50


def test_ranges_are_replaced_in_any_order():
    assert replace_ranges(b"0123456789", [(8, 9, b"eight"), (0, 2, b""), (4, 4, b"+")]) == b"23+4567eight9"


@given(st.binary(max_size=200))
def test_parts_lie_within_their_message(data):
    for part in parse(MULTIPART + b"--b\r\n" + data, into_messages=True).walk():
        assert part.start <= part.body_start <= part.end
        for child in part.children:
            assert part.body_start <= child.start
            assert child.end <= part.end


def nested(depth):
    raw = b""
    for level in range(depth):
        raw += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    return raw


LARGE = 13_000_000  # bytes, as much as a mail may have by default
HEADER = 256_000  # as much of it as may be its header


def dashes(order):
    return b"".join(
        b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n--%s\r\n' % (b"-" * n, b"-" * n) for n in order
    )


def filled(start, text, size=LARGE, end=b""):
    return start + text * (size // len(text)) + end


ENCODED = b"Content-Transfer-Encoding: base64\r\n"
BOMBS = {
    "nested boundaries of dashes": lambda: filled(dashes(range(29, 0, -1)), b"-"),
    "nested boundaries of dashes, lines": lambda: filled(dashes(range(29, 0, -1)), b"-" * 70 + b"\r\n"),
    "nested boundaries of dashes, the shortest outside": lambda: filled(
        dashes(range(1, 30)), b"-" * 70 + b"\r\n"
    ),
    "lines that are nearly boundaries": lambda: filled(MULTIPART, b"\n--bx"),
    "deep multiparts": lambda: nested(20_000),
    "deep multiparts around much": lambda: filled(nested(40), b"x"),
    "one boundary in itself": lambda: filled(
        b"", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    ),
    "many parts": lambda: filled(MULTIPART, b"--b\r\n\r\n"),
    "many parts with LF": lambda: filled(MULTIPART, b"--b\n\n"),
    "many parts without a body": lambda: filled(MULTIPART, b"--b\nX: y\n"),
    "many boundaries in a line": lambda: filled(MULTIPART, b"--b"),
    "a part of folds": lambda: filled(MULTIPART + b"--b\r\nX:", b"\r\n "),
    "parts of folds": lambda: filled(MULTIPART, b"--b\r\nX:" + b"\r\n " * 400 + b"\r\n\r\n"),
    "messages in messages": lambda: filled(b"", b"Content-Type: message/rfc822\r\n\r\n"),
    "no field": lambda: filled(b"", b"a"),
    "no fields": lambda: filled(b"X: y\n", b"a\n"),
    "many fields": lambda: filled(b"", b"Content-Type: text/plain\r\n", HEADER, b"\r\n"),
    "many folds": lambda: filled(b"Content-Type: text/plain;\r\n", b" x=y;\r\n", HEADER, b"\r\n"),
    "open quotes": lambda: filled(b"Content-Type: text/plain", b';x="\\"', HEADER, b"\r\n\r\n"),
    "open comments": lambda: filled(b"Content-Type: text/plain", b";(", HEADER, b"\r\n\r\n"),
    "blanks": lambda: filled(b"Content-Type: text/plain", b"; ", HEADER, b"\r\n\r\n"),
    "sections": lambda: filled(b"Content-Type: text/plain", b"; name*1*=a", HEADER, b"\r\n\r\n"),
    "transfer encoding": lambda: filled(b"Content-Transfer-Encoding: ", b"(", HEADER, b"\r\n\r\n"),
    "charset": lambda: filled(b"Content-Type: text/plain; charset=", b"_", HEADER, b"\r\n\r\nx"),
    "addresses": lambda: filled(b"To: ", b"a@b.example, ", HEADER, b"\r\n\r\n"),
    "quotes": lambda: filled(b"To: ", b'"', HEADER, b"\r\n\r\n"),
    "message ids": lambda: filled(b"References: ", b"<@", HEADER, b"\r\n\r\n"),
    "dates": lambda: filled(b"Date: ", b"Mon, ", HEADER, b"\r\n\r\n"),
    "encoded words": lambda: filled(b"Subject: ", b"=?utf-8?q?a?= ", HEADER, b"\r\n\r\n"),
    "encoded words of changing charsets": lambda: filled(
        b"Subject: ", b"=?koi8-r?q?a?= =?big5?q?a?= ", HEADER, b"\r\n\r\n"
    ),
    "encoded words of charsets that nobody knows": lambda: (
        b"Subject: " + b" ".join(b"=?x%d?q?a?=" % n for n in range(HEADER // 14)) + b"\r\n\r\n"
    ),
    "beginnings of encoded words": lambda: filled(b"Subject: ", b"=?a*", HEADER, b"\r\n\r\n"),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_time_to_read_a_hostile_mail_is_bounded(make):
    """50 ms at most for structure and header, on a machine of today; ten times as much for a slow one."""
    raw = make()
    start = time.process_time()
    tree = parse(raw, into_messages=True)
    parse(raw, for_reading=True)
    parts(raw)
    assert time.process_time() - start < 3 * 0.5
    assert sum(1 for _ in tree.walk()) <= MAX_PARTS + MAX_DEPTH


@pytest.mark.parametrize("text", [b"-" * 70 + b"\r\n", b"\n-"], ids=["boundaries", "beginnings of them"])
def test_nested_boundaries_cost_no_more_than_the_text_has_bytes(text):
    def searched(depth):
        raw = filled(dashes(range(depth, 0, -1)), text)
        times = []
        for _ in range(3):
            start = time.process_time()
            parse(raw)
            times.append(time.process_time() - start)
        return min(times)

    assert searched(29) < 2.5 * searched(4) + 0.02


def test_depth_is_bounded():
    def depth(part):
        return 1 + max(map(depth, part.children), default=0)

    assert depth(parse(nested(100))) == MAX_DEPTH + 1


@pytest.mark.parametrize(
    ("mime_type", "content"),
    [("text/plain", b"hello -- \r\nThe list\r\n"), ("application/pdf", b"hello ")],
)
def test_words_behind_base64_belong_to_a_text_and_to_no_file(mime_type, content):
    header = f"Content-Type: {mime_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
    part = parse(header + b"aGVsbG8g\r\n-- \r\nThe list\r\n")
    assert part.content == content


def test_a_text_with_words_behind_its_base64_keeps_them_when_it_is_encoded_anew():
    header = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    raw = to_7bit(header + b"aGVsbG8g\r\n-- \r\nGr\xc3\xbc\xc3\x9fe\r\n")
    assert parts(raw).plain_body.endswith("-- \r\nGrüße\r\n")
