"""The links in a mail's text that a person can follow, and their positions in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import category

from .charset import MAX_LABEL, codec_of
from .flowed import join_lines
from .html_tags import Tag, find_tags, unquote
from .url import LinkTarget, base_url, resolve

_SHIFTED_RUN = re.compile(rb"\x1b\$[^\x1b]*")  # in ISO-2022-JP: bytes that look like ASCII but are not
_JAPANESE = frozenset(["iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_ext"])
_PRINTABLE = bytes(range(0x20, 0x7F))

_CLICKABLE = frozenset([b"a", b"area"])
_BASE = b"base"
_BODY_END = b"/body"
_BODY_END_AS_POSTAL_HAS_IT = b"</body>"
_LOOKED_AT = _CLICKABLE | {_BASE, _BODY_END}
# In one part; further links are left alone, so that no mail occupies a worker for long.
MAX_LINKS = 2000
MAX_TEXT_BYTES = 1024 * 1024  # of plain text

_LINK_START = re.compile(rb"https?://([A-Za-z0-9.-]+(?::\d{1,5})?)")
# What follows the host, of the characters of RFC 3986.
_REST = rb"(?:[/?#](?:%s)*)?"
_CHARACTERS = rb"A-Za-z0-9._~:/?#@!$&*+,;=%\-"
_FREE = re.compile(_REST % (rb"[%s'()\[\]]" % _CHARACTERS))
# After an opening bracket a link ends before the closing one: that bracket, and what may follow the host.
_ENCLOSED = {
    b"(": (b")", re.compile(_REST % (rb"[%s'\[\]]|\([%s'\[\]]*\)" % (_CHARACTERS, _CHARACTERS)))),
    b"[": (b"]", re.compile(_REST % (rb"[%s'()]|\[[%s'()]*\]" % (_CHARACTERS, _CHARACTERS)))),
    b"'": (b"'", re.compile(_REST % (rb"[%s()\[\]]" % _CHARACTERS))),
}
# Text after a link that could not be parsed to its end: `https://user@a.example/`, `https://a_b.example/`.
_GOES_ON = re.compile(rb"[\w@%&=+~$*|^`{}\\\0\x80-\xff([-]|[:/?#][^\s]|'\w")
_TRAILING = b".,;:!?'*"
_LONGEST_CHARACTER = 4  # bytes
# Characters beyond ASCII that end a link like quotation marks, brackets and blanks, by Unicode category.
_ENDING = frozenset(["Pe", "Pf", "Pi", "Ps", "Zs", "Zl", "Zp"])
_ENDING_SIGNS = "…‥。、，．；：！？"
_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"


@dataclass(frozen=True)
class Link:
    """A link at `content[start:end]`, in HTML an attribute's value with its quotes, and where it leads."""

    start: int
    end: int
    target: LinkTarget


@dataclass(frozen=True)
class Page:
    """The links of an HTML document, and the positions of a lower-case `</body>` in it (contract 8.3)."""

    links: list[Link]
    body_ends: list[int]


def can_be_read(label: str) -> bool:
    """Can links be found in text in this charset without decoding it: do ASCII bytes mean themselves?

    In some Asian charsets the second byte of a character may be an ASCII letter, but none of the
    characters of HTML's syntax.
    """
    codec = codec_of(label[:MAX_LABEL])
    return codec is None or codec in _JAPANESE or _is_like_ascii(codec)


@lru_cache(maxsize=128)
def _is_like_ascii(codec: str) -> bool:
    return not codec.startswith("iso2022") and _PRINTABLE.decode(codec, "replace") == _PRINTABLE.decode()


def read_page(content: bytes, label: str) -> Page:
    """The links of `<a>` and `<area>`, as a browser would follow them. Never raises."""
    lower = content.lower()
    if b"href" not in lower and _BODY_END_AS_POSTAL_HAS_IT not in content:
        return Page([], [])
    codec = _codec(content, label)
    tags = list(find_tags(_searchable(content, codec), _LOOKED_AT))
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
    """The base of relative links: the first `<base>` with an `href`, wherever it is."""
    for tag in tags:
        if tag.name == _BASE and (place := tag.attributes.get(b"href")):
            value = _value(content, place, codec)
            return base_url(value) if value else None
    return None


def _value(content: bytes, place: tuple[int, int], codec: str) -> str | None:
    """The text of an attribute; None for bytes that are no text in the document's charset."""
    try:
        return unquote(content[slice(*place)].decode(codec))
    except UnicodeError:
        return None


def links_in_text(content: bytes, label: str, *, is_broken: bool) -> list[Link]:
    """Links in plain text, without the punctuation around them. `is_broken`: format=flowed with DelSp=yes."""
    content = content[:MAX_TEXT_BYTES]
    codec = _codec(content, label)
    text = _searchable(content, codec)
    if not is_broken:
        return list(_links_in(text, codec))
    joined = join_lines(text)
    return [
        Link(joined.origin(link.start), joined.origin(link.end - 1) + 1, link.target)
        for link in _links_in(joined.text, codec)
    ]


def _links_in(text: bytes, codec: str) -> Iterator[Link]:
    position = 0
    for _ in range(MAX_LINKS):
        match = _LINK_START.search(text, position)
        if match is None:
            return
        start = match.start()
        closing, rest = _ENCLOSED.get(text[start - 1 : start] if start else b"", (None, _FREE))
        position = _end_of(rest, text, match.end())
        link = _without_punctuation(text[start:position])
        is_closed = closing in (b")", b"]") and text.startswith(closing, position)
        if len(link) <= match.start(1) - start or not (is_closed or _ends_at(text, position, codec)):
            continue
        host = match[1].rstrip(b".").decode("ascii").lower()
        yield Link(start, start + len(link), LinkTarget(link.decode("ascii"), (host,)))


def _end_of(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _ends_at(text: bytes, end: int, codec: str) -> bool:
    """Does the link that was parsed up to here end here? Punctuation around a text may be beyond ASCII."""
    if not _GOES_ON.match(text, end):
        return True
    following = text[end : end + 2 * _LONGEST_CHARACTER].decode(codec, "ignore")
    if following[:1].isascii():
        return False
    if following[0] == _APOSTROPHE and following[1:2].isalnum():
        return False
    return following[0] in _ENDING_SIGNS or category(following[0]) in _ENDING


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


def _codec(content: bytes, label: str) -> str:
    """Python's name for the charset of a text; if none is declared, UTF-8 for valid UTF-8."""
    if codec := codec_of(label[:MAX_LABEL]):
        return codec
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _searchable(content: bytes, codec: str) -> bytes:
    """`content` with every byte that only looks like ASCII replaced by one that is not ASCII."""
    if codec not in _JAPANESE:
        return content
    return _SHIFTED_RUN.sub(lambda run: b"\x80" * len(run[0]), content)
