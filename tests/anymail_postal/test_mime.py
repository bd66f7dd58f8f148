"""Raw mail: the standard library's parser reads back what was put in, and the bytes are safe to relay."""

import email
import email.policy
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import mime
from anymail_postal.errors import PostalHeaderError
from anymail_postal.mime import File, Mail, Mailbox
from tests.each import each

ANN = Mailbox("Ann", "ann@example.test")
BOB = Mailbox("", "bob@example.test")
MAIL = Mail(
    from_=[ANN],
    to=[BOB],
    message_id="id@example.test",
    date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
    subject="Hello",
    text="Hello\n",
)
PNG = File("dot.png", "image/png", b"\x89PNG\r\n\x1a\n\x00", "dot@inline")
PDF = File("a.pdf", "application/pdf", b"%PDF\n\r\xff")


def read(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)  # type: ignore[return-value]


def composed(**fields: object) -> EmailMessage:
    return read(mime.compose(replace(MAIL, **fields), "0a1b"))


def structure(message: EmailMessage) -> object:
    """The MIME types as nested tuples."""
    kind = message.get_content_type()
    return (
        (kind, *map(structure, message.iter_parts()))
        if message.is_multipart() and kind != "message/rfc822"
        else kind
    )


def header_block(raw: bytes) -> str:
    return raw.partition(b"\r\n\r\n")[0].decode("ascii")


def assert_relayable(raw: bytes) -> None:
    """7-bit, CRLF only, no line over 998 characters."""
    assert raw.isascii()
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\x00" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998


# --- structure ---


@each(
    "fields, expected",
    [
        ({}, "text/plain"),
        ({"text": None, "html": "<p>x"}, "text/html"),
        ({"text": None}, "text/plain"),
        ({"html": "<p>x"}, ("multipart/alternative", "text/plain", "text/html")),
        (
            {"html": "<img>", "inline": [PNG]},
            ("multipart/alternative", "text/plain", ("multipart/related", "text/html", "image/png")),
        ),
        ({"text": None, "html": "<img>", "inline": [PNG]}, ("multipart/related", "text/html", "image/png")),
        ({"inline": [PNG]}, ("multipart/mixed", "text/plain", "image/png")),
        ({"attachments": [PDF]}, ("multipart/mixed", "text/plain", "application/pdf")),
        ({"text": None, "attachments": [PDF]}, ("multipart/mixed", "application/pdf")),
        (
            {
                "html": "<p>x",
                "alternatives": [
                    ("text/calendar; method=REPLY", "BEGIN:VCALENDAR"),
                    ("text/x-amp-html", "<html amp4email>"),
                    ("text/watch-html", "<b>w</b>"),
                ],
                "inline": [PNG],
                "attachments": [PDF],
            },
            (
                "multipart/mixed",
                (
                    "multipart/alternative",
                    "text/plain",
                    "text/watch-html",
                    "text/x-amp-html",
                    ("multipart/related", "text/html", "image/png"),
                    "text/calendar",
                ),
                "application/pdf",
            ),
        ),
    ],
    ids=[
        "text", "html", "nothing", "both", "both-inline", "html-inline", "inline-without-html", "attachment",
        "only-attachment", "all",
    ],
)  # fmt: skip
def test_the_structure_is_the_simplest_that_holds_the_contents(
    fields: dict[str, object], expected: object
) -> None:
    raw = mime.compose(replace(MAIL, **fields), "0a1b")
    assert structure(read(raw)) == expected
    assert not read(raw).defects
    assert_relayable(raw)


def test_the_root_of_related_is_named() -> None:
    related = composed(text=None, html="<img>", inline=[PNG])
    assert related.get_param("type") == "text/html"
    image = list(related.iter_parts())[1]
    assert image["Content-ID"] == "<dot@inline>"
    assert image.get_content_disposition() == "inline"
    assert image.get_filename() == "dot.png"
    assert image.get_content() == PNG.content


