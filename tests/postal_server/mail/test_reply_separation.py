import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.message import parts
from postal_server.mail.reply_separation import separate
from tests.each import each

from .recordings import inbound_payloads

RECORDED = [row for row in inbound_payloads() if "replies_from_plain_body" in row[2]]


@each("name, raw, payload, is_form", RECORDED, ids=[row[0] for row in RECORDED])
def test_recorded_replies_are_separated_as_postal_does(name, raw, payload, is_form):
    shown = parts(raw)
    separated = separate(shown.plain_body, is_undeclared=shown.is_undeclared)
    assert separated == (payload["plain_body"], payload["replies_from_plain_body"])


@each(
    "text, body, cut",
    [
        ("text\r\n-- \r\nAnn\r\n", "text", "-- \nAnn"),
        ("text\n---------- \nAnn", "text", "---------- \nAnn"),
        ("text\n--\nAnn", "text\n--\nAnn", None),
        ("text\n----------- \nAnn", "text\n----------- \nAnn", None),
        ("> -- \nx", "> -- \nx", None),
        ("a\n----- Original Message -----\nold", "a", "----- Original Message -----\nold"),
        ("a\n>> -----Original Message-----\nold", "a", ">> -----Original Message-----\nold"),
        ("a\n------Original Message-----\nold", "a\n------Original Message-----\nold", None),
        ("a\n> From: x\n\nDate: y\nold", "a", "> From: x\n\nDate: y\nold"),
        ("a\n> From: x\n> Sent: y", "a\n> From: x\n> Sent: y", None),
        ("a\nFrom: x\nTo: y", "a\nFrom: x\nTo: y", None),
        ("a\n-----Ursprüngliche Nachricht----- \nold", "a", "-----Ursprüngliche Nachricht----- \nold"),
        ("a\n-----Ursprüngliche Nachricht-----\nold", "a\n-----Ursprüngliche Nachricht-----\nold", None),
        ("a\n\nLe 2 janvier 2023, T a écrit :\n> b", "a\n\n> b", "Le 2 janvier 2023, T a écrit :"),
        ("a\nLe 1 a écrit :\n> b", "a\nLe 1 a écrit :\n> b", None),
        ("a\n" + "_" * 18 + "\nold", "a", "_" * 18 + "\nold"),
        ("a\n" + "_" * 17 + "\nold", "a\n" + "_" * 17 + "\nold", None),
        ("a\nOn Monday,\nthe second, T\nwrote:\n> b", "a", "On Monday,\nthe second, T\nwrote:\n> b"),
        (">\n\n\tOn Monday the second T wrote:\nb", "", ">\n\n\tOn Monday the second T wrote:\nb"),
        ("a >\n\nOn Monday the second T wrote:\nb", "a >", "On Monday the second T wrote:\nb"),
        ("a On Monday the second T wrote:\nb", "a On Monday the second T wrote:\nb", None),
        (
            "Le 2 janvier 2023, A a écrit :\nx\nLe 3 janvier 2023, B a écrit :\ny",
            "x\n\ny",
            "Le 3 janvier 2023, B a écrit :\nLe 2 janvier 2023, A a écrit :",
        ),
        ("a\n>> One of these days T wrote:\nb", "a", ">> One of these days T wrote:\nb"),
        ("a\n> > On Monday the second T wrote:\nb", "a\n> > On Monday the second T wrote:\nb", None),
        ("a\nOn Monday the second T wrote: b", "a\nOn Monday the second T wrote: b", None),
        ("a\non Monday the second T wrote:", "a\non Monday the second T wrote:", None),
        ("a\nSent from my phone", "a", "Sent from my phone"),
        ("a\n=== Please reply above this line ===\nb", "a", "=== Please reply above this line ===\nb"),
        ("a\n" + "> q\n" * 10 + "b", "a\nb", ("> q\n" * 10).strip()),
        ("a\n" + "> q\n" * 9 + "b", "a\n" + "> q\n" * 9 + "b", None),
        ("a\n" + "> q\n" * 9 + "> q", "a", ("> q\n" * 10).strip()),
        ("a\nOn Monday the second T wrote:\nb\n-- \nc", "a", "On Monday the second T wrote:\nb\n\n-- \nc"),
        ("", "", None),
        (None, "", None),
    ],
)
def test_each_rule(text, body, cut):
    assert separate(text) == (body, cut)


def test_in_unconverted_text_an_umlaut_is_two_bytes():
    text = "Oui.\nLe 2 janvier 2023, T a écrit :"
    assert separate(text, is_undeclared=True) == (text, None)
    assert separate(text.replace("é", "e"), is_undeclared=True)[0] == "Oui."


@given(st.text(alphabet=st.sampled_from("On wrote:>-_ \n\rFrLe"), max_size=300))
def test_separating_never_raises(text):
    body, cut = separate(text)
    assert "\r" not in body + (cut or "")


FLOODS = [">", "> \n", "On ", "On\n", "From:\n", "_", "_\n", " ", "\n", "-- ", "Le a "]


@pytest.mark.parametrize("flood", FLOODS, ids=map(repr, FLOODS))
def test_a_flood_is_read_in_linear_time(flood):
    start = time.process_time()
    separate(flood * (200_000 // len(flood)))
    assert time.process_time() - start < 3
