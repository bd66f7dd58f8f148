import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.address_list import (
    Mailbox,
    Recipient,
    addresses_in,
    join_split_names,
    originators,
    parse_mailboxes,
    recipients_in,
)
from tests.each import each


@each(
    "text, mailboxes",
    [
        ("a@b.example", [Mailbox("", "a@b.example")]),
        ("Ann Müller <a@b.example>", [Mailbox("Ann Müller", "a@b.example")]),
        ('"Bob, Jr." <b@c.example>', [Mailbox("Bob, Jr.", "b@c.example")]),
        (r'"a \"b\" \\" <b@c.example>', [Mailbox(r'a "b" \\'[:-1], "b@c.example")]),
        ("Bob, Jr. <b@c.example>", [Mailbox("", "Bob"), Mailbox("Jr.", "b@c.example")]),
        ("<a@b.example>, <c@d.example>", [Mailbox("", "a@b.example"), Mailbox("", "c@d.example")]),
        ("a@b.example (x (y) z)", [Mailbox("", "a@b.example", ("x (y) z",))]),
        ("<@relay.example,@two.example:a@b.example>", [Mailbox("", "a@b.example")]),
        ("a . b @ c.example", [Mailbox("", "a.b@c.example")]),
        ('"a b"@c.example', [Mailbox("", '"a b"@c.example')]),
        ("a@[IPv6:2001:db8::1]", [Mailbox("", "a@[IPv6:2001:db8::1]")]),
        (
            "Team: a@b.example, C <c@d.example>;, e@f.example",
            [
                Mailbox("", "a@b.example", (), "Team"),
                Mailbox("C", "c@d.example", (), "Team"),
                Mailbox("", "e@f.example"),
            ],
        ),
        ("undisclosed-recipients:;", []),
        ("foo", [Mailbox("", "foo")]),
        (",, a@b.example,", [Mailbox("", "a@b.example")]),
        ("", []),
    ],
)
def test_address_lists_are_parsed(text, mailboxes):
    assert parse_mailboxes(text) == mailboxes


@each(
    "text",
    [
        "Name <>",
        "Ann a@b.example",
        "<a@b.example> <c@d.example>",
        "a@b.example <c@d.example>",
        '"open <a@b.example>',
        "open (comment <a@b.example>",
        "<a@b.example",
        "open group: a@b.example",
        "a@b.example>",
        "x" * 200_001,
    ],
)
def test_what_is_no_address_list_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011
        parse_mailboxes(text)


# Recipients


@each(
    "text, addresses",
    [
        ("a@b.example", ["a@b.example"]),
        ("Ann <a@b.example>, Bob <b@c.example>", ["a@b.example", "b@c.example"]),
        ("a@b.example,b@c.example", ["a@b.example", "b@c.example"]),
        ("Ann <a@b.example>; Bob <b@c.example>", ["a@b.example", "b@c.example"]),
        ("Team: a@b.example, b@c.example;", ["a@b.example", "b@c.example"]),
        ("undisclosed-recipients:;", []),
        ('"Doe, Jane" <j@b.example>', ["j@b.example"]),
        ("Doe, Jane <j@b.example>", ["j@b.example"]),
        ("Doe, Jane, PhD <j@b.example>, k@b.example", ["j@b.example", "k@b.example"]),
        ("j@b.example (Doe, Jane <x@y.example>)", ["j@b.example"]),
        ('"x@y.example," <j@b.example>', ["j@b.example"]),
        ('"a(b)"@c.example', ['"a(b)"@c.example']),
        ('"a<b"@c.example', ['"a<b"@c.example']),
        ('"a . b"@c.example', ['"a . b"@c.example']),
        ("< a . b @ (home) c.example >", ["a.b@c.example"]),
        ('"a, b@c.example"@d.example', ['"a, b@c.example"@d.example']),
        ("<@relay.example:a@b.example>", ["a@b.example"]),
        ("Ann <a@Bücher.example.>", ["a@xn--bcher-kva.example"]),
        ("=?utf-8?q?x=40y=2Eexample=2C?= <j@b.example>", ["j@b.example"]),
    ],
)
def test_everybody_whom_a_text_names_is_a_recipient(text, addresses):
    assert [recipient.address for recipient in recipients_in(text)] == addresses


@each(
    "text",
    [
        "foo",
        "a@b.example, foo",
        "Doe; <j@b.example>",
        "a@b.example b@c.example",
        "jane doe@b.example",
        "<jane doe@b.example>",
        "<jane\u00a0doe@b.example>",
        "jane(x)doe@b.example",
        "<jane(x)doe@b.example>",
        'jane "doe"@b.example',
        "jane@b .example.(x)org c",
        "Name <>",
        "a@b@c.example",
        "<a@b.example> <b@c.example>",
        "x@y.example <a@b.example>",
        "a@b..example",
        '"a@b.example',
        "Team: a@b.example",
        "x@y.example: a@b.example;",
        "<x@y.example>: a@b.example;",
        "One: Two: a@b.example;;",
    ],
)
def test_a_text_with_somebody_unclear_in_it_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        recipients_in(text)


