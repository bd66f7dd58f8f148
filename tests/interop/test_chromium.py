"""Where tracked links lead, and what else of a mail changes, as Debian's Chromium sees it."""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from postal_server.mail import tracking
from postal_server.web.tracking import redirect

from . import daemons

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
TRACKED = "https://click.example/server/{}"

# Written into the mail's end: what the page is, said in its place. It is not part of the mail.
REPORT = """<script>
const places = JSON.parse(decodeURIComponent("%s")).map(place => new URL(place, "https://click.example/").href);
const links = [...document.links].map(link => [link.getAttribute("href"), link.href, link.protocol]);
for (const link of document.links) link.setAttribute("href", "");
document.currentScript.remove();
for (const pixel of document.querySelectorAll(".ampimg")) pixel.remove();
const page = document.documentElement.outerHTML;
document.documentElement.innerHTML =
  "<pre id=report>" + encodeURIComponent(JSON.stringify({places, links, page})) + "</pre>";
</script>"""

HOSTS = (
    "a.example", "WWW.A.Example", "a-b.example:8080", "a_b.example", "a.example.", "bücher.example",
    "faß.example", "xn--bcher-kva.example", "例え.example", "b%C3%BCcher.example", "192.0.2.1", "0x7f.1",
    "[2001:db8::1]:81", "user@a.example", "user:p%40ss@a.example", "a.example:443", "a.example:80",
    "☃.example", "a。example",
)  # fmt: skip
TAILS = (
    "", "/", "?q=1", "#top", "/a?b=1&currency=USD&copy=2", "/a?b=1&amp;c=2", "/a?x=1&notit;&not=2&not",
    "/%C3%BC?%FC", "/ü/ä?ö=ß#é", "/a b?c d#e f", "/100%?50%&5%zz", "/a/../b/./c/%2e%2e/d", "\\a\\b",
    "/'\"<>`|^{}[]~", "?'\"<>`|^{}", "#'\"<>`|^{}[]", "/a\tb\nc\r\nd", "/a;b=c,d!e$f*g(h)@i:j", "//a//b",
    "/?url=https://b.example/?x=1&y=2#z", "/&#x41;&#66;&#128;&#0;",
    "/&euro;&NotEqualTilde;&unknown;&lt&gt=1", "/𝒳?😀", "/\u00ad\u200b?\ufeff", "/a+b?c+d=%2B", "/&",
    "/?&&=&;&amp&amp=1&ampx",
)  # fmt: skip
WHOLE = (
    "HTTP://A.Example/", "hTtPs://a.example/X", "  https://a.example/blanks  ",
    "\n\thttps://a.example/lines\n", "ht\ntps://a.example/", "https:a.example/none", "https:/a.example/one",
    "https:///a.example/three", "https:\\\\a.example\\two", "https:\\/a.example/mixed", "http://",
    "https://?x", "https://a.example:x/", "https://a.example:65536/", "https://a%00b.example/",
    "http://999.1.1.1/", "https://[::1/", "http://xn--a/", "//b.example/x", "/x/y?z", "x/y?z#w", "../x",
    "?x=1", "#x", "", " ", ".", "mailto:a@b.example", "tel:+49", "ftp://a/b", "javascript:void(0)",
    "data:text/html,x", "about:blank", "cid:a@b", "http+notrack://a.example/", "x:y", "\\\\b.example\\x",
    "https&colon;//a.example/", "&#104;ttps://a.example/", "https&#58&#47&#47;a.example",
    "\u00a0https://a.example/", "\x01https://a.example/\x02", "https://a.example/\x7f\x01",
    "http:/\n/a.example/", "http:?x", "http:#x", "https:x",
)  # fmt: skip
BASES = (
    "", "https://shop.example/news/", "http://Shop.Example:8080/a/b.html?c#d",
    "https:\\\\bücher.example/x/..", "/rel/",
)  # fmt: skip


