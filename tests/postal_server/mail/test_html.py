import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.html import MAX_OPEN, MAX_TAGS, clean, clean_css
from tests.each import each

PNG = "data:image/png;base64,iVBORw0KGgo="


@each(
    "html",
    [
        '<link rel="preconnect" href="https://evil.example">',
        "<LINK REL=dns-prefetch HREF=//evil.example>",
        '<link rel="stylesheet" href="https://evil.example/a.css">',
        '<meta http-equiv="refresh" content="0; url=https://evil.example">',
        '<base href="https://evil.example/">',
        '<script src="https://evil.example/a.js"></script>',
        "<script>fetch('https://evil.example')</script>",
        '<img src="https://evil.example/a.png" srcset="https://evil.example/b.png 2x">',
        '<img src="//evil.example/a.png">',
        "<img src=\"data:image/svg+xml,<svg xmlns='' onload=evil>\">",
        '<table background="https://evil.example/a.png"><tr><td>',
        '<body background="https://evil.example/a.png" onload="evil()">',
        '<p onclick="evil()" onmouseover=evil()>',
        '<form action="https://evil.example"><input name=evil><button formaction=//evil.example>',
        '<iframe src="https://evil.example"></iframe>',
        "<iframe srcdoc='<script>evil</script>'></iframe>",
        '<object data="https://evil.example"></object><embed src="https://evil.example">',
        '<video poster="https://evil.example" src="https://evil.example"></video><audio src=//evil.example>',
        '<svg><image href="https://evil.example/a.png"/><script>evil</script></svg>',
        "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=evil&gt;'>",
        '<noscript><p title="</noscript><img src=x onerror=evil>"></noscript>',
        '<a href="javascript:evil()">x</a><a href=" java&#x09;script:evil">x</a>',
        '<a href="data:text/html,evil">x</a><a href=vbscript:evil>x</a>',
        '<a href="https://ok.example/" ping="https://evil.example">x</a>',
        '<p style="background: url(https://evil.example)">',
        '<p style="background: u\\72l(https://evil.example)">',
        '<p style="background: \\000075 rl(https://evil.example)">',
        "<p style=\"background-image: image-set('https://evil.example/a.png' 1x)\">",
        '<p style="width: expression(evil())">',
        "<style>@import 'https://evil.example/a.css';</style>",
        "<style>@\\69mport url(https://evil.example)</style>",
        "<style>a{b:url(//evil.example)}</style>",
        "<style>@font-face{font-family:x;src:url(https://evil.example)}</style>",
        "<style>p{background:URL( 'https://evil.example' )}</style>",
        "<style></p></style title='</style><img src=x onerror=evil>'>",
        "<template><img src=//evil.example></template>",
        "<!--[if mso]><img src=//evil.example><![endif]-->",
    ],
)
def test_nothing_that_runs_or_connects_elsewhere_is_left(html):
    for shown in (clean(html), clean(f"<html><head>{html}</head><body>x</body></html>")):
        assert "evil" not in shown


def test_a_style_is_text_even_where_a_drawing_makes_it_markup():
    assert clean("<svg><style><img src=x onerror=run()></style></svg>") == (
        "<style>img src=x onerror=run()></style>\n<img>"
    )


def test_the_mail_stays_recognizable():
    table = '<table border="1" cellpadding="3" width="600"><tbody><tr><td style="color:red;padding:3px"'
    shown = clean(
        "<html><head><title>T</title><style>.a { color: red; background: url(x) }</style></head><body>"
        f'{table} bgcolor="#fff" align="center" class="a">x</td></tr></tbody></table>'
        f'<font face="Arial" size="2">f</font> <img src="{PNG}" alt="pic" width="5">'
        '<a href="https://ok.example/?a=1&amp;b=2">ok</a><a href="mailto:a@b.example">write</a>'
    )
    assert shown.startswith("<style>.a { color: red;}</style>\n")
    assert f'{table} bgcolor="#fff" align="center" class="a">x</td>' in shown
    assert '<font face="Arial" size="2">f</font>' in shown
    assert f'<img src="{PNG}" alt="pic" width="5">' in shown
    assert 'href="https://ok.example/?a=1&amp;b=2"' in shown
    assert 'href="mailto:a@b.example"' in shown


@each(
    "css, kept",
    [
        ("color: red; font: 12px a", "color: red; font: 12px a"),
        ("color: red; background: url(x); margin: 0", "color: red;; margin: 0"),
        ("a{b:c}@media print{a{b:c}}", "a{b:c}@media print{a{b:c}}"),
        ("a{background:u/**/rl(x)}", "a{background:u rl(x)}"),
        ("a{b:/* url(x) */c}", "a{b: c}"),
        ("content: '\\201C'", "content: '\\201C'"),
        ("b: \\55\\52\\4C(x)", ""),
    ],
)
def test_css_keeps_all_but_what_names_another_resource(css, kept):
    assert clean_css(css) == kept


@given(st.text("urlURL\\/*;{}()'\"@import 0123456789abcdef<>-", max_size=60))
def test_no_css_ends_its_block_or_fetches(text):
    shown = clean(f"<style>{text}</style><p>x</p>")
    before, _, _ = shown.partition("<p>x</p>")
    assert before.count("<style>") == before.count("</style>") <= 1
    assert "url(" not in before.lower()
    assert "@import" not in before.lower()


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * (MAX_OPEN + 1) + "</div>" * (MAX_OPEN + 1),
        "<p><div>" * (MAX_OPEN + 1),
        "<p>" * (MAX_TAGS + 1),
        "x &amp; " * 100_000,
        "<div " + " ".join(f"a{n}" for n in range(100_000)) + ">",
        "".join(f"<b id={n}>" for n in range(2 * MAX_OPEN)) + "<p>" * 10_000,
    ],
)
def test_what_cannot_be_cleaned_in_time_is_shown_as_text(html):
    start = time.process_time()
    shown = clean(html)
    assert time.process_time() - start < 0.5
    assert shown.startswith('<pre style="white-space: pre-wrap">')
    assert "<" not in shown.removeprefix("<pre").removesuffix("</pre>")


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * MAX_OPEN,
        "<style>" + "a{b:\\75 rl(x)}" * 15_000 + "</style>",
        "<style>" + "/*" * 100_000 + "</style>",
        "<style" * 5000 + ">",
        "x" * 5_000_000,
        f"<img src='data:image/png;base64,{'A' * 2_000_000}'>",
        "<table>" + "<tr><td style='color:red'>x</td></tr>" * 5000 + "</table>",
    ],
)
def test_time_to_clean_is_bounded(html):
    clean(html)  # the first use pays for the import
    start = time.process_time()
    clean(html)
    assert time.process_time() - start < 0.5
