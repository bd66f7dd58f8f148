from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.errors import HostileInput
from postal_server.mail.mta_sts import MAX_AGE, Mode, Policy, parse_policy, policy_url, record_id
from tests.each import each

POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mail.dest.example\r\nmx: *.dest.net\r\nmax_age: 604800\r\n"


@each(
    "records, number",
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1; x=y; id=1; z=1"], "1"),
        (["v=spf1 -all", "v=STSv1; id=7"], "7"),
        ([], None),
        (["v=spf1 -all"], None),
        (["v=STSv1; id=1", "v=STSv1; id=2"], None),
        (["v=STSv1;"], None),
        (["v=STSv1; id=not-alphanumeric"], None),
        (["v=STSv1; id=" + "1" * 33], None),
        (["v=STSv2; id=1"], None),
        (["v=STSv11; id=1"], None),
    ],
)
def test_the_id_of_the_one_record(records, number):
    assert record_id(records) == number


def test_a_policy():
    policy = parse_policy(POLICY)
    assert policy == Policy(Mode.ENFORCE, ("mail.dest.example", "*.dest.net"), 604800)


@each(
    "text, policy",
    [
        (POLICY.replace(b"\r\n", b"\n"), parse_policy(POLICY)),
        (POLICY + b"future: x\n", parse_policy(POLICY)),
        (POLICY.replace(b": ", b":"), parse_policy(POLICY)),
        (POLICY + b"mode: none\n", parse_policy(POLICY)),
        (b"version: STSv1\nmode: none\nmax_age: 1\n", Policy(Mode.NONE, (), 1)),
        (
            b"version: STSv1\nmode: testing\nmx: A.Example\nmax_age: 9999999999\n",
            Policy(Mode.TESTING, ("a.example",), MAX_AGE),
        ),
    ],
    ids=["LF", "unknown field", "no blanks", "the first mode counts", "none needs no hosts", "longest age"],
)
def test_ways_to_write_a_policy(text, policy):
    assert parse_policy(text) == policy


@each(
    "old, new",
    [
        (b"STSv1", b"STSv2"),
        (b"version: STSv1", b""),
        (b"enforce", b"insist"),
        (b"mode: enforce", b""),
        (b"604800", b"-1"),
        (b"604800", b"12345678901"),
        (b"max_age: 604800", b""),
        (b"mx: mail.dest.example\r\nmx: *.dest.net", b""),
        (b"*.dest.net", b"mail.*.net"),
        (b"*.dest.net", b"*"),
        (b"mail.dest.example", b"mail dest example"),
        (POLICY, b""),
        (POLICY, b"<html>"),
        (POLICY, POLICY + b"mx: a.example\r\n" * 200),
        (POLICY, POLICY + b"x" * 70_000),
    ],
)
def test_what_is_no_policy_is_refused(old, new):
    with pytest.raises(HostileInput):
        parse_policy(POLICY.replace(old, new))


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: POLICY + text.encode()))
def test_any_bytes_are_a_policy_or_one_exception(text):
    with contextlib.suppress(HostileInput):
        assert parse_policy(text).max_age <= MAX_AGE


@each(
    "host, is_permitted",
    [
        ("mail.dest.example", True),
        ("MAIL.dest.example.", True),
        ("other.dest.example", False),
        ("mx1.dest.net", True),
        ("dest.net", False),
        ("a.mx1.dest.net", False),
        (".dest.net", False),
        ("mail.dest.example.evil.example", False),
    ],
)
def test_a_host_is_one_of_the_patterns(host, is_permitted):
    assert parse_policy(POLICY).permits(host) is is_permitted


def test_where_the_policy_is():
    assert policy_url("dest.example") == "https://mta-sts.dest.example/.well-known/mta-sts.txt"