def quoted(link: str, number: int) -> str:
    """An attribute with a link that has character references of its own, in each way to write one."""
    spaces = ("", " ", "\n")[number % 3]
    name = ("href", "HREF", "Href")[number // 3 % 3]
    if number % 4 == 0 and link and not re.search(r"[\s>]", link) and link[0] not in "\"'":
        return f"{name}{spaces}={spaces}{link}"
    quote, escaped = ("'", "&#39") if number % 2 else ('"', "&quot;")
    return f"{name}{spaces}={spaces}{quote}{link.replace(quote, escaped)}{quote}"


def document(links: Sequence[str], base: str) -> str:
    tags = (
        "<a {}>",
        "<a class=x {} title='>'>",
        "<A\n{}\n>",
        "<area {} >",
        "<a/{} /href='https://second.example/'>",
        '<a x="y"{}>',
    )
    body = [
        "<p>" + tags[number % len(tags)].format(quoted(link, number)) + f"link {number}</a></p>"
        for number, link in enumerate(links)
    ]
    head = (
        f'<base target="_blank"><base href="{escape(base)}"><base href="https://late.example/">'
        if base
        else ""
    )
    return (
        f"<!DOCTYPE html><html><head>{head}<title>x</title></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


@dataclass(frozen=True)
class Seen:
    """What Chromium says of a page."""

    links: list[tuple[str, str, str]]  # the attribute, the URL it leads to, and its scheme
    places: list[str]  # where redirects lead
    page: str  # without the links' targets and the pixel


@pytest.fixture(scope="module")
def chromium() -> str:
    return daemons.program("chromium")


def show(chromium: str, file: Path) -> Any:
    """What the script of a page reports."""
    command = [chromium, *FLAGS, f"--user-data-dir={file.parent / 'profile'}", "--dump-dom", file.as_uri()]
    run = subprocess.run(command, capture_output=True, timeout=120, check=True)
    found = re.search(r'<pre id="report">(.*?)</pre>', run.stdout.decode())
    assert found, run.stdout[:2000] + run.stderr[-2000:]
    return json.loads(unquote(found[1]))


def open_page(chromium: str, folder: Path, page: bytes, places: Sequence[str] = ()) -> Seen:
    file = folder / "mail.html"
    given = "".join(f"%{byte:02X}" for byte in json.dumps(places).encode())
    file.write_bytes(page + (REPORT % given).encode())
    report: dict[str, Any] = show(chromium, file)
    return Seen([tuple(link) for link in report["links"]], report["places"], report["page"])


def track(page: bytes, charset: str) -> tuple[bytes, list[str]]:
    """The page as it goes out, and what the redirects of its links answer."""
    header = f"Content-Type: text/html; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode()
    draft = tracking.draft(
        header + page,
        pixel_url="https://click.example/img/server/message",
        excluded=frozenset(),
        track_clicks=True,
    )
    assert draft is not None
    raw = draft.write([TRACKED.format(number) for number in range(len(draft.targets))])
    places = [dict(redirect(target).headers)["location"] for target in draft.targets]
    return raw.partition(b"\r\n\r\n")[2], places


def is_within(attribute: str) -> bool:
    """Does a link lead to a place in the mail itself? Mail programs go there, whatever `<base>` says."""
    return attribute.strip("".join(map(chr, range(0x21))))[:1] in ("", "#")


ON_PAGES = [("utf-8", base) for base in BASES] + [("iso-8859-1", BASES[0]), ("windows-1251", BASES[1])]


@pytest.mark.parametrize(("charset", "base"), ON_PAGES)
def test_redirects_answer_where_the_untracked_link_leads(
    chromium: str, tmp_path: Path, charset: str, base: str
) -> None:
    hosts = HOSTS if charset == "utf-8" else HOSTS[:6]
    links = [*WHOLE, *(f"https://{host}{tail}" for host, tail in itertools.product(hosts, TAILS))]
    assert len(links) >= 200
    page = f"<meta charset={charset}>".encode() + document(links, base).encode(charset, "xmlcharrefreplace")
    sent, places = track(page, charset)
    before, after = open_page(chromium, tmp_path, page, places), open_page(chromium, tmp_path, sent)
    assert after.page == before.page
    assert len(before.links) == len(after.links) == len(links)
    wrong = []
    for (attribute, target, scheme), (now, *_) in zip(before.links, after.links, strict=True):
        if scheme in ("http:", "https:") and not is_within(attribute):
            number = now.removeprefix(TRACKED.format(""))
            is_right = number.isdigit() and before.places[int(number)] == target
        else:
            is_right = now == attribute.replace("+notrack", "")
        if not is_right:
            wrong.append((attribute, target, now, number.isdigit() and before.places[int(number)]))
    assert wrong == []


# What readers of HTML disagree about: where tags begin and end, and what is text.
PIECES = (
    '<a href="https://a.example/1">', "<a href='https://a.example/2'>", "<a href=https://a.example/3>",
    "</a>", "<p>", "</p>", "<!--", "-->", "--!>", "<!-->", "<!--->", "<!", "<!-", "--", "->", "!>",
    "<![endif]-->", "<!--[if mso]>", "<![if !mso]>", "<script>", "</script>", "<script", "</script ",
    "<style>", "</style>", "</style/>", "<title>", "</title>", "<textarea>", "</textarea>", "<xmp>",
    "</xmp>", "<iframe>", "</iframe>", "<noembed>", "</noembed>", "<noframes>", "</noframes>", "<noscript>",
    "</noscript>", "<template>", "</template>", "<svg>", "</svg>", "<svg/>", "<math>", "</math>",
    "<![CDATA[", "]]>", '"', "'", "<", ">", "=", "/", " ", "\n", "</", "<?", "<a", "<b x=", '<b x="',
    "<b x='", "<b x=y/", "<i =\"", "<area ", "href", " href=", "href = ", "https://a.example/4", "x",
    "<ahref=https://a.example/5>", "<a\fhref=https://a.example/6>",
    "<a href=https://a.example/7 href=https://a.example/8>", "<abbr href=https://a.example/9>",
    "<A HREF=https://a.example/10>", "<!doctype html>", "<body>", "</body>", "<div", "<div>", "</div>",
    "<br/>", "<td", "&lt;a href=https://a.example/11&gt;",
)  # fmt: skip
PAGES = 500
COMPARE = """<body><script>
const blank = link => link.setAttribute("href", "");
const read = text => {
  const page = new DOMParser().parseFromString(text, "text/html");
  const links = [...page.links].map(link => link.getAttribute("href"));
  page.querySelectorAll("a, area").forEach(link => link.hasAttribute("href") && blank(link));
  return [links, page.documentElement.outerHTML];
};
const mails = JSON.parse(decodeURIComponent("%s"));
const report = mails.map(([before, after]) => [read(before), read(after)]);
document.documentElement.innerHTML =
  "<pre id=report>" + encodeURIComponent(JSON.stringify(report)) + "</pre>";
</script>"""


def track_links(page: str) -> str:
    header = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    draft = tracking.draft(header + page.encode(), pixel_url=None, excluded=frozenset(), track_clicks=True)
    if draft is None:
        return page
    raw = draft.write([TRACKED.format(target) for target in draft.targets])
    return raw.partition(b"\r\n\r\n")[2].decode()


def test_links_are_those_of_the_browser_however_broken_the_page(chromium: str, tmp_path: Path) -> None:
    draw = random.Random(2026)
    pages = ["".join(draw.choices(PIECES, k=draw.randint(2, 14))) for _ in range(PAGES)]
    given = json.dumps([(page, track_links(page)) for page in pages])
    file = tmp_path / "mails.html"
    file.write_text(COMPARE % "".join(f"%{byte:02X}" for byte in given.encode()))
    report = show(chromium, file)
    wrong = []
    for page, ((links, before), (tracked, after)) in zip(pages, report, strict=True):
        wanted = [TRACKED.format(link) if link.startswith("https:") else link for link in links]
        if tracked != wanted or before != after:
            wrong.append((page, wanted, tracked, before == after))
    assert wrong == []