@each(
    "content_type, text, parameters",
    [
        ("text/calendar", "BEGIN:VCALENDAR\r\nMETHOD:request\r\nEND:VCALENDAR", {"method": "REQUEST"}),
        ("text/calendar; method=CANCEL", "METHOD:REQUEST\n", {"method": "CANCEL"}),
        ("text/calendar; charset=latin-1", "X:é", {}),
        ("text/x-amp-html", "METHOD:REQUEST\n", {}),
    ],
    ids=["method-from-the-text", "method-given", "always-utf-8", "only-in-calendars"],
)
def test_parameters_of_alternatives(content_type: str, text: str, parameters: dict[str, str]) -> None:
    part = list(composed(alternatives=[(content_type, text)]).iter_parts())[-1]
    assert dict(part["Content-Type"].params) == {"charset": "utf-8", **parameters}


# --- text ---


@each(
    "text, encoding",
    [
        ("plain\n", "7bit"),
        ("a" * 996 + "\n", "7bit"),
        ("a" * 997 + "\n", "quoted-printable"),
        ("x\n" * 600 + "a" * 997, "quoted-printable"),
        ("mostly ASCII, but é", "quoted-printable"),
        ("ÄÖÜ", "base64"),
        ("bell \a and more", "quoted-printable"),
        ("\x00", "base64"),
        ("", "7bit"),
    ],
    ids=["ascii", "longest-line", "long-line", "long-last-line", "some", "all", "control", "null", "empty"],
)
def test_text_has_the_shortest_encoding_that_is_7_bit(text: str, encoding: str) -> None:
    raw = mime.compose(replace(MAIL, text=text), "0a1b")
    assert f"Content-Transfer-Encoding: {encoding}\r\n" in header_block(raw) + "\r\n"
    assert read(raw).get_payload(decode=True).decode() == text.replace("\n", "\r\n")  # type: ignore[union-attr]
    assert_relayable(raw)


@given(st.text(max_size=3000))
def test_any_text_comes_back(text: str) -> None:
    raw = mime.compose(replace(MAIL, text=text, html=text), "0a1b")
    assert_relayable(raw)
    wanted = re.sub("\r\n|\r|\n", "\r\n", text.encode("utf-8", "replace").decode())
    parts = [part.get_payload(decode=True).decode() for part in read(raw).iter_parts()]
    # The parser takes the line end before a boundary for its own.
    assert [part.removesuffix("\r\n") for part in parts] == [wanted.removesuffix("\r\n")] * 2


# --- headers ---


@each(
    "value, written",
    [
        ("short", "X-A: short"),
        ("  blanks around\t", "X-A: blanks around"),
        ("", "X-A: "),
        ("word " * 30, "X-A: " + "word " * 13 + "word\r\n " + "word " * 14 + "word\r\n word"),
        ("Grüße", "X-A: =?utf-8?b?R3LDvMOfZQ==?="),
        ("Grüße an alle", "X-A: =?utf-8?b?R3LDvMOfZQ==?= an alle"),
        ("Grüße für alle", "X-A: =?utf-8?b?R3LDvMOfZSBmw7xy?= alle"),
        ("=?utf-8?q?x?=", "X-A: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?="),
        ("<https://example.test/" + "u" * 900 + ">", "X-A: <https://example.test/" + "u" * 900 + ">"),
        ("see <https://a.test/" + "u" * 90 + ">", "X-A: see\r\n <https://a.test/" + "u" * 90 + ">"),
        ("w" * 996, "X-A:\r\n " + "w" * 996),
    ],
    ids=[
        "short", "stripped", "empty", "folded", "encoded", "encoded-word", "neighbours", "lookalike",
        "long-url", "fold-before-url", "longest",
    ],
)  # fmt: skip
def test_headers_are_folded_at_blanks_and_encoded_by_word(value: str, written: str) -> None:
    assert mime.header("X-A", value) == written


