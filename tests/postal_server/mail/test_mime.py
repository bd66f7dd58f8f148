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


def bodies(raw, **options):
    return [part.body for part in parse(raw, **options).walk() if not part.children]


MULTIPART = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'


@pytest.mark.parametrize(
    ("raw", "found"),
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TEXT/Plain; Charset=UTF-8", "text/plain; charset=UTF-8"),
        ("text/plain charset=x", "text/plain"),
        ("text/plain (comment)", "text/plain"),
        ('a/b; x="c;d"; y=e f', 'a/b; x="c;d"; y="e f"'),
        ('a/b; x="\\"\\\\"', 'a/b; x="\\"\\\\"'),
        ("a/b; ; x=1;", "a/b; x=1"),
        ('a/b; x="open', 'a/b; x="\\"open"'),
        ("not a type", "None"),
        ("", "None"),
    ],
)
def test_content_types_are_parsed_and_written(text, expected):
    assert str(parse_content_type(text)) == expected


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


BOMBS = {
    "deep multiparts": nested(20_000),
    "one boundary in itself": (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n") * 20_000,
    "many parts": MULTIPART + b"--b\r\n\r\n" * 200_000,
    "many boundaries in a line": MULTIPART + b"--b" * 400_000,
    "messages in messages": b"Content-Type: message/rfc822\r\n\r\n" * 50_000,
    "many fields": b"Content-Type: text/plain\r\n" * 50_000 + b"\r\n",
    "many folds": b"Content-Type: text/plain;\r\n" + b" x=y;\r\n" * 100_000 + b"\r\n",
    "open quotes": b"Content-Type: text/plain" + b';x="\\"' * 100_000 + b"\r\n\r\n",
    "blanks": b"Content-Type: text/plain" + b"; " * 300_000 + b"\r\n\r\n",
    "sections": b"Content-Type: text/plain" + b"; name*1*=a" * 50_000 + b"\r\n\r\n",
    "addresses": b"To: " + b"a@b.example, " * 100_000 + b"\r\n\r\n",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("raw", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_read_within_bounds(raw):
    start = time.process_time()
    tree = parse(raw, into_messages=True)
    parts(raw)
    assert time.process_time() - start < 3
    assert sum(1 for _ in tree.walk()) <= MAX_PARTS


def test_depth_is_bounded():
    def depth(part):
        return 1 + max(map(depth, part.children), default=0)

    assert depth(parse(nested(100))) == MAX_DEPTH + 1