NAMES = st.sampled_from(
    ["", "Ann", '"Doe, J."', '"x@y.example"', "Ann Müller", "(note, x@y.example)", "Doe, J"]
)
LOCALS = st.sampled_from(
    ["a", "a.b", "a+tag", '"a@b"', '"a, b"', '"a<b>"', r'"a\"b"', '"a(b)"', "ü", "o'brien"]
)
DOMAINS = st.sampled_from(["b.example", "B.example.", "bücher.example", "[192.0.2.1]"])


@given(st.lists(st.tuples(NAMES, LOCALS, DOMAINS), min_size=1, max_size=5), st.sampled_from([", ", ",", ";"]))
def test_a_list_has_as_many_recipients_as_it_has_mailboxes(mailboxes, comma):
    texts = [f"{name} <{local}@{domain}>" for name, local, domain in mailboxes]
    together = recipients_in(comma.join(texts))
    assert together == [recipient for text in texts for recipient in recipients_in(text)]
    assert len(together) == len(mailboxes)


def test_a_recipient_keeps_the_name_it_was_given():
    assert recipients_in("Ann <A@Bücher.example>") == [
        Recipient("A@Bücher.example", "A@xn--bcher-kva.example")
    ]


def test_words_join_the_name_behind_them_within_one_group_only():
    split = parse_mailboxes("Doe, Jane <j@b.example>, foo, Team: Bob <b@c.example>;")
    assert join_split_names(split) == [
        Mailbox("Doe, Jane", "j@b.example"),
        Mailbox("", "foo"),
        Mailbox("Bob", "b@c.example", (), "Team"),
    ]


# Authors


@each(
    "text, addresses",
    [
        ("x@mine.test", ["x@mine.test"]),
        ("Org 24 <sender@mine.test>", ["sender@mine.test"]),
        ("Org. <sender@mine.test>", ["sender@mine.test"]),
        ("<ceo@bank.test>, <x@mine.test>", ["ceo@bank.test", "x@mine.test"]),
        ("ceo@bank.test, Me <x@mine.test>", ["ceo@bank.test", "x@mine.test"]),
        ("Bob, Jr. <x@mine.test>", ["x@mine.test"]),
        ('"ceo@bank.test" <x@mine.test>', ["x@mine.test"]),
        ("group: ceo@bank.test, x@mine.test;", ["ceo@bank.test", "x@mine.test"]),
        ("x@mine.test (ceo@bank.test)", ["x@mine.test", "@bank.test"]),
        ("x@mine.test (Sales)", ["x@mine.test"]),
        ("=?utf-8?q?ceo=40bank=2Etest?= <x@mine.test>", ["x@mine.test", "@bank.test"]),
        ('"ceo@bank.test ü" <x@mine.test>', ["x@mine.test", "@bank.test"]),
        ("=?utf-8?q?M=C3=BCller_=40_Home?= <x@mine.test>", ["x@mine.test"]),
        ("", []),
    ],
)
def test_every_address_that_a_reader_may_take_for_the_author_counts(text, addresses):
    assert originators(text) == addresses


@each(
    "text",
    [
        "ceo@bank.test (<x@mine.test>",
        "ceo@bank.test <x@mine.test>",
        'ceo@bank.test "<x@mine.test>',
        "ceo@bank.test: x@mine.test;",
        '"ceo@bank.test": x@mine.test;',
        "<ceo@bank.test> <x@mine.test>",
        "<@bank.test:x@mine.test>",
        "< @bank.test:x@mine.test>",
        "ceo@bank.test@mine.test",
        "=?utf-8?q?ceo=40bank=2Etest=00?=@mine.test",
        "=?utf-8?q?ceo=40bank.test?=, x@mine.test",
        "ceo@bank.test\0 <x@mine.test>",
        "ceo@bank.test\r\n <x@mine.test>",
        '"unclosed, ceo@bank.test, <x@mine.test>',
        "group: x@mine.test",
        "<x@mine.test",
        "<>",
        "nobody",
        "x@mine.test," * 1000,
    ],
)
def test_an_author_that_readers_take_for_different_ones_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        originators(text)


@given(st.text(alphabet=st.sampled_from('ab@.<>,;:"\\()[] \t\r\nü=?'), max_size=60))
def test_parsers_raise_nothing_but_value_error(text):
    for parse in (originators, recipients_in, parse_mailboxes):
        with contextlib.suppress(ValueError):
            parse(text)


@pytest.mark.parametrize(
    "char", ['"', "(", ")", "[", "<", "\\", '"\\', "(\\", "@", ",", " ", "a ", ":", "a@b.example "]
)
def test_a_flood_is_read_in_linear_time(char):
    flood = char * (100_000 // len(char))
    start = time.process_time()
    for parse in (originators, recipients_in):
        with contextlib.suppress(ValueError):
            parse(flood)
    assert time.process_time() - start < 2


def test_addresses_in_what_may_be_no_list():
    assert addresses_in("Ann <a@x.example>, b@x.example") == ["a@x.example", "b@x.example"]
    assert addresses_in("a group: a@x.example") == []