@each("blanks", [61, 200, 997, 1200, 5000])
@each("words", ["a{}b", "ü{}b", "a{}ü", "a{}b c{}d"])
def test_long_blanks_between_words_come_back(words: str, blanks: int) -> None:
    value = words.replace("{}", " " * blanks)
    line = mime.header("Subject", value)
    assert all(len(each) <= 998 and each.strip() for each in line.split("\r\n"))
    parsed = email.message_from_string(line + "\r\n\r\n", policy=email.policy.compat32)["Subject"]
    assert str(make_header(decode_header(re.sub("\r\n", "", parsed)))) == value


LONG_NAMES = {
    "one word": "n" * 1000,
    "words": "Ann " * 400 + "Example",
    "blanks": "Ann" + " " * 1200 + "Example",
    "blanks and a comma": "Ann," + " " * 990 + "Example",
    "not in ASCII": "Jürgen " * 200 + "Müller",
    "quotes": '"' * 600,
}


@each("name", LONG_NAMES.values(), ids=LONG_NAMES)
def test_names_longer_than_a_line_come_back(name: str) -> None:
    boxes = [Mailbox("Ann", "a@example.test"), Mailbox(name, "b@example.test"), Mailbox("", "c@example.test")]
    line = mime.mailboxes("To", boxes)
    assert all(len(each) <= 998 and each.strip() for each in line.split("\r\n"))
    parsed = email.message_from_string(line + "\r\n\r\n", policy=email.policy.compat32)["To"]
    found = email.utils.getaddresses([parsed.replace("\r\n", "")])
    assert [address for _, address in found] == [box.address for box in boxes]
    assert str(make_header(decode_header(found[1][0]))) == name


@each("local_part", ["jürgen", "用户", "δοκιμή", "jürgen.müller+x", "é" * 30])
def test_a_local_part_that_is_not_in_ascii_stands_as_it_is(local_part: str) -> None:
    """RFC 6532: there is no encoding for it."""
    address = f"{local_part}@example.test"
    raw = mime.compose(replace(MAIL, from_=[Mailbox("Jürgen", address)], to=[Mailbox("", address)]), "0a1b")
    found = email.message_from_string(raw.decode(), policy=email.policy.default)
    assert f"To: {address}\r\n".encode() in raw
    assert [each.addr_spec for each in found["To"].addresses] == [address]
    assert [(each.display_name, each.addr_spec) for each in found["From"].addresses] == [("Jürgen", address)]


values = st.text(max_size=300).filter(lambda text: not re.search("[\r\n]", text))


@given(values)
def test_any_header_value_comes_back(value: str) -> None:
    line = mime.header("X-A", value)
    assert all(len(each) <= 998 for each in line.split("\r\n"))
    assert line.isascii()
    assert not re.search(r"\r\n(?! |\t)", line)
    parsed = email.message_from_string(line + "\r\n\r\n", policy=email.policy.compat32)["X-A"]
    wanted = value.strip(" \t").encode("utf-8", "replace").decode()
    assert str(make_header(decode_header(re.sub("\r\n", "", parsed)))) == wanted


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_any_display_names_come_back(names: Sequence[str]) -> None:
    boxes = [Mailbox(name, f"u{index}@example.test") for index, name in enumerate(names)]
    try:
        line = mime.mailboxes("To", boxes)
    except PostalHeaderError:
        assert any(re.search("[\r\n]", name) for name in names)
        return
    assert line.isascii()
    parsed = email.message_from_string(line + "\r\n\r\n", policy=email.policy.compat32)["To"]
    found = email.utils.getaddresses([parsed.replace("\r\n", "")])
    assert [address for _, address in found] == [box.address for box in boxes]
    for (name, _), box in zip(found, boxes, strict=True):
        wanted = box.name.encode("utf-8", "replace").decode()
        assert str(make_header(decode_header(name))) == wanted


