import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.address import (
    Mailbox,
    bare_address,
    domain_to_ascii,
    is_plausible_recipient,
    literal_address,
    parse_address_list,
    parse_mailboxes,
    split_address,
    split_tag,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a@b.example", "a@b.example"),
        ("Name <a@b.example>", "a@b.example"),
        ("<ceo@bank.example>, <x@example.test>", "x@example.test"),
        ("a@b.example (a comment) ", "a@b.example"),
        ("(one)a(two)@b.example", "a@b.example"),
        ("Name <>", ""),
        ("<a@b.example> trailing > more", "a@b.example"),
        ("a@b.example (never closed", "a@b.example (never closed"),
        ("  foo ", "foo"),
        ("", ""),
    ],
)
def test_bare_address_follows_postals_rule(text, address):
    assert bare_address(text) == address


def test_addresses_and_tags_split_at_the_first_separator():
    assert split_address("a@b@c.example") == ("a", "b@c.example")
    assert split_address("foo") == ("foo", "")
    assert split_tag("in+x+y") == ("in", "x+y")
    assert split_tag("in+") == ("in", "")
    assert split_tag("in") == ("in", None)


@pytest.mark.parametrize(
    ("domain", "ascii_domain"),
    [
        ("Dest.Example", "dest.example"),
        ("dest.example.", "dest.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("STRASSE.example", "strasse.example"),
        ("faß.example", "xn--fa-hia.example"),  # IDNA 2008 keeps it, 2003 said fass
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("under_score.example", "under_score.example"),
    ],
)
def test_domains_as_dns_knows_them(domain, ascii_domain):
    assert domain_to_ascii(domain) == ascii_domain


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "a..b",
        "-a.example",
        "a-.example",
        "a b",
        "dest.example>",
        "[192.0.2.1]",
        "a" * 64,
        "ü" * 300,
        "a..",
    ],
)
def test_what_is_no_domain_is_refused(domain):
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is the contract
        domain_to_ascii(domain)


@given(st.text(max_size=80))
def test_domain_to_ascii_raises_nothing_but_value_error(text):
    with contextlib.suppress(ValueError):
        assert domain_to_ascii(text).isascii()


@pytest.mark.parametrize(
    ("domain", "address"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[999.0.0.1]", None),
        ("[ipv6:x]", None),
        ("192.0.2.1", None),
    ],
)
def test_address_literals(domain, address):
    assert literal_address(domain) == address


@pytest.mark.parametrize(
    ("address", "plausible"),
    [
        ("a@b.example", True),
        ("a+tag@b", True),
        ("ö@bücher.example", True),
        ("a@[192.0.2.1]", True),
        ("foo", False),
        ("", False),
        ("@b.example", False),
        ("a@", False),
        ("a b@c.example", False),
        ("a@b.example\r\nRCPT TO:<x@y>", False),
        ("Name <a@b.example>", False),
        ("a@b..example", False),
        ("a" * 250 + "@b.example", False),
    ],
)
def test_plausible_recipients(address, plausible):
    assert is_plausible_recipient(address) is plausible


@pytest.mark.parametrize(
    ("text", "mailboxes"),
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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("Org <sender@example.test>", ["sender@example.test"]),
        ("<ceo@bank.example>, <x@example.test>", ["ceo@bank.example", "x@example.test"]),
        ("<ceo@bank.example> <x@example.test>", ["ceo@bank.example", "x@example.test"]),
        ("ceo@bank.example, Me <x@example.test>", ["ceo@bank.example", "x@example.test"]),
        ("Bob, Jr. <x@example.test>", ["x@example.test"]),
        ('"ceo@bank.example" <x@example.test>', ["x@example.test"]),
        ("x@example.test (ceo@bank.example)", ["x@example.test"]),
        ('"unclosed, ceo@bank.example, <x@example.test>', ["ceo@bank.example", "x@example.test"]),
        ("(unclosed <ceo@bank.example>, x@example.test", ["ceo@bank.example", "x@example.test"]),
        ("group: ceo@bank.example; x@example.test", ["ceo@bank.example", "x@example.test"]),
        ("<x@example.test", ["x@example.test"]),
        ("<>", [""]),
        ("nobody", []),
        ("", []),
        ("a@b.example," * 20_000, []),
    ],
)
def test_every_address_of_a_from_header_counts(text, addresses):
    assert parse_address_list(text) == addresses


@given(st.text(alphabet=st.sampled_from('ab@.<>,;:"\\()[] \t\r\nü'), max_size=60))
def test_parsers_raise_nothing_else_and_terminate(text):
    parse_address_list(text)
    bare_address(text)
    is_plausible_recipient(text)
    with contextlib.suppress(ValueError):
        parse_mailboxes(text)


@pytest.mark.parametrize("char", ['"', "(", ")", "[", "<", "\\", '"\\', "(\\", "@", ",", " ", "a ", ":"])
def test_a_flood_is_read_in_linear_time(char):
    flood = char * (100_000 // len(char))
    start = time.process_time()
    parse_address_list(flood)
    bare_address(flood)
    assert time.process_time() - start < 2
