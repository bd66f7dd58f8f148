import email
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.message import parts
from postal_server.mail.transfer import has_long_line
from postal_server.mail.transport_encoding import dot_stuff, has_8bit_header, repair_lines, to_7bit
from tests.each import each

UTF8 = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
EIGHT_BIT = UTF8 + b"Content-Transfer-Encoding: 8bit\r\nX-Last: 1\r\n\r\nw\xc3\xb6rds to everybody\r\n"


def leaves(raw):
    message = email.message_from_bytes(raw)
    return [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]


@pytest.mark.parametrize("raw", [b"Subject: x\r\n\r\nascii\nonly\r", b"", b"\r\n"])
def test_seven_bit_messages_come_back_untouched(raw):
    assert to_7bit(raw) is raw


def test_a_single_part_is_encoded_in_place():
    assert to_7bit(EIGHT_BIT) == (
        UTF8 + b"Content-Transfer-Encoding: quoted-printable\r\nX-Last: 1\r\n\r\nw=C3=B6rds to everybody\r\n"
    )


def test_undeclared_text_says_that_it_is_mime():
    assert to_7bit(b"Subject: x\r\n\r\n\xfc few\r\n") == (
        b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=FC few\r\n"
    )


def mixed(*entities, extra=b""):
    inner = b"".join(b"--b\r\n" + entity + b"\r\n" for entity in entities)
    return (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
        + extra
        + b"\r\n"
        + inner
        + b"--b--\r\n"
    )


def test_only_the_parts_that_need_it_are_changed():
    untouched = b"Content-Type:   text/plain\r\n\tformat=flowed\r\n\r\nplain  \r\n"
    binary = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n%PDF\xff\n\r\0"
    inner = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + EIGHT_BIT
    raw = mixed(untouched, binary, inner, extra=b"Content-Transfer-Encoding: 8bit\r\n")
    encoded = to_7bit(raw)
    assert encoded.isascii()
    assert untouched in encoded
    assert leaves(encoded) == leaves(raw)
    assert b"boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n" in encoded
    assert b"message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n" in encoded


def test_signed_parts_are_left_alone():
    raw = mixed(EIGHT_BIT, b"Content-Type: application/pgp-signature\r\n\r\nx").replace(b"/mixed", b"/signed")
    assert to_7bit(raw) == raw


def test_wrong_labels_are_seen_through():
    raw = UTF8 + b"Content-Transfer-Encoding: base64\r\n\r\nYWJj\xff\r\n"
    assert to_7bit(raw) == UTF8 + b"Content-Transfer-Encoding: 7bit\r\n\r\nabc"


def test_what_cannot_be_encoded_stays():
    raw = b"To: \xc3\xbc@b.example\r\n\r\nx"  # only SMTPUTF8 has such addresses
    assert to_7bit(raw) == raw
    raw = b"Content-Type: multipart/mixed\r\n\r\n\xff"
    assert to_7bit(raw) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"x " * 700 + b"\r\n" + mixed(b"Content-Type: text/plain\r\n\r\nx").partition(b"\r\n\r\n")[2],
        mixed(b"X-Long: " + b"y" * 1200 + b"\r\n\r\nx").partition(b"\r\n\r\n")[2],
    ],
    ids=["before the first part", "in the header of a part"],
)
def test_long_lines_around_parts_are_folded(raw):
    repaired = repair_lines(mixed().partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + raw)
    assert not has_long_line(repaired)
    assert leaves(repaired) == [b"x"]


def test_long_lines_of_signed_parts_are_folded():
    raw = mixed(b"Content-Type: text/plain\r\n\r\n" + b"y" * 1200).replace(b"/mixed", b"/signed")
    assert not has_long_line(repair_lines(raw))


@pytest.mark.parametrize(("raw", "eight_bit"), [(b"A: \xc3\xbc\r\n\r\n", True), (b"A: b\r\n\r\n\xff", False)])
def test_headers_that_need_smtputf8(raw, eight_bit):
    assert has_8bit_header(raw) is eight_bit


