import base64
import email.message
import hashlib
from dataclasses import replace
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.message import parts
from postal_server.mail.mime import MAX_PARTS
from tests.each import each

from .recordings import expansions, inbound_payloads

RECORDED = list(expansions())
POSTED = list(inbound_payloads())


def mime_text(data):
    """Base64 as the API has it: lines of 60, the last one ended too."""
    text = base64.b64encode(data).decode()
    return "".join(text[i : i + 60] + "\n" for i in range(0, len(text), 60))


@each("name, raw, data", RECORDED, ids=itemgetter(0))
def test_recorded_messages_are_shown_as_postal_shows_them(name, raw, data):
    shown = parts(raw)
    assert (shown.plain_body, shown.html_body) == (data["plain_body"], data["html_body"])
    assert shown.headers == data["headers"]
    assert list(shown.headers) == list(data["headers"])
    assert [
        {
            "filename": attachment.filename,
            "content_type": attachment.content_type,
            "data": mime_text(attachment.data),
            "size": len(attachment.data),
            "hash": attachment.sha1,
        }
        for attachment in shown.attachments
    ] == data["attachments"]


@each("name, raw, payload, is_form", POSTED, ids=itemgetter(0, 3))
def test_incoming_mail_is_shown_as_postal_posts_it(name, raw, payload, is_form):
    shown = parts(raw)
    missing = "" if is_form else None
    if name.startswith("body-latin1-undeclared"):
        payload["plain_body"] = "Grüße\r\n"  # Postal posts bytes that are no text; see deviations.json
    if name.startswith("nested-multipart"):
        shown = replace(shown, attachments=without_picture(shown.attachments))

    def last(header):
        return shown.headers.get(header, [missing])[-1]

    if "replies_from_plain_body" not in payload:
        assert (shown.plain_body or missing) == payload["plain_body"]
    assert (shown.html_body or missing) == payload["html_body"]
    for key in ("to", "cc", "from", "date", "in_reply_to", "references", "auto_submitted"):
        assert last(key.replace("_", "-")) == payload[key]
    assert payload["attachment_quantity"] in (len(shown.attachments), str(len(shown.attachments)))
    for index, attachment in enumerate(shown.attachments):
        if is_form:
            assert attachment.filename == payload[f"attachments[{index}][filename]"]
            assert attachment.full_content_type == payload[f"attachments[{index}][content_type]"]
            assert mime_text(attachment.data) == payload[f"attachments[{index}][data]"]
        elif "attachments" in payload:
            posted = payload["attachments"][index]
            assert attachment.filename == posted["filename"]
            assert attachment.content_type == posted["content_type"]
            assert mime_text(attachment.data) == posted["data"]


def without_picture(attachments):
    """But for the inline picture, which has no name, and which Postal therefore leaves out."""
    picture, *others = attachments
    assert (picture.filename, picture.content_type, len(picture.data)) == ("image.gif", "image/gif", 14)
    return tuple(others)


def message(header, body):
    return f"{header}\r\n\r\n".encode() + body


UTF8 = "Content-Type: text/plain; charset=utf-8"


