import email
import re
import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail import tracking
from postal_server.mail.compose import OutgoingAttachment, OutgoingMail, compose
from postal_server.mail.header import first, message_id, remove_header
from postal_server.mail.message import parse_date, parts
from postal_server.mail.transfer import encode
from tests.each import each

from .recordings import comparable, sent_messages
from .test_compose import AT, from_parameters

PIXEL = "http://click.test/img/server/message"
# Where this server does better than Postal (contract, Q15 and Q16; 8.2); tested below.
BETTER = {"track-plain", "track-header-skip", "track-attachment", "track-unquoted", "track-umlaut"}
TRACKED = [row for row in sent_messages() if row[0].startswith("track-") and row[0] not in BETTER]


@dataclass
class Tracked:
    raw: bytes
    links: list[str]


def tracked(raw, *, pixel_url=None, excluded=(), track_clicks=True, urls=None):
    """The message with numbered links (or these), and where they lead; None where nothing changes."""
    draft = tracking.draft(raw, pixel_url=pixel_url, excluded=frozenset(excluded), track_clicks=track_clicks)
    if draft is None:
        return None
    numbered = [f"http://click.test/server/{number}" for number, _ in enumerate(draft.targets, 1)]
    return Tracked(draft.write(urls or numbered), draft.targets)


@each("name, parameters, stored", TRACKED, ids=[row[0] for row in TRACKED])
def test_recorded_messages_are_tracked_as_postal_does(name, parameters, stored):
    stored = remove_header(remove_header(stored, "DKIM-Signature"), "X-Postal-MsgID")
    received = first(stored, "Received")
    original = compose(
        from_parameters(parameters),
        message_id=message_id(stored),
        date=parse_date(received.rpartition(";")[2]),
        received=f"Received: {received}\r\n".encode(),
        boundaries=("a", "b"),
    )
    text = "\n".join(filter(None, (parts(stored).plain_body, parts(stored).html_body)))
    urls = re.findall(r"http://click\.tracked\.test/(?!img/)\w+/\w+", text)
    pixel = re.search(r"http://click\.tracked\.test/img/\w+/\w+", text)
    result = tracked(original, pixel_url=pixel[0] if pixel else None, urls=urls)
    assert comparable(result.raw) == comparable(stored)


def single(mime_type, body, extra=""):
    return f"MIME-Version: 1.0\r\nContent-Type: {mime_type}; charset=utf-8\r\n{extra}\r\n{body}".encode()


@each(
    "text, rewritten, targets",
    [
        ("See https://a.example/b?x=1. Bye", "See 1. Bye", ["https://a.example/b?x=1"]),
        ("(https://a.example/z)", "(1)", ["https://a.example/z"]),
        ("http://a.example/y, and", "1, and", ["http://a.example/y"]),
        ("https://a.example/w_(x)!", "1!", ["https://a.example/w_(x)"]),
        ("https://a.example/b/ x", "1 x", ["https://a.example/b/"]),
        ("https://a.example?q=1", "1", ["https://a.example?q=1"]),
        ("https://a.example.", "1.", ["https://a.example"]),
        ("https://a.example:8080/,@!$'*x", "1", ["https://a.example:8080/,@!$'*x"]),
        ("<https://a.example/>", "<1>", ["https://a.example/"]),
        ("https://a.example/1 https://a.example/1", "1 2", ["https://a.example/1"] * 2),
        ("https://a.example: this", "1: this", ["https://a.example"]),
        ("https://a.example/ü", None, []),
        ("https://user@a.example/", None, []),
        ("https://user:word@a.example/", None, []),
        ("https://www.a_b.example/x", None, []),
        ("https://a.example:port/x", None, []),
        ("https://a.example{x}", None, []),
        ("HTTPS://a.example/", None, []),
        ("https://...", None, []),
        ("ftp://a.example/ mailto:a@b.example", None, []),
        (
            "https://skip.example/ https://skip.example:81/",
            "https://skip.example/ 1",
            ["https://skip.example:81/"],
        ),
        ("https+notrack://a.example/", "https://a.example/", []),
    ],
)
def test_links_in_plain_text(text, rewritten, targets):
    result = tracked(single("text/plain", text), excluded=["skip.example"])
    if rewritten is None:
        assert result is None
        return
    expected = re.sub(r"(?<![\w:.])(\d)(?![\w/])", r"http://click.test/server/\1", rewritten)
    assert result.raw == single("text/plain", expected)
    assert result.links == targets


