"""Click and open tracking: links rewritten and a pixel added, part by part (contract section 8).

Only body parts that change are encoded anew; every other byte, headers and attachments included, stays
(contract, Q16: Postal re-serialises the message).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from .header import find_body, header_values, set_field
from .mime import Part, parse, replace_ranges
from .transfer import choose, encode, has_long_line, is_7bit

# ASCII bytes mean the same in these, so links can be found without decoding.
_ASCII_SUPERSETS = re.compile(
    r"(?i)us-ascii|ascii|utf-?8|iso-8859-\d+|latin-?\d|windows-125\d|cp125\d|koi8-[ru]\Z"
)
_CONTAINERS = frozenset(["multipart/mixed", "multipart/alternative", "multipart/related"])

_HOST = rb"[A-Za-z0-9.-]+(?::\d{1,5})?"
# RFC 3986 characters. Not in HTML: quotes, which end the attribute.
_PLAIN_LINK = re.compile(rb"https?://(" + _HOST + rb")((?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?)")
_HTML_LINK = re.compile(
    rb"(\bhref\s*=\s*)([\"'])(https?://(" + _HOST + rb")(?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]*)?)\2"
)
# What follows a link that was not understood to its end: `https://user@a.example/`, `https://a_b.example/`.
_GOES_ON = re.compile(rb"[\w@%&=+~$*|^`{}\\\x80-\xff-]|[:/?#][^\s]")
_NO_TRACK = re.compile(rb"(https?)\+notrack://")
_TRAILING = b".,;:!?'*"
_BODY_END = b"</body>"
_MARK = b"\0"  # stands in for `+notrack` while links are rewritten; text with a NUL of its own is left alone


@dataclass(frozen=True)
class Rewritten:
    """The message with tracking, and the target of each link, in the order in which they were asked for."""

    raw: bytes
    links: tuple[str, ...]


def rewrite(
    raw: bytes,
    *,
    link_url: Callable[[str], str],
    pixel_url: str | None,
    excluded: frozenset[str],
    track_clicks: bool,
) -> Rewritten | None:
    """`raw` with tracking, or None where nothing changes. Never raises.

    `link_url` makes the tracking URL for one occurrence of a target; `excluded` holds host names, with
    their port where links have one; `pixel_url` None adds no pixel. A message with `X-AMP: skip` is not
    tracked. `http+notrack://` and `https+notrack://` always lose their mark (contract, Q17).
    """
    if any(value.strip().lower() == "skip" for value in header_values(raw, "X-AMP")):
        track_clicks, pixel_url = False, None
    links: list[str] = []

    def track(target: str, host: str) -> str | None:
        if not track_clicks or host.lower() in excluded:
            return None
        links.append(target)
        return link_url(target)

    edits: list[tuple[int, int, bytes]] = []
    for part in _body_parts(parse(raw)):
        content = part.content
        if _MARK in content:
            continue
        is_html = part.mime_type == "text/html"
        changed = _rewrite_text(content, is_html, track)
        if is_html and pixel_url:
            changed = _add_pixel(changed, pixel_url)
        if changed != content:
            edits += _replace(part, changed)
    return Rewritten(replace_ranges(raw, edits), tuple(links)) if edits else None


def _body_parts(part: Part) -> list[Part]:
    """The text parts that a reader sees as the message: no attachments, nothing inside signed mail."""
    if part.mime_type in _CONTAINERS:
        return [found for child in part.children for found in _body_parts(child)]
    if part.mime_type not in ("text/plain", "text/html") or part.children:
        return []
    if part.filename or part.disposition.value.lower() == "attachment":
        return []
    return [part] if _ASCII_SUPERSETS.match(part.charset or "utf-8") else []


def _rewrite_text(content: bytes, is_html: bool, track: Callable[[str, str], str | None]) -> bytes:
    content = _NO_TRACK.sub(rb"\1" + _MARK + rb"://", content)
    if is_html:
        content = _HTML_LINK.sub(lambda match: _html_link(match, track), content)
    else:
        content = _plain_links(content, track)
    return content.replace(_MARK, b"")


def _html_link(match: re.Match[bytes], track: Callable[[str, str], str | None]) -> bytes:
    url = track(html.unescape(match[3].decode("ascii")), match[4].decode("ascii"))
    return match[0] if url is None else match[1] + b"'" + html.escape(url).encode() + b"'"


def _plain_links(content: bytes, track: Callable[[str, str], str | None]) -> bytes:
    pieces, position = [], 0
    for match in _PLAIN_LINK.finditer(content):
        link = _without_punctuation(match[0])
        if len(link) <= match.start(1) - match.start() or _GOES_ON.match(content, match.end()):
            continue
        url = track(link.decode("ascii"), match[1].rstrip(b".").decode("ascii"))
        if url is not None:
            pieces += [content[position : match.start()], url.encode()]
            position = match.start() + len(link)
    return b"".join([*pieces, content[position:]])


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


def _add_pixel(content: bytes, url: str) -> bytes:
    """Before every `</body>`, or at the end, as Postal has it."""
    pixel = (
        "<p class='ampimg' style='display:none;visibility:none;margin:0;padding:0;line-height:0;'>"
        f"<img src='{html.escape(url)}' alt=''></p>"
    ).encode()
    if _BODY_END in content:
        return content.replace(_BODY_END, pixel + _BODY_END)
    return content + pixel


def _replace(part: Part, content: bytes) -> list[tuple[int, int, bytes]]:
    """The edits that give `part` its new content, in its own transfer encoding where that will do."""
    encoding = part.encoding
    if encoding not in ("quoted-printable", "base64"):
        is_8bit = encoding in ("8bit", "binary") and not has_long_line(content)
        if is_8bit or is_7bit(content):
            return [(part.body_start, part.end, content)]
        encoding = choose(content)
    edits = [(part.body_start, part.end, encode(content, encoding))]
    if encoding != part.encoding:
        header_end = find_body(part.raw, part.start, part.end)[0]
        header = set_field(part.raw[part.start : header_end], "Content-Transfer-Encoding", encoding)
        edits.append((part.start, header_end, header))
    return edits