@each(
    "raw, repaired",
    [
        (b"A: 1\r\n\r\nb\r\n", b"A: 1\r\n\r\nb\r\n"),
        (b"A: 1\nB: 2\n\nb\n", b"A: 1\r\nB: 2\r\n\r\nb\r\n"),
        (b"A: 1\r\n\r\nb\rc\nd\r\n", b"A: 1\r\n\r\nb\r\nc\r\nd\r\n"),
        (b"Subject: a\rX-Evil: 1\r\n\r\n.\n.\r", b"Subject: a X-Evil: 1\r\n\r\n.\r\n.\r\n"),
    ],
)
def test_bare_line_ends_are_repaired(raw, repaired):
    assert repair_lines(raw) == repaired


def test_good_messages_come_back_untouched():
    raw = b"A: 1\r\n\r\n" + (b"x" * 998 + b"\r\n") * 3
    assert repair_lines(raw) is raw


@each(
    "header, body",
    [
        (b"Subject: x\r\n", b"z" * 3000 + b"\r\nshort\r\n"),
        (UTF8 + b"Content-Transfer-Encoding: 8bit\r\n", b"\xc3\xbc" * 3000 + b"\r\n"),
        (UTF8 + b"Content-Transfer-Encoding: quoted-printable\r\n", b"=C3=BC" * 3000 + b"\r\n"),
        (b"MIME-Version: 1.0\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n", b"QUJD" * 3000),
    ],
    ids=["undeclared", "8bit", "quoted-printable", "base64"],
)
def test_long_lines_are_encoded_away(header, body):
    raw = header + b"\r\n" + body
    repaired = repair_lines(raw)
    assert not has_long_line(repaired)
    assert leaves(repaired) == leaves(raw)


@each("value", [b"word " * 500, b"y" * 3000, b" " * 2000 + b"x", b"a," * 1000])
def test_long_header_lines_are_folded(value):
    repaired = repair_lines(b"References: " + value + b"\r\nTo: x\r\n\r\nbody\r\n")
    assert not has_long_line(repaired)
    assert repaired.endswith(b"\r\nTo: x\r\n\r\nbody\r\n")
    shown = "".join(parts(repaired).headers["references"][0].split())
    assert shown == "".join(value.decode().split())


@each(
    "raw, stuffed",
    [
        (b".\r\n..two\r\nend\r\n", b"..\r\n...two\r\nend\r\n"),
        (b"no end", b"no end\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n"),
        (b"", b"\r\n"),
    ],
)
def test_dots_are_doubled(raw, stuffed):
    assert dot_stuff(raw) == stuffed


@given(st.binary(max_size=300))
def test_any_message_can_be_sent(data):
    raw = b"Subject: x\r\n\r\n" + data
    sent = dot_stuff(to_7bit(repair_lines(raw)))
    assert sent.isascii()
    assert b"\r\n.\r\n" not in sent
    assert sent.count(b"\n") == sent.count(b"\r\n")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=2500))
def test_text_reads_the_same_after_both(text):
    raw = UTF8 + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + text.encode()
    assert parts(to_7bit(repair_lines(raw))).plain_body == text


@pytest.mark.parametrize("text", [b"a", b" ", b"a ", b"a\t"])
def test_a_line_of_many_megabytes_is_folded_in_linear_time(text):
    raw = b"X: " + text * (20_000_000 // len(text)) + b"\r\n\r\nHello\r\n"
    began = time.process_time()
    folded = repair_lines(raw)
    assert time.process_time() - began < 4
    assert all(len(line) <= 998 for line in folded.split(b"\r\n"))
    assert folded.replace(b"\r\n", b"").replace(b" ", b"") == raw.replace(b"\r\n", b"").replace(b" ", b"")