@each(
    "text, rewritten, targets",
    [
        (
            '<a href="https://a.example/?b=1&amp;c=2#d">x</a>',
            "<a href='http://click.test/server/1'>x</a>",
            ["https://a.example/?b=1&c=2#d"],
        ),
        (
            "<a\r\n href = 'https://a.example'>",
            "<a\r\n href = 'http://click.test/server/1'>",
            ["https://a.example"],
        ),
        ("<a href=https://a.example/>", "<a href='http://click.test/server/1'>", ["https://a.example/"]),
        ("<A HREF='https://a.example/'>", "<A HREF='http://click.test/server/1'>", ["https://a.example/"]),
        (
            "<a href='https://a.example/ü b'>",
            "<a href='http://click.test/server/1'>",
            ["https://a.example/%C3%BC%20b"],
        ),
        ("<a href='https://skip.example/'>", None, []),
        ("https://a.example/", None, []),
        ("<a href='http+notrack://a.example/'>", "<a href='http://a.example/'>", []),
    ],
)
def test_links_in_html(text, rewritten, targets):
    result = tracked(single("text/html", text), excluded=["skip.example"])
    assert (result and result.raw) == (rewritten and single("text/html", rewritten))
    assert (result.links if result else []) == targets


@each("excluded", ["bücher.example", "xn--bcher-kva.example"])
@each(
    "host",
    ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "b%C3%BCcher.example", "x@bücher.example"],
)
def test_a_host_is_excluded_in_each_spelling(host, excluded):
    assert tracked(single("text/html", f"<a href='https://{host}/'>"), excluded=[excluded]) is None


def test_without_click_tracking_only_the_mark_goes():
    raw = single("text/plain", "https://a.example/ https+notrack://b.example/")
    result = tracked(raw, track_clicks=False)
    assert result.raw == single("text/plain", "https://a.example/ https://b.example/")
    assert tracked(single("text/plain", "https://a.example/"), track_clicks=False) is None


@pytest.mark.parametrize("value", ["skip", " Skip "])
def test_a_message_can_opt_out(value):
    body = '<body><a href="https://a.example/">a</a> http+notrack://b.example</body>'
    result = tracked(single("text/html", body, f"X-AMP: {value}\r\n"), pixel_url=PIXEL)
    assert result.raw == single("text/html", body.replace("+notrack", ""), f"X-AMP: {value}\r\n")


@each(
    "before, after",
    [
        ("<p>x</p>", "<p>x</p>PIXEL"),
        ("<body>x</body></html>", "<body>xPIXEL</body></html>"),
        ("a</body>b</body>", "aPIXEL</body>bPIXEL</body>"),
        ("<BODY>x</BODY>", "<BODY>x</BODY>PIXEL"),
    ],
)
def test_the_pixel(before, after):
    style = "display:none;visibility:none;margin:0;padding:0;line-height:0;"
    after = after.replace("PIXEL", f"<p class='ampimg' style='{style}'><img src='{PIXEL}' alt=''></p>")
    assert tracked(single("text/html", before), pixel_url=PIXEL).raw == single("text/html", after)
    assert tracked(single("text/plain", before), pixel_url=PIXEL) is None


def test_attachments_and_every_other_byte_stay():
    attachment = OutgoingAttachment("a.html", "text/html", b'<a href="https://a.example/attached">x</a>')
    mail = OutgoingMail(
        from_="a@b.example",
        plain_body="https://a.example/plain ü",
        html_body="<a href='https://a.example/html'>x</a>",
        attachments=[attachment],
        headers=[("X-First", "1")],
    )
    raw = compose(mail, message_id="x@y", date=AT, received=b"", boundaries=("a", "b"))
    result = tracked(raw)
    assert result.links == ["https://a.example/plain", "https://a.example/html"]
    assert (
        result.raw.replace(b"http://click.test/server/1", b"https://a.example/plain").replace(
            b"http://click.test/server/2", b"https://a.example/html"
        )
        == raw
    )
    assert parts(result.raw).attachments[0].data == attachment.data


@each("encoding", ["7bit", "8bit", "quoted-printable", "base64", ""])
def test_each_transfer_encoding_is_kept(encoding):
    text = "see https://a.example/" + (" \u00fc\r\n" if encoding not in ("7bit", "") else "\r\n")
    header = "Content-Type: text/plain; charset=utf-8\r\n"
    header += f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else ""
    result = tracked(header.encode() + b"\r\n" + encode(text.encode(), encoding))
    message = email.message_from_bytes(result.raw)
    assert (message["Content-Transfer-Encoding"] or "") == encoding
    expected = text.replace("https://a.example/", "http://click.test/server/1")
    assert message.get_payload(decode=True) == expected.encode()


