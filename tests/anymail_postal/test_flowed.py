"""format=flowed (RFC 3676), read as mail programs show it."""

from anymail_postal.flowed import join_lines
from tests.each import each

FLOWED = {
    "nothing to join": ("a\nb\n", "a\nb\n"),
    "a paragraph": ("Hello \nthere, \nAnn.\nBye\n", "Hello there, Ann.\nBye\n"),
    "an empty line ends it": ("a \n\nb\n", "a \n\nb\n"),
    "stuffed": (" From me\n >no quote\n  two\n", "From me\n>no quote\n two\n"),
    "stuffed within a paragraph": ("a \n >b\n", "a >b\n"),
    "signature": ("Hi \n-- \nAnn \nExample\n", "Hi \n-- \nAnn Example\n"),
    "signature behind a fixed line": ("Hi\n-- \nAnn\n", "Hi\n-- \nAnn\n"),
    "quotes": ("> a \n> b\n> c\nd\n", "> a b\n> c\nd\n"),
    "deeper quotes": (">> a \n>> b\n> c\n", ">> a b\n> c\n"),
    "a change of depth ends it": ("> a \n>> b \nc\n", "> a \n>> b \nc\n"),
    "an empty quoted line": ("> a\n>\n> b\n", "> a\n>\n> b\n"),
    "quote without its blank": (">a \n>b\n", "> ab\n".replace("ab", "a b")),
    "no line end": ("a \nb", "a b"),
    "empty": ("", ""),
    "last line is flowed": ("a \n", "a \n"),
}


@each("text, shown", FLOWED.values(), ids=FLOWED)
def test_lines_are_joined(text, shown):
    assert join_lines(text) == shown


DELSP = {
    "within a word": ("Donau \ndampf \nschiff\n", "Donaudampfschiff\n"),
    "blank kept": ("two  \nwords\n", "two words\n"),
    "a link": ("https://example.test/ \nlong/path\n", "https://example.test/long/path\n"),
    "no spaces": ("日本 \n語\n", "日本語\n"),
    "quoted": ("> a \n> b\n", "> ab\n"),
    "signature": ("-- \nAnn\n", "-- \nAnn\n"),
}


@each("text, shown", DELSP.values(), ids=DELSP)
def test_delsp_takes_the_blank_away(text, shown):
    assert join_lines(text, delsp=True) == shown
