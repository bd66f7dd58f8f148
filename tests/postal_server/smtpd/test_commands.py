from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.errors import HostileInput
from postal_server.smtpd.commands import (
    VERBS,
    Command,
    Path,
    parse_chunk,
    parse_command,
    parse_path,
    parse_proxy,
)
from tests.each import each


@each(
    "line, command",
    [
        (b"EHLO client.example", Command("EHLO", " client.example")),
        (b"ehlo", Command("EHLO", "")),
        (b"QUITX", Command("QUIT", "X")),
        (b"mail from:<a@b>", Command("MAIL FROM", ":<a@b>")),
        (b"MAIL  FROM:<a@b>", Command("", "MAIL  FROM:<a@b>")),
        (b"auth login", Command("AUTH LOGIN", "")),
        (b"AUTH XOAUTH2 x", Command("AUTH", " XOAUTH2 x")),
        (b"VRFY a", Command("", "VRFY a")),
        (b"", Command("", "")),
        ("R\u017fET".encode(), Command("", "R\u017fET")),  # a long s is no s
        ("RCPT TO:<jürgen@b>".encode(), Command("RCPT TO", ":<jürgen@b>")),
    ],
)
def test_a_verb_is_a_prefix_without_regard_to_case(line, command):
    assert parse_command(line) == command


@each("line", [b"EHLO a\rb", b"MAIL FROM:<a\0@b>", b"RCPT TO:<\xff@b>", b"NOOP \x1b[2J"])
def test_control_characters_and_other_encodings_are_hostile(line):
    with pytest.raises(HostileInput):
        parse_command(line)


@each(
    "argument, path",
    [
        (":<a@b.example>", Path("a@b.example", {})),
        (": <a@b.example>", Path("a@b.example", {})),
        (":<>", Path("", {})),
        ("", Path("", {})),
        (":", Path("", {})),
        (":a@b.example", Path("a@b.example", {})),
        (":a@b.example SIZE=9", Path("a@b.example", {"SIZE": "9"})),
        (":<a@b.example> size=200 BODY=8BITMIME", Path("a@b.example", {"SIZE": "200", "BODY": "8BITMIME"})),
        (":<a@b.example> AUTH=<x@y>", Path("a@b.example", {})),
        (":Ann B <a@b.example>", Path("a@b.example", {})),
        (":<<a@b.example>>", Path("a@b.example", {})),
        (":<a@b.example", Path("a@b.example", {})),
        (":<@relay.example:a@b.example> SIZE=9", Path("a@b.example", {"SIZE": "9"})),
        (':<"a>b <c"@d.example> SIZE=9', Path('"a>b <c"@d.example', {"SIZE": "9"})),
        (":<a b@c.example>", Path("a b@c.example", {})),
        (":<a@b.example> SMTPUTF8", Path("a@b.example", {"SMTPUTF8": ""})),
        (":\xa0<a@b.example>", Path("a@b.example", {})),
        (":<a@b.example\xa0>", Path("a@b.example\xa0", {})),  # part of the address: not another one
    ],
)
def test_the_address_is_behind_the_last_bracket(argument, path):
    assert parse_path(argument) == path


@each(
    "argument",
    [
        ":<a@b.example>,<c@d.example>",
        ":<a@b.example> <c@d.example>",
        ":a@b.example c@d.example",
        ":a@b.example, c@d.example",
        ":Ann <a@b.example>, Carl <c@d.example>",
        ":a@b.example <c@d.example>",
        ":<a@b.example>; c",
    ],
)
def test_an_address_beside_another_is_not_alone(argument):
    assert not parse_path(argument).is_alone


@given(st.binary(max_size=300))
def test_any_line_is_a_command_or_hostile(line):
    with contextlib.suppress(HostileInput):
        command = parse_command(line)
        assert command.verb in (*VERBS, "")
        path = parse_path(command.argument)
        assert "<" not in path.address
        assert ">" not in path.address or "<" not in command.argument


@pytest.mark.parametrize(
    ("argument", "chunk"), [(" 5 LAST", (5, True)), (" 0 last", (0, True)), (" 12", (12, False))]
)
def test_a_chunk_has_a_size(argument, chunk):
    assert parse_chunk(argument) == chunk


@each("argument", ["", " ", " -1", " x", " 5 FIRST", " 5 LAST x", " " + "9" * 40, " \u0663"])
def test_a_chunk_without_a_size_is_hostile(argument):
    with pytest.raises(HostileInput):
        parse_chunk(argument)


def test_a_proxy_line_names_the_client():
    assert parse_proxy(b"PROXY TCP4 192.0.2.1 198.51.100.1 5000 25") == "192.0.2.1"
    assert parse_proxy(b"PROXY TCP6 ::ffff:c000:201 ::1 5000 25") == "192.0.2.1"
    assert parse_proxy(b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 25") == "2001:db8::1"


@each(
    "line", [b"", b"PROXY UNKNOWN", b"EHLO x", b"PROXY TCP4 1 2 3", b"PROXY TCP4 nonsense 198.51.100.1 1 2"]
)
def test_anything_else_is_hostile(line):
    with pytest.raises(HostileInput):
        parse_proxy(line)
