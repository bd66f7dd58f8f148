"""The links of a mail's text that a person can follow, and where in it they stand."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from .flowed import join_lines
from .html_tags import Tag, find_tags, unquote
from .url import Target, base_url, resolve

# ASCII bytes mean the same in these, so that links can be found without decoding. In some of the Asian ones
# the second byte of a character may be an ASCII letter, but none of the signs that HTML is made of.
_ASCII_SUPERSETS = re.compile(
    r"(?i)(?:us-)?ascii|utf-?8|iso-8859-\d+|latin-?\d|(?:windows-|cp)(?:125\d|874|93[26]|949|950)\Z|windows-31j\Z"
    r"|cp(?:437|85\d|866)\Z|koi8-[rut]\Z|macintosh\Z|tis-620\Z"
    r"|gb2312|gbk|gb18030|big5|euc-|ks_c_5601|shift[_-]jis|sjis"
)
_SHIFTED = re.compile(r"(?i)iso-2022-jp")
_SHIFTED_RUN = re.compile(rb"\x1b\$[^\x1b]*")  # bytes that look like ASCII and are not
_AS_WINDOWS_1252 = ("ascii", "iso8859-1")  # what the web takes these for, by their names in Python

_CLICKABLE = frozenset([b"a", b"area"])
_BASE = b"base"
_BODY_END = b"/body"
_BODY_END_AS_POSTAL_HAS_IT = b"</body>"
_LOOKED_AT = _CLICKABLE | {_BASE, _BODY_END}
# Of one part; what stands behind is left alone, so that no mail keeps a worker for long.
MAX_LINKS = 2000
MAX_TEXT_BYTES = 1024 * 1024  # of plain text

_HOST = rb"[A-Za-z0-9.-]+(?::\d{1,5})?"
# RFC 3986 characters.
_TEXT_LINK = re.compile(rb"https?://(" + _HOST + rb")((?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?)")
# What follows a link that was not understood to its end: `https://user@a.example/`, `https://a_b.example/`.
_GOES_ON = re.compile(rb"[\w@%&=+~$*|^`{}\\\0\x80-\xff-]|[:/?#][^\s]")
_TRAILING = b".,;:!?'*"


@dataclass(frozen=True)
class Link:
    """A link at `content[start:end]`, in HTML an attribute's value with its quotes, and where it leads."""

    start: int
    end: int
    target: Target


@dataclass(frozen=True)
class Page:
    """The links of an HTML document, and where `</body>` stands in it, in lower case (contract 8.3)."""

    links: list[Link]
    body_ends: list[int]


def can_be_read(charset: str) -> bool:
    """Can links be found in text in this charset?"""
    return bool(_ASCII_SUPERSETS.match(charset) or _SHIFTED.match(charset))


def read_page(content: bytes, charset: str) -> Page:
    """The links of `<a>` and `<area>`, as a browser would follow them. Never raises."""
    lower = content.lower()
    if b"href" not in lower and _BODY_END_AS_POSTAL_HAS_IT not in content:
        return Page([], [])
    codec = _codec(charset)
    tags = list(find_tags(_searchable(content, charset), _LOOKED_AT))
    base = _base(tags, content, codec)
    links = []
    for tag in tags:
        place = tag.attributes.get(b"href") if tag.name in _CLICKABLE else None
        value = _value(content, place, codec) if place else None
        target = resolve(value, base, codec) if value else None
        if place and target:
            links.append(Link(*place, target))
        if len(links) == MAX_LINKS:
            break
    ends = [tag.start for tag in tags if tag.name == _BODY_END]
    ends = [end for end in ends if content.startswith(_BODY_END_AS_POSTAL_HAS_IT, end)]
    return Page(links, ends[:MAX_LINKS])


def _base(tags: list[Tag], content: bytes, codec: str) -> str | None:
    """What relative links hang on: the first `<base>` with an `href` says it, wherever it stands."""
    for tag in tags:
        if tag.name == _BASE and (place := tag.attributes.get(b"href")):
            value = _value(content, place, codec)
            return base_url(value) if value else None
    return None


def _value(content: bytes, place: tuple[int, int], codec: str) -> str | None:
    """What an attribute says; None for bytes that are no text in the document's charset."""
    try:
        return unquote(content[slice(*place)].decode(codec))
    except UnicodeError:
        return None


def links_in_text(content: bytes, charset: str, *, is_broken: bool) -> list[Link]:
    """Links by their looks, without the sentence around them. `is_broken`: format=flowed with DelSp=yes."""
    text = _searchable(content[:MAX_TEXT_BYTES], charset)
    if not is_broken:
        return list(_links_in(text))
    joined = join_lines(text)
    return [
        Link(joined.origin(link.start), joined.origin(link.end - 1) + 1, link.target)
        for link in _links_in(joined.text)
    ]


def _links_in(text: bytes) -> Iterator[Link]:
    for match in islice(_TEXT_LINK.finditer(text), MAX_LINKS):
        link = _without_punctuation(match[0])
        if len(link) <= match.start(1) - match.start() or _GOES_ON.match(text, match.end()):
            continue
        host = match[1].rstrip(b".").decode("ascii").lower()
        yield Link(match.start(), match.start() + len(link), Target(link.decode("ascii"), (host,)))


def _without_punctuation(link: bytes) -> bytes:
    """`link` without the punctuation of the sentence around it: `(see https://a.example/b).`"""
    opened = {b")": link.count(b"("), b"]": link.count(b"[")}
    closed = {b")": link.count(b")"), b"]": link.count(b"]")}
    end = len(link)
    while end:
        char = link[end - 1 : end]
        if char in closed and closed[char] > opened[char]:
            closed[char] -= 1
        elif char not in _TRAILING:
            break
        end -= 1
    return link[:end]


def _codec(charset: str) -> str:
    """How Python calls the encoding that browsers take for this charset; UTF-8 for one that nobody knows."""
    try:
        name = codecs.lookup(charset).name
    except LookupError:
        return "utf-8"
    return "cp1252" if name in _AS_WINDOWS_1252 else name


def _searchable(content: bytes, charset: str) -> bytes:
    """`content` with every byte that is not what it looks like in ASCII as one that is no ASCII."""
    if not _SHIFTED.match(charset):
        return content
    return _SHIFTED_RUN.sub(lambda run: b"\x80" * len(run[0]), content)
