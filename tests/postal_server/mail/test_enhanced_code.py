"""Codes in words."""

from postal_server.mail.enhanced_code import enhanced_code, find_status
from tests.each import each


@each(
    "text, status",
    [
        ("550 5.1.1 unknown", "5.1.1"),
        ("(#5.7.1)", "5.7.1"),
        ("Exim 4.2.1 said 550-5.1.10 gone", "5.1.10"),
        ("status: 4.4.7", "4.4.7"),
        ("said 5.1.1. Bye", "5.1.1"),
        ("from 5.1.1.9", None),
        ("version 4.92.3", None),
        ("550 unknown", None),
        ("[#4.16.1]", "4.16.1"),
    ],
)
def test_the_code_in_words(text, status):
    assert find_status(text) == status


@each(
    "text, expected",
    [
        ("550 5.1.1 No such user (4.0.0)", "5.1.1"),
        ("550-5.7.26 This mail", "5.7.26"),
        ("Sorry, no mailbox here by that name. (#5.1.1)", "5.1.1"),
        ("see 5.1.1.9 and 5.1.1.", "5.1.1"),
        ("Exim 4.96 at 192.0.2.5", None),
        ("2.1.5 OK", None),
    ],
)
def test_the_code_of_a_failure_follows_its_reply_code(text, expected):
    assert find_status(text, "45") == expected


def test_the_first_code_of_a_reply_counts():
    assert enhanced_code("550-5.7.26 no (#5.7.1)") == ("5", "7", "26")
    assert enhanced_code("192.0.2.5 is listed") is None
