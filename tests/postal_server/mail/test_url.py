import pytest

from postal_server.mail.url import base_url, resolve
from tests.each import each


@each(
    "link",
    [
        "https://a.example", "http://a.example/", "https://A.example:8080?x", "https://a.example/%zz?'#\"\\",
        "https://a.example/?a=1&b=2",
    ],
)  # fmt: skip
def test_a_link_that_means_the_same_everywhere_stays_as_written(link):
    assert resolve(link).url == link


@each(
    "link, url",
    [
        (" https://a.example/ \n", "https://a.example/"),
        ("ht\ttps://a.ex\nample/", "https://a.example/"),
        ("HTTPS://A.example/X", "https://a.example/X"),
        ("https:a.example", "https://a.example/"),
        ("https:\\\\a.example\\x", "https://a.example/x"),
        ("https://a.example/ü?ü#ü", "https://a.example/%C3%BC?%C3%BC#%C3%BC"),
        ("https://bücher.example", "https://xn--bcher-kva.example/"),
        ("https://user:word@a.example/", "https://user:word@a.example/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
    ],
)
def test_other_links_are_spelt_as_browsers_do(link, url):
    assert resolve(link).url == url


@each(
    "link",
    [
        "", " ", "#top", " #top", "/x", "x", "?x", "//a.example/", "mailto:a@a.example", "javascript:x",
        "ftp://a.example", "data:,x", "cid:x", "https://", "http://a.example:x/", "http://a.example:65536/",
        "http://[::1/", "http://a<b/", "http://1.2.3.4.5/", "http+notrack://a.example/",
        "tel:1",
    ],
)  # fmt: skip
def test_what_does_not_lead_to_the_web(link):
    assert resolve(link) is None


@each(
    "link, url",
    [
        ("d", "https://a.example/b/d"),
        ("../d?e#f", "https://a.example/d?e#f"),
        ("/d", "https://a.example/d"),
        ("\\d", "https://a.example/d"),
        ("?d", "https://a.example/b/c?d"),
        ("//d.example", "https://d.example/"),
        ("https:d", "https://a.example/b/d"),
        ("http:d.example", "http://d.example/"),
        ("http://d.example", "http://d.example"),
    ],
)
def test_relative_links_hang_on_the_base(link, url):
    assert resolve(link, "https://a.example/b/c?x#y").url == url


@pytest.mark.parametrize("link", ["", "#d", "mailto:x"])
def test_a_base_does_not_change_links_within_the_mail_or_to_elsewhere(link):
    assert resolve(link, "https://a.example/") is None


@each(
    "link, base",
    [
        ("https://a.example", "https://a.example/"),
        ("mailto:x", "mailto:x"),
        ("/x", None),
        ("https://", None),
        ("data:,x", None),
        ("javascript:x", None),
    ],
)
def test_what_a_document_may_be_based_on(link, base):
    assert base_url(link) == base


def test_nothing_hangs_on_an_address():
    assert resolve("x", "mailto:y") is None


@each(
    "charset, query",
    [
        ("utf-8", "%C3%B6%E2%82%AC"),
        ("cp1252", "%F6%80"),
        ("cp1251", "%26%23246%3B%88"),
        ("shift_jis", "%26%23246%3B%26%238364%3B"),
    ],
)
def test_a_query_is_in_the_charset_of_the_document(charset, query):
    assert (
        resolve("https://a.example/ö?ö€#ö", charset=charset).url == f"https://a.example/%C3%B6?{query}#%C3%B6"
    )


def test_a_charset_with_shifts_shifts_once_for_a_run_of_characters():
    link = resolve("https://a.example/?日本x☃", charset="iso2022_jp")
    assert link.url == "https://a.example/?%1B$BF|K\\%1B(Bx%26%239731%3B"


def test_hosts_are_compared_in_each_spelling():
    assert resolve("https://A.Example:81/").hosts == ("a.example:81",)
    assert set(resolve("https://BÜCHER.example/").hosts) == {"xn--bcher-kva.example", "bücher.example"}
    assert set(resolve("https://xn--bcher-kva.example/").hosts) == {"xn--bcher-kva.example", "bücher.example"}
    assert resolve("https://x@a.example/").hosts[0] == "a.example"
