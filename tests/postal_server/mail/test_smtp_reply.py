from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.smtp_reply import MAX_LINES, Reply
from tests.each import each

ARABIC = "\u0662\u0665\u0660 digits of another script"


@each(
    "lines, reply",
    [
        ([b"250 OK\r\n"], Reply(250, "OK")),
        ([b"250 2.0.0 Ok: queued as SINK"], Reply(250, "Ok: queued as SINK", "2.0.0")),
        (
            [b"550-5.1.1 no such user\r\n", b"550 5.1.1 try another\r\n"],
            Reply(550, "no such user\ntry another", "5.1.1"),
        ),
        ([b"334"], Reply(334, "")),
        ([b"354 Go ahead"], Reply(354, "Go ahead")),
        ([b"550 2.1.1 of another class"], Reply(550, "2.1.1 of another class")),
        ([b"450 4.7.1"], Reply(450, "", "4.7.1")),
        ([b"not a reply"], Reply(0, "not a reply")),
        ([b"250-ok", b"garbage"], Reply(0, "ok\ngarbage")),
        ([ARABIC.encode()], Reply(0, ARABIC)),
        ([b"421 Gr\xfc\xdfe\0"], Reply(421, "Grüße")),
        ([], Reply(0, "")),
    ],
)
def test_replies_are_parsed(lines, reply):
    assert Reply.parse(lines) == reply


@each(
    "code, positive, permanent, understood",
    [
        (0, False, False, False),
        (199, False, False, False),
        (220, True, False, True),
        (354, True, False, True),
        (451, False, False, True),
        (550, False, True, True),
        (600, False, False, False),
    ],
)
def test_the_class_of_a_code(code, positive, permanent, understood):
    reply = Reply(code, "")
    assert (reply.is_positive, reply.is_permanent, reply.is_understood) == (positive, permanent, understood)


def test_a_reply_reads_as_on_the_wire():
    assert str(Reply(550, "no such user", "5.1.1")) == "550 5.1.1 no such user"
    assert str(Reply(250, "one\ntwo")) == "250-one\n250 two"


def test_a_flood_of_lines_is_cut():
    assert Reply.parse([b"250-x"] * 5000).text.count("\n") == MAX_LINES - 1


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_parsing_never_raises(lines):
    assert "\r" not in Reply.parse(lines).text
