"""Header values: what they say to mail programs."""

import pytest
from anymail.utils import parse_address_list
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import header_values
from anymail_postal.header_values import (
    Mailbox,
    decode_words,
    parse_addresses,
    parse_all_addresses,
    parse_parameterized,
    parse_transfer_encoding,
    plain,
)
from tests.each import each

EIGHT_BIT = "Gr\xfc\xdfe".encode("latin-1").decode("ascii", "surrogateescape")
UTF_8 = "Grüße".encode().decode("ascii", "surrogateescape")

WORDS = {
    "plain": ("Hello there", "Hello there"),
    "quoted-printable": ("=?utf-8?q?Gr=C3=BC=C3=9Fe_=3D?=", "Grüße ="),
    "base64": ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
    "base64 without its padding": ("=?utf-8?b?R3LDvMOfZQ?=", "Grüße"),
    "in a row": ("=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
    "in a row, other charsets": ("=?utf-8?q?=C3=BC?= =?iso-8859-1?q?=FC?=", "üü"),
    "a character cut in two": ("=?utf-8?q?=C3?= =?utf-8?b?vA==?=", "ü"),
    "beside words": ("Re: =?utf-8?q?=C3=BC?= and x", "Re: ü and x"),
    "within a word": ("x=?utf-8?q?=C3=BC?=y", "xüy"),
    "Windows's superset": ("=?iso-8859-1?q?5_=80?=", "5 €"),
    "label of no charset": ("=?x-no?q?=C3=BC?=", "ü"),
    "language": ("=?utf-8*de?q?=C3=BC?=", "ü"),
    "Japanese": ("=?iso-2022-jp?B?GyRCLSFIVhsoQg==?=", "①番"),
    "NUL": ("=?utf-8?q?a=00b?=", "ab"),
    "line break": ("=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"),
    "line separator": ("=?utf-8?q?a=E2=80=A8b?=", "a b"),
    "not closed": ("=?utf-8?q?abc", "=?utf-8?q?abc"),
    "not base64": ("=?utf-8?b?%%%?=", ""),
    "8 bits, UTF-8": (UTF_8, "Grüße"),
    "8 bits, windows-1252": (EIGHT_BIT, "Grüße"),
    "8 bits beside a word": (f"=?utf-8?q?=C3=BC?= {EIGHT_BIT}", "ü Grüße"),
}


@each("value, text", WORDS.values(), ids=WORDS)
def test_encoded_words_are_decoded(value, text):
    assert decode_words(value) == text


ADDRESSES = {
    "bare": ("a@b.example", [Mailbox("", "a", "b.example")]),
    "name": ("Ann Example <a@b.example>", [Mailbox("Ann Example", "a", "b.example")]),
    "quoted name": ('"Doe, J. \\"x\\"" <a@b.example>', [Mailbox('Doe, J. "x"', "a", "b.example")]),
    "long blanks": ("Ann      \r\n   Example <a@b.example>", [Mailbox("Ann Example", "a", "b.example")]),
    "encoded comma": ("=?utf-8?q?Doe=2C_J?= <a@b.example>", [Mailbox("Doe, J", "a", "b.example")]),
    "encoded name in quotes": ('"=?utf-8?q?J=C3=BC?=" <a@b.example>', [Mailbox("Jü", "a", "b.example")]),
    "encoded address within a name is no address": (
        "=?utf-8?q?boss=40b=2Eexample=2C?= <evil@y.example>",
        [Mailbox("boss@b.example,", "evil", "y.example")],
    ),
    "name is an address": ("a@b.example <c@d.example>", [Mailbox("a@b.example", "c", "d.example")]),
    "comment": ("a@b.example (Ann (A) Example)", [Mailbox("Ann (A) Example", "a", "b.example")]),
    "several": ("a@b.example, Bo <c@d.example>,e@f.example", [
        Mailbox("", "a", "b.example"), Mailbox("Bo", "c", "d.example"), Mailbox("", "e", "f.example"),
    ]),
    "semicolons, as of Outlook": ("a@b.example; c@d.example", [
        Mailbox("", "a", "b.example"), Mailbox("", "c", "d.example"),
    ]),
    "group": ("Team: a@b.example, C <c@d.example>;", [
        Mailbox("", "a", "b.example"), Mailbox("C", "c", "d.example"),
    ]),
    "empty group": ("undisclosed-recipients:;", []),
    "route": ("<@x.example,@y.example:a@b.example>", [Mailbox("", "a", "b.example")]),
    "quoted local part": ('"a b"@c.example', [Mailbox("", "a b", "c.example")]),
    "address literal": ("a@[IPv6:2001:db8::1]", [Mailbox("", "a", "[IPv6:2001:db8::1]")]),
    "blanks around dots": ("a . b @ c . example", [Mailbox("", "a.b", "c.example")]),
    "dots as some have them": ("a..b.@c.example", [Mailbox("", "a..b.", "c.example")]),
    "Unicode": (f"{UTF_8}@b.example", [Mailbox("", "Grüße", "b.example")]),
    "8-bit name": (f"{EIGHT_BIT} <a@b.example>", [Mailbox("Grüße", "a", "b.example")]),
    "quote that never ends": ('Bob "The <b@c.example>', [Mailbox("Bob The", "b", "c.example")]),
    "bracket in a name": ("[List] Ann <a@b.example>", [Mailbox("[List] Ann", "a", "b.example")]),
    "no address": ("Ann, bad, <>, @, a@, @b", []),
    "words behind an address": ("a@b.example is mine", []),
    "NUL": ("a\0@b.example", [Mailbox("", "a", "b.example")]),
    "empty": ("", []),
}  # fmt: skip


@each("value, mailboxes", ADDRESSES.values(), ids=ADDRESSES)
def test_addresses(value, mailboxes):
    assert parse_addresses(value) == mailboxes


word = st.text("abcé.-_", min_size=1, max_size=6).filter(lambda text: text.strip("."))
name = st.lists(word, min_size=1, max_size=3).map(" ".join) | st.text('ab ,;:"\\()<>@').map(
    lambda text: '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
)
local_part = st.from_regex(r"[a-z0-9+_-]{1,6}(\.[a-z0-9]{1,4}){0,2}", fullmatch=True)
domain = st.from_regex(r"[a-z0-9]{1,6}(\.[a-z0-9]{1,4}){0,2}", fullmatch=True)
well_formed = st.builds("{}@{}".format, local_part, domain) | st.builds(
    "{} <{}@{}>".format, name, local_part, domain
)


@given(st.lists(well_formed, min_size=1, max_size=4).map(", ".join))
def test_well_formed_addresses_are_read_as_anymail_reads_them(value):
    wanted = [(each.display_name.strip(), each.addr_spec) for each in parse_address_list([value])]
    for parse in (parse_addresses, parse_all_addresses):
        found = [
            (" ".join(each.name.split(" ")), f"{each.local_part}@{each.domain}") for each in parse(value)
        ]
        assert found == wanted


@each("value", ["a@b.example, bad", "Ann", "<>", "a b@c.example", '"x"', "a" * 2000 + " b" * 1000])
def test_a_list_with_something_that_is_no_address_is_refused_as_a_whole(value):
    with pytest.raises(ValueError, match="ddress"):
        parse_all_addresses(value)


def test_a_list_may_be_long():
    value = ", ".join(f"Ann Example <a{number}@b.example>" for number in range(20_000))
    assert len(parse_all_addresses(value)) == 20_000
    assert len(parse_addresses(value)) > 1000


ENCODINGS = {
    "base64": "base64", " BASE64 ": "base64", "base64;": "base64", "base64 (by hand)": "base64",
    "(by hand) base64": "base64", "base64(x)": "base64", '"base64"': "base64", "base64; x=y": "base64",
    "base64, x": "base64", "quoted-printable;": "quoted-printable",
    "Quoted-Printable\r\n (a (b) c)": "quoted-printable",
    "8bit;": "8bit", "": "", "\xe9": "", ";": "",
}  # fmt: skip


@each("value, encoding", ENCODINGS.items())
def test_transfer_encoding_whatever_stands_around_it(value, encoding):
    assert parse_transfer_encoding(value) == encoding


def test_file_name_in_many_pieces():
    pieces = "".join(
        f"; filename*{number}*={'utf-8' + chr(39) * 2 if not number else ''}%C3%BC" for number in range(120)
    )
    assert parse_parameterized(f"attachment{pieces}").parameters == {"filename": "ü" * 120}


@each("boundary", ["=_?=", "=?utf-8?q?x?=", "a'b", "--", "a b", "x" * 70])
def test_boundary_is_compared_as_it_is(boundary):
    assert parse_parameterized(f'multipart/mixed; boundary="{boundary}"').parameters["boundary"] == boundary


anything = (
    st.text()
    | st.binary().map(lambda raw: raw.decode("ascii", "surrogateescape"))
    | st.text(st.sampled_from("\"\\()<>@,;:=?*' \r\n\0ab\udc80\ud800"))
)


@given(anything)
def test_no_value_raises_and_all_text_is_storable(value):
    parameterized = parse_parameterized(value)
    texts = [plain(value), decode_words(value), parse_transfer_encoding(value), parameterized.word]
    texts += [*parameterized.parameters, *parameterized.parameters.values()]
    texts += [text for box in parse_addresses(value) for text in (box.name, box.local_part, box.domain)]
    for text in texts:
        text.encode()
        assert not set("\0\r\n") & set(text)


def test_only_the_beginning_of_a_hostile_value_is_read():
    value = "a/b" + "; x=1" * header_values.MAX_PARAMETERIZED + "; charset=utf-8"
    assert parse_parameterized(value).parameters == {"x": "1"}