@each(
    "header, body, text",
    [
        ("X: 1", b"a\r\nb\r\n", "a\nb\n"),
        ("X: 1", b"a\rb\n", "a\nb\n"),
        ("X: 1", "ü\r\n".encode(), "ü\r\n"),
        ("X: 1", b"\xfc\r\n", "ü\r\n"),
        ("Content-Type: text/plain", "ü\r\n".encode(), "ü\r\n"),
        ("Content-Type: text/plain", b"\x93\xfc\x94\r\n", "“ü”\r\n"),
        ("Content-Type: text/plain; charset=us-ascii", "ü".encode(), "ü"),
        (UTF8, "\ufeffü".encode(), "ü"),
        (UTF8, b"a\0b", "ab"),
        ("Content-Type: text/plain; charset=iso-8859-1", b"\xfc\r\n", "ü\r\n"),
        ("Content-Type: text/plain; charset=nonsense", "ü".encode(), "ü"),
        (f"{UTF8}\r\nContent-Transfer-Encoding: 8bit", b"a\r\n", "a\r\n"),
        (f"{UTF8}\r\nContent-Transfer-Encoding: BASE64", b"YQ0K", "a\r\n"),
        (f"{UTF8}\r\nContent-Transfer-Encoding: Quoted-Printable", b"a=\r\nb\r\n", "ab\n"),
        (f"{UTF8}\r\nContent-Transfer-Encoding: x-unknown", b"a\r\n", "a\r\n"),
        ("Content-Type: not a type", b"a", "a"),
        ("Content-Type:", b"a", "a"),
    ],
)
def test_line_ends_and_charsets_of_a_single_part(header, body, text):
    shown = parts(message(header, body))
    assert shown.plain_body == text
    assert shown.html_body is None
    assert shown.is_undeclared is (not header.startswith("Content-Type: "))


@pytest.mark.parametrize(
    ("content_type", "plain", "html"),
    [("text/html", None, "x"), ("text/html; name=a.html", None, "x"), ("text/plain; name=a.txt", "x", None)],
)
def test_other_single_parts(content_type, plain, html):
    shown = parts(message(f"Content-Type: {content_type}", b"x"))
    assert (shown.plain_body, shown.html_body, shown.attachments) == (plain, html, ())


def multipart(*entities, kind="mixed", boundary="b"):
    delimiter = f"--{boundary}".encode()
    inner = b"".join(delimiter + b"\r\n" + entity + b"\r\n" for entity in entities)
    return message(
        f'Content-Type: multipart/{kind}; boundary="{boundary}"',
        b"preamble\r\n" + inner + delimiter + b"--\r\nepilogue",
    )


def as_html(text):
    return f'<div style="white-space: pre-wrap">{text}</div>'


def test_texts_that_are_no_attachments_are_joined_in_order():
    shown = parts(
        multipart(
            b"Content-Type: text/plain; name=a.txt\r\n\r\nattached",
            b"\r\nno header",
            b"Content-Type: text/plain\r\n\r\nsecond",
            b"Content-Type: text/html\r\n\r\n<p>",
            b"Content-Type: text/html\r\n\r\n<p>second",
        )
    )
    assert shown.plain_body == "no header\nsecond"
    assert shown.html_body == f"{as_html('no header')}\n{as_html('second')}\n<p>\n<p>second"
    assert [attachment.filename for attachment in shown.attachments] == ["a.txt"]


@each(
    "fields, filename",
    [
        ("Content-Disposition: attachment; filename=a.txt", "a.txt"),
        ('Content-Disposition: attachment; filename="a \\"b\\".txt"', 'a "b".txt'),
        ("Content-Disposition: attachment; filename=a.txt\r\nContent-Type: image/png; name=b.txt", "a.txt"),
        ("Content-Type: image/png; name=b.txt", "b.txt"),
        ("Content-Location: c.txt", "c.txt"),
        ("Content-Disposition: attachment; filename*=utf-8''%C3%BC.zip", "ü.zip"),
        ("Content-Disposition: attachment; filename*0*=utf-8''%C3%BC; filename*1=\"b.zip\"", "üb.zip"),
        ("Content-Disposition: attachment; filename*1=b; filename*0=a", "ab"),
        ("Content-Disposition: attachment; filename*=ü.zip", "ü.zip"),
        ('Content-Disposition: attachment; filename="=?utf-8?q?=C3=BC.zip?="', "ü.zip"),
    ],
)
def test_file_names(fields, filename):
    shown = parts(multipart(f"{fields}\r\n\r\nx".encode()))
    assert [attachment.filename for attachment in shown.attachments] == [filename]


