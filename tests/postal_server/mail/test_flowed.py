from postal_server.mail.flowed import join_lines
from tests.each import each


@each(
    "text, joined",
    [
        (b"", b""),
        (b"a \r\nb\r\n", b"ab\r\n"),
        (b"a \nb \nc", b"abc"),
        (b"a  \r\nb", b"a b"),
        (b"a\r\nb", b"a\r\nb"),
        (b"a \r\n b", b"ab"),
        (b"a \r\n  b", b"a b"),
        (b">a \r\n> b \r\n>c", b">abc"),
        (b">> a \r\n> b", b">> a \r\n> b"),
        (b"a \r\n>b", b"a \r\n>b"),
        (b"-- \r\na", b"-- \r\na"),
        (b"a \r\n-- \r\nb", b"a \r\n-- \r\nb"),
        (b"> -- \r\n> a", b"> -- \r\n> a"),
        (b"a \r\n \r\nb", b"a\r\nb"),
        (b"a ", b"a "),
    ],
)
def test_broken_lines_are_joined(text, joined):
    assert join_lines(text).text == joined


def test_every_byte_knows_where_it_stood():
    text = b"> one \r\n> two \r\n> three\r\nfour \r\n five"
    joined = join_lines(text)
    assert joined.text == b"> onetwothree\r\nfourfive"
    assert bytes(text[joined.origin(offset)] for offset in range(len(joined.text))) == joined.text
