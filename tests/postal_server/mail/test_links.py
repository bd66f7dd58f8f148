import time

import pytest

from postal_server.mail import links
from postal_server.mail.links import can_be_read, links_in_text, read_page
from tests.each import each


def targets(document, charset="utf-8", encoding="utf-8"):
    return [link.target.url for link in read_page(document.encode(encoding), charset).links]


@each(
    "document, found",
    [
        ("<a href=https://a.example/1>", ["https://a.example/1"]),
        ("<map><area href=https://a.example/1></map>", ["https://a.example/1"]),
        (
            "<base href=https://a.example/><link href=https://a.example/1><form action=https://a.example/2>",
            [],
        ),
        ("<a data-href=https://a.example/1 xhref=https://a.example/2>", []),
        ("<v:a href=https://a.example/1><abbr href=https://a.example/2>", []),
        (
            "<!--[if mso]><v:roundrect href='https://a.example/1'><a href='https://a.example/2'><![endif]-->",
            [],
        ),
        ("<template><base href=https://a.example/></template><a href=x>", []),
        ("<a href=x>", []),
    ],
)
def test_only_what_a_person_follows_is_a_link(document, found):
    assert targets(document) == found


@each(
    "bases, found",
    [
        ("<base href=https://a.example/b/>", ["https://a.example/b/x"]),
        ("<base target=_top><base href=https://a.example/>", ["https://a.example/x"]),
        ("<base href=https://a.example/><base href=https://b.example/>", ["https://a.example/x"]),
        ("<base href=/y/><base href=https://b.example/>", []),
        ("<base href=''><base href=https://b.example/>", []),
        ("<base href=ftp://a.example/>", []),
        ("<base href=javascript:1>", []),
    ],
)
@each("is_first", [True, False])
def test_relative_links_hang_on_the_first_base_wherever_it_stands(bases, found, is_first):
    assert targets(bases + "<a href=x>" if is_first else "<a href=x>" + bases) == found


@each(
    "charset, encoding, url",
    [
        ("utf-8", "utf-8", "https://a.example/%C3%BC?%C3%BC"),
        ("iso-8859-1", "latin-1", "https://a.example/%C3%BC?%FC"),
        ("us-ascii", "latin-1", "https://a.example/%C3%BC?%FC"),
        ("us-ascii", "utf-8", "https://a.example/%C3%BC?%C3%BC"),
        ("", "latin-1", "https://a.example/%C3%BC?%FC"),
        ("no-such-charset", "utf-8", "https://a.example/%C3%BC?%C3%BC"),
    ],
)
def test_a_link_is_read_in_the_charset_of_the_mail(charset, encoding, url):
    assert targets("<a href='https://a.example/ü?ü'>", charset, encoding) == [url]


def test_a_link_that_is_no_text_is_left_alone():
    assert targets("<a href='https://a.example/ü'><a href=https://b.example>", "utf-8", "latin-1") == [
        "https://b.example"
    ]


@each("charset", ["shift_jis", "euc-jp", "iso-2022-jp", "gb2312", "big5", "euc-kr"])
def test_links_are_found_in_asian_charsets(charset):
    word = "안녕" if charset == "euc-kr" else "日本"
    document = f"<p>{word}</p><a title='{word}' href='https://a.example/1'>{word}</a> {word}</body>"
    page = read_page(document.encode(charset), charset)
    assert can_be_read(charset)
    assert [link.target.url for link in page.links] == ["https://a.example/1"]
    assert len(page.body_ends) == 1


def test_double_bytes_of_iso_2022_jp_are_no_tags():
    # These two characters are spelt `<a` and `>>` there.
    data = b"\x1b$B<a\x1b(B <a href=https://a.example/>\x1b$B>>\x1b(B</a>"
    assert len(read_page(data, "iso-2022-jp").links) == 1
    assert links_in_text(
        b"https://a.example/\x1b$B0!\x1b(B https://b.example/ ", "iso-2022-jp", is_broken=False
    )[0].target.url == ("https://b.example/")