def test_a_nameless_message_is_called_by_its_subject():
    raw = multipart(b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nbody")
    first = parts(raw).attachments[0]
    assert first.filename == "inner.eml"
    assert first.data == b"Subject: inner\n\nbody"
    assert first.sha1 == hashlib.sha1(first.data).hexdigest()


def test_a_part_without_content_type_has_none():
    attachment = parts(multipart(b"Content-Disposition: attachment; filename=a\r\n\r\nx")).attachments[0]
    assert (attachment.content_type, attachment.full_content_type) == (None, None)


@each(
    "field, key, value",
    [
        ("To: undisclosed-recipients:;", "to", ""),
        ("To: Name <>", "to", "Name <>"),
        ("To:", "to", None),
        ("To: Ann <a@b.example> (x)", "to", "Ann <a@b.example>"),
        ("To: a@b.example (x)", "to", "a@b.example (x)"),
        ("To: =?utf-8?q?M=C3=BC?= <a@b.example>", "to", '"Mü" <a@b.example>'),
        ("Cc: Team: a@b.example;", "cc", "Team: a@b.example;"),
        ("Date: Tue, 03 Jan 2023 04:05:06 -0000", "date", "Tue, 03 Jan 2023 04:05:06 +0000"),
        ("Date: never", "date", "never"),
        (
            "Received: from a (b)\r\n\tby c; 3 Jan 2023 4:05:06 -0000",
            "received",
            "from a (b)\tby c; Tue, 03 Jan 2023 04:05:06 +0000",
        ),
        ("Received: nothing", "received", "nothing"),
        ("References: <a@b>\r\n <c@d>", "references", "<a@b> <c@d>"),
        ("In-Reply-To: your mail", "in-reply-to", "your mail"),
        ("Mime-Version: 1.0 (made by hand)", "mime-version", "1.0"),
        ("Mime-Version: one", "mime-version", "one"),
        ('Content-Type: Text/Plain; name="a b"; x="y"', "content-type", 'text/plain; name="a b"; x=y'),
        ("Content-Type: nonsense", "content-type", "nonsense"),
        ('Content-Disposition: inline; filename="a.b"', "content-disposition", "inline; filename=a.b"),
        ("X-Raw: \xfc", "x-raw", "ü"),
    ],
)
def test_header_values_are_written_anew(field, key, value):
    assert parts(message(field, b"")).headers == {key: [value]}


def test_bytes_that_are_not_utf8_do_not_fail():
    assert parts(b"Subject: \xff\r\nTo: \xff <a@b.example>\r\n\r\n").headers == {
        "to": ['"ÿ" <a@b.example>'],
        "subject": ["ÿ"],
    }


PNG = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo="
PDF = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0x"


def text(content, subtype="plain", fields=""):
    return f"Content-Type: text/{subtype}; charset=utf-8\r\n{fields}\r\n{content}".encode()


def html(content, fields=""):
    return text(content, "html", fields)


def shown_as(raw):
    """The bodies and the names of the files."""
    shown = parts(raw)
    return shown.plain_body, shown.html_body, [file.filename for file in shown.attachments]


@each(
    "fields, names",
    [
        ("Content-Type: application/pdf", ["attachment.pdf"]),
        ('Content-Type: application/zip; name="a!b.zip"\r\nContent-Disposition: attachment', ["a!b.zip"]),
        ("Content-Type: application/pkcs7-mime; smime-type=enveloped-data", ["smime.p7m"]),
        (
            "Content-Type: application/gzip\r\nContent-Disposition: attachment; filename=r.xml.gz",
            ["r.xml.gz"],
        ),
        ("Content-Type: image/tiff", ["image.tiff"]),
        ("Content-Type: audio/wav", ["audio.wav"]),
        ("Content-Type: application/x-nobody-knows", ["attachment.bin"]),
        ("Content-Type: text/calendar; method=REQUEST", ["invite.ics"]),
        ("Content-Type: text/csv", ["attachment.csv"]),
        ("Content-Type: text/x-log\r\nContent-Disposition: attachment", ["attachment.txt"]),
        ("Content-Type: text/plain\r\nContent-Disposition: attachment", ["attachment.txt"]),
        ("Content-Type: text/html\r\nContent-Disposition: attachment; filename=report.html", ["report.html"]),
        ("Content-Disposition: attachment; filename=a.txt", ["a.txt"]),
        ("Content-Type: message/delivery-status", ["delivery-status.txt"]),
    ],
)
def test_a_mail_that_is_one_file(fields, names):
    assert shown_as(message(fields, b"x")) == (None, None, names)


def test_a_mail_that_is_another_mail():
    raw = message("Content-Type: message/rfc822", b"Subject: =?utf-8?q?F=C3=BCr: Ann/Bob?=\r\n\r\ninside")
    assert shown_as(raw) == (None, None, ["Für Ann Bob.eml"])


TWO_IN_BETWEEN = multipart(text("before"), PNG, text("\r\nand after"))


@each(
    "raw, expected",
    [
        (TWO_IN_BETWEEN, ("before\n\nand after", None, ["image.png"])),
        (multipart(html("<p>a"), PDF, html("<p>b")), (None, "<p>a\n<p>b", ["attachment.pdf"])),
        (multipart(text("a"), PDF, html("<p>b")), ("a", f"{as_html('a')}\n<p>b", ["attachment.pdf"])),
        (multipart(html("<p>a"), text("1 < 2")), ("1 < 2", f"<p>a\n{as_html('1 &lt; 2')}", [])),
        (  # Apple Mail's rich text
            multipart(
                text("before\r\nafter"),
                multipart(html("<p>before"), PDF, html("<p>after"), boundary="c"),
                kind="alternative",
            ),
            ("before\nafter", "<p>before\n<p>after", ["attachment.pdf"]),
        ),
        (  # a footer of a mailing list
            multipart(multipart(text("a"), html("<p>a"), kind="alternative", boundary="c"), text("footer")),
            ("a\nfooter", f"<p>a\n{as_html('footer')}", []),
        ),
        (  # the same in the other order of related and alternative
            multipart(
                multipart(text("a"), html("<p>a"), kind="alternative", boundary="c"), PNG, kind="related"
            ),
            ("a", "<p>a", ["image.png"]),
        ),
        (
            multipart(
                text("a"), multipart(html("<p>a"), PNG, kind="related", boundary="c"), kind="alternative"
            ),
            ("a", "<p>a", ["image.png"]),
        ),
        (  # a page's other pages are no text of the mail
            multipart(html("<p>a"), html("<p>frame", "Content-ID: <f@x>\r\n"), kind="related"),
            (None, "<p>a", ["attachment.html"]),
        ),
        (
            multipart(html("<p>a", "Content-Location: http://x.example/\r\n"), PNG, kind="related"),
            (None, "<p>a", ["image.png"]),
        ),
        (  # the page is not always the first part
            multipart(PNG, html("<p>a", "Content-ID: <r@x>\r\n"), kind='related; start="<r@x>"'),
            (None, "<p>a", ["image.png"]),
        ),
        (
            multipart(
                html("<p>frame", "Content-ID: <f@x>\r\n"),
                html("<p>a", "Content-ID: <r@x>\r\n"),
                kind="related; start=<r@x>",
            ),
            (None, "<p>a", ["attachment.html"]),
        ),
        (
            multipart(PNG, html("<p>a", "Content-ID: <r@x>\r\n"), kind="related"),
            (None, "<p>a", ["image.png"]),
        ),
        (multipart(text("LOG", fields="Content-Disposition: attachment\r\n"), text("here")),
         ("here", None, ["attachment.txt"])),
        (multipart(text("a", fields="Content-Disposition: inline\r\n")), ("a", None, [])),
        (multipart(text("a", fields="Content-Disposition: notice\r\n")), (None, None, ["attachment.txt"])),
        (
            multipart(text("a"), text("b", fields="Content-Disposition: inline; filename=b.txt\r\n")),
            ("a", None, ["b.txt"]),
        ),
        (  # nothing else to read: it is shown, and is a file
            multipart(text("a", fields="Content-Disposition: inline; filename=a.txt\r\n"), PDF),
            ("a", None, ["a.txt", "attachment.pdf"]),
        ),
        (
            multipart(html("<p>a", "Content-Disposition: inline; filename=a.html\r\n"), PDF),
            (None, "<p>a", ["a.html", "attachment.pdf"]),
        ),
        (  # a named alternative is the body all the same
            multipart(text("a", fields="Content-Disposition: inline; filename=a.txt\r\n"), html("<p>a"),
                      kind="alternative"),
            ("a", "<p>a", []),
        ),
        (  # what is marked as a file may be several
            multipart(
                text("mine"),
                b"Content-Disposition: attachment\r\n" + multipart(text("a"), PDF, boundary="c"),
                b"Content-Disposition: attachment; filename=a\r\nContent-Type: multipart/mixed\r\n\r\nx",
            ),
            ("mine", None, ["attachment.txt", "attachment.pdf", "a"]),
        ),
        (  # an invitation
            multipart(text("a"), html("<p>a"), text("BEGIN:VCALENDAR", "calendar"), kind="alternative"),
            ("a", "<p>a", ["invite.ics"]),
        ),
        (  # another spelling of the same words
            multipart(text("a"), text("<html amp4email>", "x-amp-html"), html("<p>a"), kind="alternative"),
            ("a", "<p>a", []),
        ),
        (multipart(text("<bold>a", "enriched"), kind="alternative"), (None, None, ["attachment.txt"])),
        (
            multipart(text("a"), b"Content-Type: application/pgp-signature\r\n\r\nx", kind="signed"),
            ("a", None, ["signature.asc"]),
        ),
        (
            multipart(
                b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1",
                b"Content-Type: application/octet-stream\r\n\r\nx",
                kind="encrypted",
            ),
            (None, None, ["version.asc", "attachment.bin"]),
        ),
        (
            multipart(
                text("failed"),
                b"Content-Type: message/delivery-status\r\n\r\nAction: failed",
                b"Content-Type: text/rfc822-headers\r\n\r\nSubject: x",
                kind="report",
            ),
            ("failed", None, ["delivery-status.txt", "headers.txt"]),
        ),
        (
            multipart(text("abuse"), b"Content-Type: message/feedback-report\r\n\r\nx", kind="report"),
            ("abuse", None, ["feedback-report.txt"]),
        ),
        (multipart(PDF, PDF, PNG), (None, None, ["attachment.pdf", "attachment-2.pdf", "image.png"])),
        (  # a name that somebody else has already
            multipart(PDF, b"Content-Type: application/pdf; name=attachment.pdf\r\n\r\nx"),
            (None, None, ["attachment-2.pdf", "attachment.pdf"]),
        ),
        (  # RFC 2046 section 5.1.5
            multipart(b"\r\nSubject: one\r\n\r\n1", b"\r\nSubject: two\r\n\r\n2", kind="digest"),
            (None, None, ["one.eml", "two.eml"]),
        ),
    ],
)  # fmt: skip
def test_a_mail_is_shown_as_by_a_mail_program(raw, expected):
    assert shown_as(raw) == expected


@pytest.mark.parametrize(
    "inner", [text("theirs"), html("<p>theirs"), multipart(text("theirs"), PDF, boundary="c")]
)
def test_the_inside_of_an_attached_mail_is_not_shown(inner):
    attached = b"Content-Type: message/rfc822\r\n\r\nSubject: other\r\n" + inner
    assert shown_as(multipart(text("mine"), attached)) == ("mine", None, ["other.eml"])
    assert shown_as(multipart(html("<p>mine"), attached)) == (None, "<p>mine", ["other.eml"])


@each(
    "content_type, body",
    [
        ("multipart/mixed", b"--b\r\n\r\ninner\r\n--b--"),
        ("multipart/mixed; boundary=other", b"--b\r\n\r\ninner\r\n--b--"),
        ("multipart/alternative; boundary=b", b"only a preamble"),
        ("multipart/related; boundary=b", b"text\r\n--b--\r\nmore"),
    ],
)
def test_a_multipart_without_parts_is_shown_as_it_stands(content_type, body):
    assert shown_as(message(f"Content-Type: {content_type}", body)) == (
        body.decode().replace("\r\n", "\n"),
        None,
        [],
    )


@each(
    "raw, plain, names",
    [
        (b"Subject: s\r\nTo: a@b.example\r\nHello,\r\nBye\r\n", "Hello,\nBye\n", ["to", "subject"]),
        (b"Subject: s\r\nHello,\r\n\r\nmore: text\r\n", "Hello,\n\nmore: text\n", ["subject"]),
        (b"Hello there,\r\n\r\nno header at all\r\n", "Hello there,\n\nno header at all\n", []),
        (b"Hello there", "Hello there", []),
        (b"Subject: s\r\n", "", ["subject"]),
        (b"\r\nSubject: s\r\n\r\nHello\r\n", "Subject: s\n\nHello\n", []),
        (b"From ann@b.example Mon Nov 30 10:11:12 2026\r\nSubject: s\r\n\r\nHello", "Hello", ["subject"]),
        (b"Received: x\r\n>From ann@b.example Mon Nov 30 10:11:12 2026\nSubject: s\n\nHello", "Hello",
         ["received", "subject"]),
        (b"From my side all is well.\r\nBye\r\n", "From my side all is well.\nBye\n", []),
        (b"Subject : s\r\nX-A\t: b\r\n\r\nHello", "Hello", ["subject", "x-a"]),
        (b"Subject: a\r\n b\r\n\tc\r\n\r\nHello", "Hello", ["subject"]),
        (b"", "", []),
    ],
)  # fmt: skip
def test_a_header_without_an_end_ends_where_no_field_is(raw, plain, names):
    shown = parts(raw)
    assert (shown.plain_body, list(shown.headers)) == (plain, names)


def test_a_part_without_a_header_is_text():
    assert shown_as(multipart(b"Hello there,\r\n\r\nall is text", PDF)) == (
        "Hello there,\n\nall is text",
        None,
        ["attachment.pdf"],
    )


BASE64_LABELS = [
    "base64 ",
    "base64;",
    "base64 (by hand)",
    '"base64"',
    "(x) BASE64",
    "base-64",
    "x-base64",
    "'base64', x",
]
QUOTED_PRINTABLE_LABELS = [
    "quoted-printable;",
    "QUOTED-PRINTABLE ",
    '"quoted-printable"',
    "quoted-printable (x)",
    "quoted_printable",
    "Quoted Printable",
]
PLAIN_LABELS = ["8bit;", "7bit;", '"8bit"', "binary (x)", "x-unknown", "8-bit", "utf-8"]


@each(
    "label, body",
    [
        *((label, b"R3LDvMOfZQ==") for label in BASE64_LABELS),
        *((label, b"Gr=C3=BC=C3=9Fe") for label in QUOTED_PRINTABLE_LABELS),
        *((label, "Grüße".encode()) for label in PLAIN_LABELS),
        ("base64", b"R3LDvMOfZQ"),
        ("base64", b"R3LDvMOfZQ="),
        ("base64", b"R3LDvMOfZQ===="),
        ("base64", b"R3LD!vMO\xfffZ\0Q=="),
        ("base64", b"R3LD vMOf\r\nZQ=="),
        ("base64", b"R3I=\r\nw7w=\r\nw59l"),
        ("quoted-printable", b"Gr=C3=BC= \t\r\n=C3=9Fe"),
        ("quoted-printable", b"Gr=c3=bc=\n=c3=9fe"),
    ],
)  # fmt: skip
def test_transfer_encodings_as_they_come(label, body):
    raw = message(f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {label}", body)
    assert parts(raw).plain_body == "Grüße"


@each(
    "encoding, body, plain",
    [
        ("base64", b"R3LDvMOfZQo=\r\n-- \r\nThe list\r\n", "Grüße\n\r\n-- \r\nThe list\r\n"),
        ("base64", b"R3LDvMOfZQo=\r\nThe list, and more\r\n", "Grüße\n\r\nThe list, and more\r\n"),
        ("base64", b"R3LDvMOfZQoK\r\n_______\r\nThe list\r\n", "Grüße\n\n_______\r\nThe list\r\n"),
        ("base64", b"Hello, this is no code.\r\n", "Hello, this is no code.\r\n"),
        ("base64", b"Dear Ann\r\n\r\nsee you tomorrow\r\n", "Dear Ann\r\n\r\nsee you tomorrow\r\n"),
        ("quoted-printable", b"1 + 1 = 2, a=b, =ZZ", "1 + 1 = 2, a=b, =ZZ"),
    ],
)
def test_what_is_no_code_is_shown_as_it_stands(encoding, body, plain):
    raw = message(f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}", body)
    assert parts(raw).plain_body == plain


@pytest.mark.parametrize(
    ("encoding", "encode"), [("base64", base64.encodebytes), ("quoted-printable", bytes), ("base64", bytes)]
)
def test_a_multipart_under_a_transfer_encoding_has_parts(encoding, encode):
    """Encoded, or only said to be."""
    body = encode(multipart(text("Grüße"), PDF).partition(b"\r\n\r\n")[2])
    raw = message(f"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: {encoding}", body)
    assert shown_as(raw) == ("Grüße", None, ["attachment.pdf"])


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/html; charset=us-ascii", "text/html; charset=8bit"]
)
def test_html_says_its_own_charset_where_its_header_does_not(content_type):
    page = '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>Привет'
    assert parts(message(f"Content-Type: {content_type}", page.encode("cp1251"))).html_body == page


@each(
    "fields, name",
    [
        ("Content-Disposition: attachment; filename*=gb2312''%D6%EC%E9F%BB%F9", "朱镕基"),
        ("Content-Disposition: attachment; filename*=utf-8''a%00b%0D%0Ac", "abc"),
        ('Content-Disposition: attachment; filename="=?iso-8859-1?q?=93a=94?="', "“a”"),
        ("Content-Disposition: attachment; (x) filename=a.txt", "a.txt"),
    ],
)
def test_file_names_in_every_charset(fields, name):
    [attachment] = parts(multipart(f"{fields}\r\n\r\nx".encode())).attachments
    assert attachment.filename == name


def test_8_bit_file_names_are_read():
    [attachment] = parts(
        multipart(b"Content-Disposition: attachment; filename=\xfc.txt\r\n\r\nx")
    ).attachments
    assert attachment.filename == "ü.txt"


@pytest.mark.parametrize(
    "raw",
    [
        multipart(*[text("x")] * (MAX_PARTS + 10)),
        multipart(*[text("x")] * 5000),
        b"".join(
            f'Content-Type: multipart/mixed; boundary="{n}"\r\n\r\n--{n}\r\n'.encode() for n in range(60)
        )
        + b"\r\nx",
    ],
)
def test_text_beyond_the_limits_of_structure_is_not_lost(raw):
    assert parts(raw).plain_body.count("x") >= raw.count(b"\r\nx")


def test_nothing_shown_has_a_nul():
    fields = b"Subject: a\0b\r\nX-A: \0\r\nTo: \0 <a\0@b.example>\r\nDate: \0\r\nReferences: <a\0@b>\r\n"
    named = b'Content-Type: text/plain; name="a\0.txt"\r\n\r\nx'
    shown = parts(fields + multipart(text("a\0b"), html("a\0b"), named))
    assert "\0" not in repr([shown.plain_body, shown.html_body, shown.headers]).replace("\\x00", "\0")
    assert [file.filename for file in shown.attachments] == ["a.txt"]


@given(st.binary(max_size=300))
def test_hostile_bytes_never_raise(data):
    parts(data)
    parts(b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n' + data)
    parts(b"Content-Type: " + data.replace(b"\n", b"") + b"\r\n\r\n--b\r\n\r\nx\r\n--b--")
    parts(b"Content-Disposition: " + data + b"\r\n\r\n")


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_what_the_standard_library_builds_is_read(texts):
    built = email.message.EmailMessage()
    built["Subject"] = "s"
    texts = [text.encode("utf-8", "replace").decode().replace("\r", " ") + "x" for text in texts]
    texts[0] = texts[0].replace("\0", "")
    built.set_content(texts[0])
    for index, text in enumerate(texts[1:]):
        built.add_attachment(text.encode(), "application", "octet-stream", filename=f"{index} ü.bin")
    shown = parts(built.as_bytes())
    assert "".join(shown.plain_body.split()) == "".join(texts[0].split())
    assert [a.data.decode() for a in shown.attachments] == texts[1:]
    assert [a.filename for a in shown.attachments] == [f"{i} ü.bin" for i in range(len(texts) - 1)]


LEAF_TYPES = [
    "text/plain",
    "text/html",
    "text/calendar",
    "application/pdf",
    "image/png",
    "message/rfc822",
    "",
]
DISPOSITIONS = ["", "inline", "attachment", "inline; filename=a.txt", "attachment; filename=a.txt"]
LEAVES = st.tuples(st.sampled_from(LEAF_TYPES), st.sampled_from(DISPOSITIONS), st.booleans())
KINDS = st.sampled_from(["mixed", "alternative", "related", "signed", "report", "x-unknown"])
TREES = st.recursive(
    LEAVES, lambda inner: st.tuples(KINDS, st.lists(inner, min_size=1, max_size=4)), max_leaves=12
)


def written(tree, words, boundary="b"):
    """The message or part that `tree` describes; each leaf adds a word of its own to `words`."""
    if isinstance(tree[1], list):
        children = [written(child, words, f"{boundary}{n}") for n, child in enumerate(tree[1])]
        return multipart(*children, kind=tree[0], boundary=boundary)
    mime_type, disposition, has_id = tree
    words.append(f"word{len(words)}.")
    fields = [f"Content-Type: {mime_type}"] if mime_type else []
    fields += [f"Content-Disposition: {disposition}"] if disposition else []
    fields += [f"Content-ID: <{len(words)}@x>"] if has_id else []
    inside = f"Subject: s\r\n\r\n{words[-1]}" if mime_type == "message/rfc822" else words[-1]
    return "\r\n".join([*fields, "", inside]).encode()


@given(TREES)
def test_no_word_of_any_part_is_lost_and_no_name_is_made_up_twice(tree):
    words = []
    shown = parts(b"Subject: s\r\n" + written(tree, words))
    files = b" ".join(file.data for file in shown.attachments).decode()
    for word in words:
        in_text = word in (shown.plain_body or "") or word in (shown.html_body or "")
        assert in_text or word in files
    assert len({file.filename for file in shown.attachments if file.filename != "a.txt"}) == sum(
        file.filename != "a.txt" for file in shown.attachments
    )


def test_8_bit_names_are_in_the_charset_of_the_text():
    text = "From: Иван <ivan@example.org>\nSubject: Привет\nContent-Type: text/plain; charset=koi8-r\n\nДа"
    shown = parts(text.encode("koi8-r"))
    assert shown.headers["from"] == ['"Иван" <ivan@example.org>']
    assert shown.headers["subject"] == ["Привет"]
    assert shown.plain_body == "Да"