@each(
    "name, written",
    [
        ("", "a@example.test"),
        ("Ann Example", "Ann Example <a@example.test>"),
        ("Example, Ann", '"Example, Ann" <a@example.test>'),
        ('Ann "A" \\ B', '"Ann \\"A\\" \\\\ B" <a@example.test>'),
        ("two  blanks", '"two  blanks" <a@example.test>'),
        ("Jürgen, Dr.", "=?utf-8?b?SsO8cmdlbiwgRHIu?= <a@example.test>"),
        ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <a@example.test>"),
    ],
    ids=["none", "plain", "comma", "quotes", "blanks", "unicode", "lookalike"],
)
def test_a_name_is_quoted_or_encoded_as_it_needs(name: str, written: str) -> None:
    assert mime.mailbox(Mailbox(name, "a@example.test")) == written


def test_long_names_with_commas_keep_their_quotes() -> None:
    """Python's own folding drops them, and Postal's parser refuses the address then."""
    name = "Department of Very Long Names, Section of Even Longer Names, Office of the Longest, Room 7"
    boxes = [Mailbox(name, f"office{index}@example.test") for index in range(3)]
    line = mime.mailboxes("To", boxes)
    assert line.count(f'"{name}"') == 3
    assert line.count("\r\n ") == 2


def test_long_urls_and_message_ids_are_not_encoded() -> None:
    """Python's own folding encodes them, which breaks one-click unsubscribing and threads."""
    url = "<https://example.test/unsubscribe/" + "0123456789abcdef" * 10 + ">"
    references = " ".join(f"<{index}{'r' * 90}@example.test>" for index in range(12))
    raw = mime.compose(replace(MAIL, headers=[("List-Unsubscribe", url), ("References", references)]), "0a1b")
    block = header_block(raw)
    assert f"List-Unsubscribe: {url}\r\n" in block
    assert block.partition("References: ")[2].replace("\r\n", "").startswith(references)
    assert "=?" not in block
    assert_relayable(raw)


def test_the_header_block_is_complete_and_in_order() -> None:
    raw = mime.compose(
        replace(
            MAIL,
            cc=[Mailbox("C", "c@example.test")],
            reply_to=[Mailbox("", "r@example.test"), Mailbox("", "s@example.test")],
            sender=Mailbox("S", "s@example.test"),
            headers=[("X-Custom", "1")],
        ),
        "0a1b",
    )
    assert header_block(raw) == (
        "Date: Fri, 02 Jan 2026 03:04:05 +0000\r\n"
        "From: Ann <ann@example.test>\r\n"
        "Sender: S <s@example.test>\r\n"
        "Reply-To: r@example.test, s@example.test\r\n"
        "To: bob@example.test\r\n"
        "Cc: C <c@example.test>\r\n"
        "Message-ID: <id@example.test>\r\n"
        "Subject: Hello\r\n"
        "X-Custom: 1\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 7bit"
    )


def test_several_authors_get_a_sender() -> None:
    message = composed(from_=[ANN, BOB])
    assert message["From"] == "Ann <ann@example.test>, bob@example.test"
    assert message["Sender"] == "Ann <ann@example.test>"


def test_a_spoofed_to_takes_the_place_of_the_recipients() -> None:
    assert composed(spoofed_to="Everybody <list@example.test>")["To"] == "Everybody <list@example.test>"


def test_a_given_date_is_kept() -> None:
    assert "Date: Mon, 1 Jan 2024 00:00:00 +0100\r\n" in header_block(
        mime.compose(replace(MAIL, date="Mon, 1 Jan 2024 00:00:00 +0100"), "0a1b")
    )