@each(
    "charset",
    [
        "US-ASCII",
        "UTF-8",
        "utf8",
        "ISO-8859-15",
        "latin1",
        "Windows-1252",
        "cp1251",
        "KOI8-R",
        "cp932",
        "",
        "x",
    ],
)
def test_links_are_found_in_western_charsets(charset):
    assert can_be_read(charset)


@each("charset", ["utf-16", "utf-7", "utf-32", "hz-gb-2312", "iso-2022-kr", "cp1140"])
def test_charsets_in_which_ascii_means_something_else_are_not_read(charset):
    assert not can_be_read(charset)


def test_a_body_ends_where_postal_sees_it():
    assert read_page(b"<!--</body>-->x</body>y</BODY></body >", "utf-8").body_ends == [15]


@each(
    "text, found",
    [
        ("https://a.example/b-c?d-e#f-g", ["https://a.example/b-c?d-e#f-g"]),
        ("“https://a.example/”, „https://b.example/.“", ["https://a.example/", "https://b.example/"]),
        ("«https://a.example», https://b.example/…", ["https://a.example", "https://b.example/"]),
        ("https://a.example/\xa0and https://b.example/\u3000", ["https://a.example/", "https://b.example/"]),
        ("点击https://a.example/，（https://b.example/）。", ["https://a.example/", "https://b.example/"]),
        ("(https://a.example/1),(https://a.example/2)", ["https://a.example/1", "https://a.example/2"]),
        ("[https://a.example/1](https://a.example/2)x", ["https://a.example/1", "https://a.example/2"]),
        ("['https://a.example/1','https://a.example/2']", ["https://a.example/1", "https://a.example/2"]),
        ("(https://a.example/b_(c)_d)", ["https://a.example/b_(c)_d"]),
        ("[https://a.example/b[c]]", ["https://a.example/b[c]"]),
        ("(https://a.example/b-'c)", ["https://a.example/b-'c"]),
        # who knows where these end
        ("https://a.example/it’s https://a.example/b–c https://a.example/b—c", []),
        ("'https://a.example/it's' (https://a.example/b(c", []),
        ("https://a.example/bü https://a.example/b😀 https://a.example", ["https://a.example"]),
    ],
)
def test_links_in_text_end_where_a_reader_sees_it(text, found):
    read = links_in_text(text.encode(), "utf-8", is_broken=False)
    assert [link.target.url for link in read] == found


@each("charset", ["shift_jis", "euc-jp", "gb18030", "big5", "windows-1252"])
def test_signs_behind_links_are_read_in_the_charset_of_the_mail(charset):
    text = "“https://a.example/”" if charset == "windows-1252" else "「https://a.example/」"
    (link,) = links_in_text(text.encode(charset), charset, is_broken=False)
    assert link.target.url == "https://a.example/"


@pytest.mark.parametrize(
    "text", ["(https://a.example/(", "(https://a.example/)", "'https://a.example/'x", "([https://a.example/["]
)
def test_links_in_text_are_found_in_linear_time(text):
    data = text.encode() * (links.MAX_TEXT_BYTES // len(text))
    began = time.process_time()
    links_in_text(data, "utf-8", is_broken=False)
    assert time.process_time() - began < 1


def test_no_part_has_links_without_end():
    many = links.MAX_LINKS + 1
    assert len(read_page(b"<a href=https://a.example/>" * many, "utf-8").links) == links.MAX_LINKS
    assert len(links_in_text(b"https://a.example/ " * many, "utf-8", is_broken=False)) == links.MAX_LINKS
    assert len(read_page(b"x</body>" * many, "utf-8").body_ends) == links.MAX_LINKS


def test_text_is_read_up_to_a_megabyte():
    text = b"\n" * links.MAX_TEXT_BYTES + b"https://a.example/"
    assert links_in_text(text, "utf-8", is_broken=False) == []
