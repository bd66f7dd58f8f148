import html.entities

from postal_server.mail import html_tags
from postal_server.mail.html_tags import find_tags, unquote
from tests.each import each

NAMES = frozenset([b"a", b"base", b"/body"])


def found(document):
    """The tags of a document, each with the values of its attributes as they stand."""
    data = document.encode()
    return [
        (tag.name.decode(), {n.decode(): data[slice(*place)].decode() for n, place in tag.attributes.items()})
        for tag in find_tags(data, NAMES)
    ]


@each(
    "tag, attributes",
    [
        ("<a>", {}),
        ("<A HREF=X>", {"href": "X"}),
        ("<a href='x>y'>", {"href": "'x>y'"}),
        ('<a href="x>y" b>', {"href": '"x>y"', "b": ""}),
        ("<a\thref\n=\r\n x>", {"href": "x"}),
        ("<a\fhref=x/>", {"href": "x/"}),
        ("<a/href=x>", {"href": "x"}),
        ("<a / href=x>", {"href": "x"}),
        ("<a b='c'href=x>", {"b": "'c'", "href": "x"}),
        ("<a href=x href=y HREF=z>", {"href": "x"}),
        ("<a href=>", {"href": ""}),
        ("<a href= >", {"href": ""}),
        ('<a href="">', {"href": '""'}),
        ("<a href==x>", {"href": "=x"}),
        ("<a =href=x>", {"=href": "x"}),
        ('<a x"y href=z>', {'x"y': "", "href": "z"}),
        ("<a data-href=x>", {"data-href": "x"}),
        ("<a b=c'd href=x>", {"b": "c'd", "href": "x"}),
    ],
)
def test_attributes_are_those_of_a_browser(tag, attributes):
    assert found(f"x{tag}y") == [("a", attributes)]


@each(
    "text",
    [
        "<ab href=x>", "<a", "<a href='x>", "< a href=x>", "<a.b>", "&lt;a>", "<!-- <a> -->", "<!-- <a> --",
        "<!--><!-- <a> -->", "<!--[if mso]><a><![endif]-->", "<!--!><a>-->", "<!-- <!-- <a> -->",
        "<! <a x>", "<? <a x>", "</ <a x>", "<!doctype '<a>'", "</a>", "<script><a></script>",
        "<SCRIPT>if (a <a> b)</script x>", "<script><!--<script></script><a>--></script>",
        "<style><a></style>", "<title><a></title>", "<textarea><a></textareas><a></textarea>",
        "<xmp><a></xmp>", "<iframe><a></iframe>", "<noembed><a></noembed>", "<noframes><a></noframes>",
        "<plaintext><a>", "<style/><a></style>", "<style x='</style><a>'><a>", "<b title='<a>'>",
        '<b title="<a>" x>', "<b x =\n'<a>'>", "<template><a></template>",
        "<template><template></template><a></template>", "<svg><![CDATA[ <a> ]]></svg>",
        "<math><![cdata[ > <a> ]]></math>",
    ],
)  # fmt: skip
def test_what_looks_like_a_tag_and_is_none(text):
    assert found(text) == []


@each(
    "text",
    [
        "<!--><a>", "<!---><a>", "<!----><a>", "<!-- --!><a>", "<!--[if !mso]><!--><a><!--<![endif]-->",
        "<![if !mso]><a><![endif]>", "<![CDATA[ > <a> ]]>", "<svg/><![CDATA[ > <a>",
        "<svg><style><a></style></svg>", "<svg><p><![CDATA[ > <a>", "<svg><script></svg><a>",
        "<noscript><a></noscript>", "<style></style><a>", "<style></STYLE\n><a>",
        "<script><!-- </script><a>", "<script><!--<script></script></script><a>",
        "<script><!--<script>--></script><a>", "<script><!--></script><a>", "<scripts><a>",
        "<b x=\"y\"'><a>", "<b =\"><a>", "<b x=y'><a>", "<<a>", "</><a>",
        "<template></template></template><a>", "<b c=/><a>", "<1><a>", "<b <><a>",
        "<textarea></textarea><a>", "\0<a>",
    ],
)  # fmt: skip
def test_a_tag_behind_what_looks_like_none(text):
    assert found(text) == [("a", {})]


def test_offsets_are_those_of_the_document():
    document = b"x <a href='y'> z</BODY >"
    tags = list(find_tags(document, NAMES))
    assert [document[tag.start : tag.end] for tag in tags] == [b"<a href='y'>", b"</BODY >"]
    assert document[slice(*tags[0].attributes[b"href"])] == b"'y'"


def test_no_document_is_read_without_end():
    document = b"<a>" + b"<b x=y>" * html_tags.MAX_STEPS + b"<a>"
    assert len(list(find_tags(document, NAMES))) == 1
    assert list(find_tags(b"<a " + b"x " * html_tags.MAX_STEPS + b"><a>", NAMES)) == []


@each(
    "value, text",
    [
        ("plain", "plain"),
        ("'a\"b'", 'a"b'),
        ('"a\'b"', "a'b"),
        ('""', ""),
        ("&amp;", "&"),
        ("a&b", "a&b"),
        ("?a&currency=1", "?a&currency=1"),
        ("?a&copy=1", "?a&copy=1"),
        ("?a&copy", "?a©"),
        ("?a&copy;=1", "?a©=1"),
        ("?a&copy=", "?a&copy="),
        ("?a&copy1", "?a&copy1"),
        ("?a&copyx;", "?a&copyx;"),
        ("?a&copy&copy;", "?a©©"),
        ("?a&copy/", "?a©/"),
        ("?a&copy\u00e9", "?a©\u00e9"),
        ("&notit;", "&notit;"),
        ("&notin;", "∉"),
        ("&notin", "&notin"),
        ("&euro", "&euro"),
        ("&NotEqualTilde;", "≂̸"),
        ("&unknown;", "&unknown;"),
        ("&AMP;&AMP", "&&"),
        ("&amp;lt;", "&lt;"),
        ("&#65;&#x41;&#X41;&#0065", "AAAA"),
        ("&#65=&#x41g", "A=Ag"),
        ("&#;&#x;&#xg", "&#;&#x;&#xg"),
        ("&#0;&#x110000;&#xD800;", "\ufffd" * 3),
        ("&#99999999999999999999;", "\ufffd"),
        (f"&#{'9' * 9999};&#x{'F' * 9999};", "\ufffd\ufffd"),
        ("&#128;&#x9f;&#x81;", "€Ÿ\x81"),
        ("&#x1F600;&#xFFFF;&#1;", "😀\uffff\x01"),
        ("&#13;&#10;", "\r\n"),
        ("&", "&"),
        ("a\0b", "a\ufffdb"),
    ],
)  # fmt: skip
def test_character_references_are_those_of_attributes(value, text):
    assert unquote(value) == text


def test_every_named_reference():
    for name, text in html.entities.html5.items():
        assert unquote(f"&{name}") == text
        assert unquote(f"&{name.rstrip(';')}=1") == f"&{name.rstrip(';')}=1"
