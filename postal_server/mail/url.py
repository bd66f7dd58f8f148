"""Links as browsers read them (WHATWG, the URL standard)."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The usual form of links. Browsers read them the same in any document, so they need no parser. It excludes
# relative links, and hosts that are not ASCII or may be numbers.
_PLAIN = re.compile(
    r"https?://((?![^/?#]*[Xx][Nn]--)(?:[A-Za-z0-9-]+\.)*[A-Za-z][A-Za-z0-9-]*(?::[0-9]{1,4})?)(?:[/?#][!-~]*)?"
)
_HAS_SCHEME = re.compile(r"[A-Za-z][\tA-Za-z0-9+.\r\n-]*:")
_WEB = ("http:", "https:")
_NEVER_A_BASE = ("data:", "javascript:")  # HTML, section 4.2.3
_BLANKS = "".join(map(chr, range(0x21)))  # the C0 controls and the blank
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_LITERAL_IN_QUERY = frozenset(range(0x21, 0x7F)) - frozenset(b"\"#'<>")


@dataclass(frozen=True)
class LinkTarget:
    """Where a link leads on the web: a URL, and its host, with the port that it names, in its spellings."""

    url: str
    hosts: tuple[str, ...]


def resolve(link: str, base: str | None = None, charset: str = "utf-8") -> LinkTarget | None:
    """Where a browser goes from `link` in a document in `charset` (of Python); None if that is not the web.

    The URL is as written where that means the same everywhere, else as browsers spell it. `base` is a result
    of `base_url`; without it relative links lead nowhere. Links to places within the document are none.
    """
    if plain := _PLAIN.fullmatch(link):
        return LinkTarget(link, (plain[1].lower(),))
    link = link.strip(_BLANKS)
    if not link or link.startswith("#") or not (base or _HAS_SCHEME.match(link)):
        return None
    # Few links need it, so few workers have to load it.
    from ada_url import URL, idna_to_unicode  # noqa: PLC0415

    try:
        url = URL(_encode_query(link, charset), base)
    except ValueError:
        return None
    if url.protocol not in _WEB:
        return None
    return LinkTarget(url.href, (url.host, idna_to_unicode(url.host)))


def base_url(link: str) -> str | None:
    """The base of relative links in a document whose `<base>` has `link`; None if it cannot be a base."""
    from ada_url import URL  # noqa: PLC0415 - as above

    try:
        url = URL(link)
    except ValueError:
        return None
    return None if url.protocol in _NEVER_A_BASE else url.href


def _encode_query(link: str, charset: str) -> str:
    """`link` with the characters of its query percent-encoded in the document's charset, if not in UTF-8."""
    if charset == "utf-8" or link.isascii():
        return link
    address, hash_sign, fragment = link.partition("#")
    path, question_mark, query = address.partition("?")
    query = _NOT_ASCII.sub(lambda match: _percent(match[0], charset), query)
    return path + question_mark + query + hash_sign + fragment


def _percent(text: str, charset: str) -> str:
    try:
        data = text.encode(charset)
    except UnicodeEncodeError:
        if len(text) > 1:
            return "".join([_percent(character, charset) for character in text])
        return f"%26%23{ord(text)}%3B"  # as in forms: a character reference
    return "".join(chr(byte) if byte in _LITERAL_IN_QUERY else f"%{byte:02X}" for byte in data)
