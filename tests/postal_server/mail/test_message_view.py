import base64
import email.message
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.message import parts

from .recordings import expansions, inbound_payloads

RECORDED = list(expansions())
POSTED = list(inbound_payloads())


def mime_text(data):
    """Base64 as the API has it: lines of 60, the last one ended too."""
    text = base64.b64encode(data).decode()
    return "".join(text[i : i + 60] + "\n" for i in range(0, len(text), 60))


@pytest.mark.parametrize(("name", "raw", "data"), RECORDED, ids=[name for name, _, _ in RECORDED])
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


@pytest.mark.parametrize(
    ("name", "raw", "payload", "is_form"), POSTED, ids=[f"{n}{'-form' if f else ''}" for n, _, _, f in POSTED]
)
def test_incoming_mail_is_shown_as_postal_posts_it(name, raw, payload, is_form):
    shown = parts(raw)
    missing = "" if is_form else None

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


def message(header, body):
    return f"{header}\r\n\r\n".encode() + body


UTF8 = "Content-Type: text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("header", "body", "text"),
    [
        ("X: 1", b"a\r\nb\r\n", "a\nb\n"),
        ("X: 1", b"a\rb\n", "a\nb\n"),
        ("X: 1", "ü\r\n".encode(), "ü\r\n"),
        ("X: 1", b"\xfc\r\n", "\ufffd\r\n"),
        ("Content-Type: text/plain", "ü\r\n".encode(), "\ufffd\ufffd\r\n"),
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
    [("text/html", None, "x"), ("image/png", None, None), ("multipart/mixed", None, None)],
)
def test_other_single_parts(content_type, plain, html):
    shown = parts(message(f"Content-Type: {content_type}", b"x"))
    assert (shown.plain_body, shown.html_body, shown.attachments) == (plain, html, ())


def multipart(*entities):
    inner = b"".join(b"--b\r\n" + entity + b"\r\n" for entity in entities)
    return message(
        'Content-Type: multipart/mixed; boundary="b"', b"preamble\r\n" + inner + b"--b--\r\nepilogue"
    )


def test_the_first_text_part_that_is_no_attachment_counts():
    shown = parts(
        multipart(
            b"Content-Type: text/plain; name=a.txt\r\n\r\nattached",
            b"\r\nno header",
            b"Content-Type: text/plain\r\n\r\nsecond",
            b"Content-Type: text/html\r\n\r\n<p>",
            b"Content-Type: text/html\r\n\r\n<p>second",
        )
    )
    assert (shown.plain_body, shown.html_body) == ("no header", "<p>")
    assert [attachment.filename for attachment in shown.attachments] == ["a.txt"]


@pytest.mark.parametrize(
    ("fields", "filename"),
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


def test_a_nameless_message_gets_the_same_number_at_each_reading():
    raw = multipart(b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nbody")
    first, second = parts(raw).attachments[0], parts(raw).attachments[0]
    assert first.filename == second.filename
    assert first.filename.removesuffix(".eml").isdigit()
    assert first.data == b"Subject: inner\n\nbody"
    assert first.sha1 == hashlib.sha1(first.data).hexdigest()


def test_a_part_without_content_type_has_none():
    attachment = parts(multipart(b"Content-Disposition: attachment; filename=a\r\n\r\nx")).attachments[0]
    assert (attachment.content_type, attachment.full_content_type) == (None, None)


@pytest.mark.parametrize(
    ("field", "key", "value"),
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
        "to": ['"\ufffd" <a@b.example>'],
        "subject": ["\ufffd"],
    }


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
    built.set_content(texts[0])
    for index, text in enumerate(texts[1:]):
        built.add_attachment(text.encode(), "application", "octet-stream", filename=f"{index} ü.bin")
    shown = parts(built.as_bytes())
    assert "".join(shown.plain_body.split()) == "".join(texts[0].split())
    assert [a.data.decode() for a in shown.attachments] == texts[1:]
    assert [a.filename for a in shown.attachments] == [f"{i} ü.bin" for i in range(len(texts) - 1)]
