"""The parts of a mail: as Python's parser finds them, and within bounds where that one has none."""

import base64
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import body, structure
from anymail_postal.inbound_message import InboundMessage, parse
from tests.each import each

from .recorded import MAILS


def tree(message: Message) -> object:
    """Headers and contents of a message and its parts."""
    payload = message.get_payload()
    headers = [(name, str(value).replace("\r\n", "\n")) for name, value in message.raw_items()]
    if isinstance(payload, list):
        contents: object = [tree(part) for part in payload]
    else:
        contents = message._payload or ""  # type: ignore[attr-defined]
    return headers, message.get_content_type(), message.preamble or "", message.epilogue or "", contents


def pythons(raw: bytes) -> Message:
    return BytesParser(policy=compat32).parsebytes(raw)


def multipart(
    boundary: str, *parts: str, subtype: str = "mixed", preamble: str = "", epilogue: str = ""
) -> str:
    head = f"Content-Type: multipart/{subtype}; boundary={boundary}\n\n{preamble}"
    inner = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"{head}{inner}--{boundary}--\n{epilogue}"


TEXT = "Content-Type: text/plain\n\nHello\n"
HTML = "Content-Type: text/html\n\n<p>Hello</p>"
MAIL = "From: Ann <ann@remote.example>\nSubject: Hi\n"
WELL_FORMED = {
    "text": MAIL + "\nHello\n",
    "no body": MAIL,
    "empty body": MAIL + "\n",
    "folded headers": "Subject: a\n b\n\tc\nTo: x\n\n",
    "mixed": MAIL + multipart("b", TEXT, HTML),
    "nested": MAIL + multipart("b", multipart("c", TEXT, HTML, subtype="alternative"), TEXT),
    "a boundary that begins as another": MAIL + multipart("b", multipart("b1", TEXT, HTML), TEXT),
    "preamble and epilogue": MAIL + multipart("b", TEXT, preamble="This is\nMIME.\n", epilogue="The end.\n"),
    "lines that look like boundaries": MAIL + multipart("b", "\n--\n--c\n-- b\n--bb\n --b\nx--b\n"),
    "blanks behind boundaries": MAIL + multipart("b", TEXT).replace("--b\n", "--b \t\n"),
    "no boundary at all": MAIL + "Content-Type: multipart/mixed; boundary=b\n\nHello\n--c\n",
    "no boundary parameter": MAIL + "Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n",
    "empty parts": MAIL + multipart("b", "", "\n", TEXT),
    "attached mail": MAIL
    + multipart("b", TEXT, "Content-Type: message/rfc822\n\n" + MAIL + multipart("c", TEXT)),
    "digest": MAIL + multipart("b", "\n" + MAIL + "\nx", subtype="digest"),
    "delivery status": MAIL
    + multipart(
        "b",
        TEXT,
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a\n"
        "Action: failed\n",
        subtype="report",
    ),
    "feedback report": MAIL
    + multipart(
        "b", TEXT, "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n", subtype="report"
    ),
    "mailbox line": "From ann@remote.example Tue Jan 3\n" + MAIL + "\nx\n",
    "text instead of headers": "Hello there\n\nBye\n",
    "text behind headers": MAIL + "Hello there\nTo: nobody\n\nBye\n",
    "an empty line first": "\n" + MAIL,
    "8 bits": "Subject: Gr\xfc\xdfe\n\nGr\xfc\xdfe\n",
    "nothing": "",
    "one word": "x",
    "one line": "Subject: x",
}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@each("text", WELL_FORMED.values())
def test_parts_are_those_that_python_finds(text: str, line_end: str) -> None:
    raw = text.replace("\n", line_end).encode("latin-1")
    assert tree(parse(raw)) == tree(pythons(raw))


@each("post", MAILS, ids=attrgetter("endpoint"))
def test_parts_of_recorded_mail_are_those_that_python_finds(post) -> None:
    fields = body.parse(post.body, post.content_type)
    if "message" in fields:
        raw = base64.b64decode(fields["message"])
        assert tree(parse(raw)) == tree(pythons(raw))