def test_a_line_that_grew_too_long_is_encoded():
    raw = single("text/html", "x" * 950, "Content-Transfer-Encoding: 7bit\r\n")
    result = tracked(raw, pixel_url=PIXEL)
    assert b"Content-Transfer-Encoding: quoted-printable\r\n" in result.raw
    assert PIXEL in parts(result.raw).html_body


@each(
    "raw",
    [
        b"Content-Type: text/plain; charset=utf-16\r\n\r\nhttps://a.example/",
        b"Content-Type: text/plain; name=a.txt\r\n\r\nhttps://a.example/",
        b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nhttps://a.example/",
        b"Content-Type: text/calendar\r\n\r\nhttps://a.example/",
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nhttps://a.example/\r\n--b--",
        b"\r\nhttps://a.example/\0",
    ],
    ids=["utf-16", "named", "attachment", "calendar", "signed", "nul"],
)
def test_what_is_left_alone(raw):
    assert tracked(raw) is None


@given(st.binary(max_size=200))
def test_hostile_bytes_never_raise(data):
    for header in (b"\r\n", b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"):
        tracked(header + b"https://a.example/" + data, pixel_url=PIXEL)


def test_the_pixel_is_not_put_where_it_is_not_displayed():
    body = "<body><!-- </body> --><script>'</body>'</script>x</body>"
    result = tracked(single("text/html", body), pixel_url=PIXEL)
    assert result.raw.startswith(single("text/html", body[: body.rindex("</body>")] + "<p class='ampimg'"))


def test_a_mark_within_a_tracked_link_goes_as_well():
    body = "<a href='https://a.example/?to=https+notrack://b.example/'>http+notrack://c.example</a>"
    result = tracked(single("text/html", body))
    assert result.links == ["https://a.example/?to=https://b.example/"]
    assert result.raw == single("text/html", "<a href='http://click.test/server/1'>http://c.example</a>")


@each("encoding", ["7bit", "8bit", "quoted-printable", "base64"])
@each("before", [0, 1, 2, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73])
def test_a_mark_is_suspected_however_the_text_is_encoded(encoding, before):
    text = "x" * before + " https+notrack://a.example/"
    raw = single("text/plain", "", f"Content-Transfer-Encoding: {encoding}\r\n")
    raw += encode(text.encode(), encoding)
    assert tracking.may_be_marked(raw)
    assert parts(tracked(raw, track_clicks=False).raw).plain_body == text.replace("+notrack", "")


def test_no_mark_is_suspected_in_other_mail():
    assert not tracking.may_be_marked(single("text/plain", "https://a.example/+x"))


def test_relative_links_to_a_base_that_is_marked_are_not_tracked():
    body = "<base href='https+notrack://a.example/x/'><a href='y'>y</a>"
    assert tracked(single("text/html", body)).raw == single("text/html", body.replace("+notrack", ""))


def test_a_link_that_a_mail_program_broke_over_lines_is_one():
    text = "> At https://a.example/very/ \r\n> long?x=1&y=2, say \r\n> so\r\nhttps://b.example/ \r\n>z\r\n"
    raw = f"Content-Type: text/plain; Format=Flowed; DelSp=Yes\r\n\r\n{text}".encode()
    result = tracked(raw)
    assert result.links == ["https://a.example/very/long?x=1&y=2", "https://b.example/"]
    assert result.raw.endswith(
        b"> At http://click.test/server/1, say \r\n> so\r\nhttp://click.test/server/2 \r\n>z\r\n"
    )


@each("parameters", ["format=flowed", "delsp=yes", "format=flowed; delsp=no", "format=fixed; delsp=yes"])
def test_a_link_ends_with_its_line_where_the_blank_is_text(parameters):
    raw = f"Content-Type: text/plain; {parameters}\r\n\r\nhttps://a.example/x \r\ny\r\n".encode()
    assert tracked(raw).links == ["https://a.example/x"]


@pytest.mark.parametrize(
    "flood",
    [
        b"<a href='x' ",
        b"<a href=https://a.example/>",
        b"<a href=https://\xfc/>",
        b"<b ",
        b"<!--",
        b"href='",
        b"http://",
        b"href ",
        b"http://a/(",
        b"</body>",
        b"+notrack://",
        b"http://a:",
    ],
)
def test_a_flood_takes_no_time(flood):
    for mime_type in (b"text/html", b"text/plain; format=flowed; delsp=yes"):
        raw = (
            b"Content-Type: "
            + mime_type
            + b"\r\n\r\n<base href=http://b.example>"
            + flood * (200_000 // len(flood))
        )
        start = time.process_time()
        tracked(raw, pixel_url=PIXEL)
        assert time.process_time() - start < 1
