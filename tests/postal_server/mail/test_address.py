import contextlib
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.address import (
    as_stored,
    bare_address,
    domain_key,
    domain_to_ascii,
    envelope_address,
    is_plausible_recipient,
    literal_address,
    split_address,
    split_tag,
    suppression_key,
    unquoted,
)
from tests.each import each


@each(
    "text, address",
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


def test_an_address_splits_at_its_last_at_sign_and_a_tag_at_the_first_plus():
    assert split_address('"a@b"@c.example') == ('"a@b"', "c.example")
    assert split_address("foo") == ("foo", "")
    assert split_tag("in+x+y") == ("in", "x+y")
    assert split_tag("in+") == ("in", "")
    assert split_tag("in") == ("in", None)


@each(
    "domain, ascii_domain",
    [
        ("Dest.Example", "dest.example"),
        ("dest.example.", "dest.example"),
        ("dest。example．", "dest.example"),
        ("ＤＥＳＴ.example", "dest.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("STRASSE.example", "strasse.example"),
        ("faß.example", "xn--fa-hia.example"),  # IDNA 2008 keeps it, 2003 said fass
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("under_score.example", "under_score.example"),
    ],
)
def test_domains_as_dns_knows_them(domain, ascii_domain):
    assert domain_to_ascii(domain) == ascii_domain


@each(
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


@each(
    "domain, address",
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


@each(
    "address, plausible",
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
        ('"a b"@c.example', True),
        ('"a@b"@c.example', True),
        ("a@b@c.example", False),
        ('"a"b@c.example', False),
        ("john..doe@c.example", True),
        ("a@b.example\r\nRCPT TO:<x@y>", False),
        ("Name <a@b.example>", False),
        ("a@b..example", False),
        ("a" * 250 + "@b.example", False),
    ],
)
def test_plausible_recipients(address, plausible):
    assert is_plausible_recipient(address) is plausible


SPELLINGS = [
    ("a@b.example", "a@b.example"),
    ("A.B+c@Dest.Example", "A.B+c@Dest.Example"),
    (" a@b.example ", "a@b.example"),
    ("@relay.example:a@b.example", "a@b.example"),
    ("@one.example,@[192.0.2.1]:a@b.example", "a@b.example"),
    ("a@b.example.", "a@b.example"),
    ("a@bücher.example", "a@xn--bcher-kva.example"),
    ("a@BÜCHER。Example。", "a@xn--bcher-kva.example"),
    ("a@straße.example", "a@xn--strae-oqa.example"),
    ("ö@b.example", "ö@b.example"),
    ('"john"@b.example', "john@b.example"),
    ('"john.doe"@b.example', "john.doe@b.example"),
    (r'"jo\hn"@b.example', "john@b.example"),
    ('"a@b"@c.example', '"a@b"@c.example'),
    ('"a<b>c"@d.example', '"a<b>c"@d.example'),
    ('"a(b)"@c.example', '"a(b)"@c.example'),
    ('"john doe"@b.example', '"john doe"@b.example'),
    ('"john..doe"@b.example', '"john..doe"@b.example'),
    (r'"a\"b"@c.example', r'"a\"b"@c.example'),
    ("a@[192.0.2.1]", "a@[192.0.2.1]"),
]


@each("text, address", SPELLINGS)
def test_an_envelope_address_has_one_spelling(text, address):
    assert envelope_address(text) == address
    assert envelope_address(address) == address
    assert as_stored(text) == address


@each(
    "text",
    [
        "",
        "foo",
        "@b.example",
        "a@",
        "a@b@c.example",
        "a@b..example",
        "a@b.example..",
        "@relay.example a@b.example",
        "@relay.example:",
        "@:a@b.example",
        "a b@c.example",
        "a\u00a0b@c.example",
        "a@b.example\u2003",
        "a,b@c.example",
        '"open@b.example',
        '"a"b"@c.example',
        '"a\x00b"@c.example',
        "a@-b.example",
        "a@b_\u200d.example",
        "a@\U0001f600.example",
        "a" * 250 + "@b.example",
        "a@" + "b" * 64 + ".example",
    ],
)
def test_what_no_server_takes_is_no_envelope_address(text):
    with pytest.raises(ValueError):  # noqa: PT011
        envelope_address(text)
    assert as_stored(text) == text
    assert not is_plausible_recipient(text)


@given(st.text(alphabet=st.sampled_from('abÄ@."\\<>(), :;[]'), max_size=40))
def test_an_envelope_address_is_stable_and_means_the_same_mailbox(text):
    with contextlib.suppress(ValueError):
        address = envelope_address(text)
        assert envelope_address(address) == address
        assert suppression_key(address) == suppression_key(text)
        assert unquoted(split_address(address)[0]) == unquoted(
            split_address(text.strip())[0].rpartition(":")[2]
        )


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_any_text_can_be_a_quoted_local_part(name):
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    local, domain = split_address(envelope_address(f"{quoted}@b.example"))
    assert (unquoted(local), domain) == (name, "b.example")


@each(
    "spelling",
    [
        "Josè@bücher.example",
        "JOSÈ@BÜCHER.example",
        '"josè"@xn--bcher-kva.example.',
        "@relay.example:jose\u0300@XN--BCHER-KVA.example",
    ],
)
def test_one_mailbox_has_one_key_however_it_is_written(spelling):
    assert suppression_key(spelling) == "josè@xn--bcher-kva.example"


def test_other_mailboxes_have_other_keys():
    others = [
        "jo.hn@b.example",
        "john@b.example",
        "john+x@b.example",
        "john@a.b.example",
        '"jo@hn"@b.example',
    ]
    assert len({suppression_key(other) for other in others}) == len(others)
    assert suppression_key("Foo") == "foo"


def test_domains_are_compared_as_dns_has_them():
    assert domain_key("BÜCHER.example.") == domain_key("xn--bcher-kva.EXAMPLE") == "xn--bcher-kva.example"
    assert domain_key("[IPv6:2001:DB8:0::1]") == domain_key("[ipv6:2001:db8::1]")
    assert domain_key("Not a domain") == "not a domain"


@pytest.mark.parametrize(
    "flood", ['"' * 100_000, '\\"' * 50_000, "@a:" * 30_000, "@a," * 30_000, "ü" * 100_000]
)
def test_a_flood_is_judged_in_linear_time(flood):
    start = time.process_time()
    bare_address(flood)
    is_plausible_recipient(flood)
    is_plausible_recipient(flood + "@b.example")
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("key", [suppression_key, domain_key])
def test_keys_of_long_text_fill_no_memory(key):
    """A report may have megabytes in place of an address; kept are only texts that can be one."""
    tracemalloc.start()
    for number in range(20):
        text = f"{number}@" + "X" * 100_000
        assert key(text) == text.lower()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 1_000_000
