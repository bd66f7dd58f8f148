from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.encoded_word import b_words, neutralize, unstructured
from postal_server.mail.header import decode_header
from tests.each import each


@each(
    "value, field",
    [
        ("short", "Subject: short"),
        ("", "Subject: "),
        ("trailing \t", "Subject: trailing"),
        ("Grüße", "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?="),
        (
            "Grüße 👩‍👩‍👧 aus Köln",
            "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
            " =?UTF-8?Q?_=F0=9F=91=A9=E2=80=8D=F0=9F=91=A9=E2=80=8D=F0=9F=91=A7_aus?=\r\n"
            " =?UTF-8?Q?_K=C3=B6ln?=",
        ),
        ('a "b" (c) d? e_ ü', "Subject: =?UTF-8?Q?a_=22b=22_=28c=29_d=3F_e=5F_=C3=BC?="),
        ("word " * 15 + "last", "Subject:" + " word" * 14 + "\r\n word last"),
        ("s" * 300, "Subject: " + "s" * 300),
        ("one\r\n two", "Subject: one two"),
        ("one\r\nX: two", "Subject: one=0D=0AX: two"),
    ],
)
def test_fields_are_folded_where_postal_folds_them(value, field):
    assert unstructured("Subject", value) == field


@each("value", ["ü" * 300, "s" * 2000, "x" * 950 + " ü", "\1" * 100])
def test_no_encoded_word_is_too_long(value):
    field = unstructured("Subject", value)
    lines = field.split("\r\n")
    assert max(map(len, lines)) <= 78
    assert max(len(word) for line in lines for word in line.split(" ") if word.startswith("=?")) <= 75
    assert decode_header(field.replace("\r\n", "")) == f"Subject: {value}"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=200))
def test_what_is_encoded_comes_back(text):
    if "=?" in text:
        return
    field = unstructured("X", text)
    assert all(len(line) <= 998 for line in field.split("\r\n"))
    expected = text.rstrip(" \t")
    if "=?" in field:
        expected = expected.replace("\t", " ")
    assert decode_header(field.replace("\r\n", "")) == f"X: {expected}"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200))
def test_b_words_split_no_character(text):
    words = b_words(text)
    assert max(map(len, words)) <= 75
    assert "".join(map(decode_header, words)) == text


def test_line_ends_are_neutralized():
    assert neutralize("a\rb\nc\r\n\td") == "a=0Db=0Ac\td"