@each(
    "fields",
    [
        {"subject": "a\nBcc: x@example.test"},
        {"subject": "a\rb"},
        {"headers": [("X-A", "b\r\nX-Evil: 1")]},
        {"headers": [("X-A: b\r\nX-Evil", "1")]},
        {"headers": [("X A", "1")]},
        {"headers": [("X:A", "1")]},
        {"headers": [("", "1")]},
        {"headers": [("X-Ä", "1")]},
        {"headers": [("X-A", "w" * 997)]},
        {"to": [Mailbox("A\nB", "a@example.test")]},
        {"to": [Mailbox("", "a\0@example.test")]},
        {"to": [Mailbox("", "\ud800@example.test")]},
        {"to": [Mailbox("", "a" * 1000 + "@example.test")]},
        {"to": [Mailbox("", "a@example.test\r\nBcc: x@example.test")]},
        {"spoofed_to": "a\r\nBcc: x@example.test"},
        {"message_id": "a\r\nBcc: x"},
        {"date": "now\r\nBcc: x"},
        {"attachments": [File("a", "text/plain\r\nX: y", b"")]},
        {"inline": [File("a", "image/png", b"", "a\r\nX: y")]},
    ],
    ids=[
        "subject-lf", "subject-cr", "value", "name-break", "name-blank", "name-colon", "name-empty",
        "name-unicode", "long-word", "display-name", "nul", "surrogate", "long-address", "address", "to",
        "message-id", "date", "content-type", "content-id",
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(PostalHeaderError):
        mime.compose(replace(MAIL, **fields), "0a1b")


# --- files ---


@each(
    "name, written",
    [
        ("a b.txt", 'attachment;\r\n filename="a b.txt"'),
        ('q"\\.txt', 'attachment;\r\n filename="q\\"\\\\.txt"'),
        ("Übersicht.pdf", "attachment;\r\n filename*=utf-8''%C3%9Cbersicht.pdf"),
        ("", "attachment"),
    ],
    ids=["plain", "quoted", "unicode", "none"],
)
def test_file_names_are_quoted_or_percent_encoded(name: str, written: str) -> None:
    raw = mime.compose(replace(MAIL, attachments=[replace(PDF, name=name)]), "0a1b")
    assert f"Content-Disposition: {written}\r\n\r\n".encode() in raw


@given(st.text(min_size=1, max_size=300))
def test_any_file_name_comes_back(name: str) -> None:
    raw = mime.compose(replace(MAIL, attachments=[replace(PDF, name=name)]), "0a1b")
    assert_relayable(raw)
    attachment = list(email.message_from_bytes(raw).get_payload())[1]  # type: ignore[arg-type]
    # The parser strips blanks around it.
    assert attachment.get_filename() == name.encode("utf-8", "replace").decode().strip()


@given(st.binary(max_size=2000))
def test_files_are_exact_to_the_byte(content: bytes) -> None:
    raw = mime.compose(replace(MAIL, attachments=[replace(PDF, content=content)]), "0a1b")
    assert_relayable(raw)
    assert next(iter(read(raw).iter_attachments())).get_content() == content


@each(
    "content, kind, encoding",
    [
        (b"Subject: x\n\nHello\n", "message/rfc822", "7bit"),
        (b"Subject: x\r\n\r\nHello", "message/rfc822", "7bit"),
        (b"Subject: \xfc\r\n\r\nHello", "application/octet-stream", "base64"),
        (b"Subject: x\r\n\r\n" + b"w" * 1200, "application/octet-stream", "base64"),
    ],
    ids=["lf", "crlf", "8-bit", "long-line"],
)
def test_an_attached_mail_takes_no_encoding(content: bytes, kind: str, encoding: str) -> None:
    raw = mime.compose(replace(MAIL, attachments=[File("m.eml", "message/rfc822", content)]), "0a1b")
    assert_relayable(raw)
    attachment = next(iter(read(raw).iter_attachments()))
    assert (attachment.get_content_type(), attachment["Content-Transfer-Encoding"]) == (kind, encoding)
    if kind == "message/rfc822":
        assert attachment.get_content()["Subject"] == "x"
    else:
        assert attachment.get_content() == content


def test_text_files_keep_their_charset() -> None:
    latin = File("l.txt", 'text/plain; charset="iso-8859-1"', "é\n".encode("latin-1"))
    attachment = next(iter(composed(attachments=[latin]).iter_attachments()))
    assert attachment.get_payload(decode=True) == latin.content
    assert attachment.get_content_charset() == "iso-8859-1"
