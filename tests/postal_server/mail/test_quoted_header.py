from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.header import header_values, message_id
from postal_server.mail.quoted_header import find_header
from tests.each import each

HEADER = "Received: from a by b;\n\tMon, 2 Nov 2026\nX-Postal-MsgID: tok1\nMessage-ID:\n <m@d.example>\n"


def quote(prefix):
    return "".join(f"{prefix}{line}\n" for line in HEADER.splitlines())


@each("prefix", ["", "> ", ">", "    ", " | "])
def test_a_header_is_found_however_it_is_quoted(prefix):
    text = f"Your mail failed.\n\n{quote(prefix)}\nHello\n"
    start, header = find_header(text)
    assert start == len("Your mail failed.\n\n")
    assert (message_id(header), header_values(header, "X-Postal-MsgID")) == ("m@d.example", ["tok1"])


def test_what_the_returned_mail_quotes_is_not_its_header():
    text = f"{HEADER.replace('tok1', 'own').replace('m@d', 'own@d')}\nHello\n\n{quote('> ')}"
    header = find_header(text)[1]
    assert (message_id(header), header_values(header, "X-Postal-MsgID")) == ("own@d.example", ["own"])


def test_a_header_in_pieces_is_put_together():
    text = f"Sorry.\n\n{HEADER.replace('Message', chr(10) + 'Message')}"
    start, header = find_header(text)
    assert (start, message_id(header)) == (len("Sorry.\n\n"), "m@d.example")
    assert header_values(header, "X-Postal-MsgID") == ["tok1"]


def test_a_header_that_ends_is_not_continued_by_that_of_another_mail():
    text = f"X-Postal-MsgID: own\nSubject: x\n\nHello\n\n{HEADER}"
    header = find_header(text)[1]
    assert (message_id(header), header_values(header, "X-Postal-MsgID")) == (None, ["own"])


def test_a_mail_without_a_message_id_does_not_get_that_of_another():
    text = f"Received: from a by b\nSubject: x\n\n{'A long letter.' * 100}\n\n{HEADER}"
    assert find_header(text) == (0, b"")


@each(
    "text, found",
    [
        ("Your mail (Message-ID <m@d.example>) failed.", "m@d.example"),
        ("Message ID:\n  <m@d.example>", "m@d.example"),
        ("The message-id of it: <m@d.example>", "m@d.example"),
        ("Received: from a\nmust be long\nMessage-ID: <m@d.example>\n", "m@d.example"),
        ("Message-ID:\n<m@d.example>\n", "m@d.example"),
        ("Message-ID:\nunknown\n", None),
        ("no header here", None),
        ("", None),
    ],
)
def test_a_message_id_in_a_sentence_will_do(text, found):
    assert message_id(find_header(text)[1]) == found


@given(st.text(st.sampled_from("Messag-IDRceivd: <@>\n\t |x"), max_size=200))
def test_hostile_text_never_raises(text):
    start, header = find_header(text + HEADER + text)
    assert 0 <= start <= 2 * len(text) + len(HEADER)
    assert isinstance(header, bytes)