part = st.recursive(
    st.sampled_from([TEXT, HTML, "\nx", "", "Content-Type: image/png\n\n\x00\xff"]),
    lambda inner: st.builds(
        lambda boundary, parts: multipart(boundary, *parts),
        st.sampled_from(["b", "b1", "bb", "=_x", "c"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@given(part, st.sampled_from(["\n", "\r\n"]))
def test_any_parts_within_parts_are_those_that_python_finds(text: str, line_end: str) -> None:
    raw = (MAIL + text).replace("\n", line_end).encode("latin-1")
    if "boundary=b\n" in text.partition("\n\n")[2] and text.count("boundary=") > 1:
        return  # the same boundary twice within each other is read by each in its own way
    assert tree(parse(raw)) == tree(pythons(raw))


def test_blanks_before_a_colon_are_obsolete_but_found() -> None:
    assert parse(b"Subject : Hi\nTo\t: x\n\nHello\n").subject == "Hi"


def test_a_mail_that_begins_with_blanks_is_all_text() -> None:
    assert parse(b"  Hello\nAnn\n").text == "  Hello\nAnn\n"


def test_the_last_part_ends_with_the_mail_if_its_boundary_is_missing() -> None:
    raw = (MAIL + multipart("b", TEXT, HTML)).replace("--b--\n", "").encode()
    assert [part.get_payload() for part in parse(raw).get_payload()] == ["Hello\n", "<p>Hello</p>\n"]


def test_an_attached_mail_in_a_transfer_encoding_is_decoded() -> None:
    encoded = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogSW5uZXIKClgK\n"
    (found,) = parse((MAIL + multipart("b", TEXT, encoded)).encode()).attachments
    assert found.get_content_bytes() == b"Subject: Inner\n\nX\n"
    assert found.get_content_text() == "Subject: Inner\n\nX\n"


# --- bounds: what is not read stays as text ---


def depth(message: Message) -> int:
    payload = message.get_payload()
    return 1 + max(map(depth, payload), default=0) if isinstance(payload, list) else 0


def test_parts_within_parts_are_read_to_a_depth() -> None:
    text = "Hello"
    for level in range(60):
        text = multipart(f"b{level}x", text)
    message = parse(text.encode())
    assert depth(message) == structure.MAX_DEPTH
    assert "Hello" in message.text


def test_mails_within_mails_are_read_to_a_depth() -> None:
    message = parse(b"Content-Type: message/rfc822\n\n" * 500 + b"\nHello\n")
    assert depth(message) == structure.MAX_DEPTH
    assert b"Hello" in message.as_bytes()


def test_parts_are_read_up_to_a_number() -> None:
    message = parse(multipart("b", *[f"\npart {number}" for number in range(3000)]).encode())
    parts = message.get_payload()
    assert len(parts) <= structure.MAX_PARTS
    assert "part 2999" in parts[-1].get_payload()


def test_fields_are_read_up_to_a_number() -> None:
    message = parse(b"".join(b"X-%d: y\n" % number for number in range(3000)) + b"\nHello\n")
    assert len(message.keys()) == structure.MAX_FIELDS
    assert message.text.endswith("X-2999: y\n\nHello\n")


def test_a_header_is_read_up_to_a_size() -> None:
    message = parse(b"X: " + b"y" * 3 * structure.MAX_HEADER + b"\nSubject: Hi\n\nHello\n")
    assert len(message["X"]) <= structure.MAX_HEADER
    assert message.text.endswith("Subject: Hi\n\nHello\n")


def test_blocks_of_a_status_are_read_up_to_a_number() -> None:
    message = parse(b"Content-Type: message/delivery-status\n\n" + b"A: b\n\n" * 5000 + b"Last: 1\n")
    assert len(message.get_payload()) <= structure.MAX_PARTS
    assert b"Last: 1" in message.get_content_bytes()


def test_only_the_header_is_read_if_that_is_all_that_is_asked_for() -> None:
    message = parse((MAIL + multipart("b", TEXT)).encode(), headers_only=True)
    assert (message.subject, message.is_multipart()) == ("Hi", False)


def test_the_parts_are_messages_of_the_same_class() -> None:
    assert {type(each) for each in parse((MAIL + multipart("b", TEXT, HTML)).encode()).walk()} == {
        InboundMessage
    }
