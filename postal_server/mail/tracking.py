"""Click and open tracking: links are rewritten and a pixel is added, part by part (contract section 8).

Only body parts that change are re-encoded; every other byte, headers and attachments included, is kept
(contract, Q16: Postal re-serializes the message).
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .header import find_body, header_values, set_field
from .links import Link, can_be_read, links_in_text, read_page
from .mime import Part, parse, replace_ranges
from .transfer import choose, encode, has_long_line, is_7bit

_CONTAINERS = frozenset(["multipart/mixed", "multipart/alternative", "multipart/related"])
_TEXT, _HTML = "text/plain", "text/html"
_MARK = b"+notrack://"
_MARKED = re.compile(rb"(?i)(https?)\+notrack://")
# The mark, also where quoted-printable has split it.
_MARK_ANYWHERE = re.compile(rb"(?:=\r?\n)?".join(re.escape(bytes([byte])) for byte in _MARK))
_FIRST_HEADERS = 4096  # bytes that usually hold the header, and that of the first part

Edit = tuple[int, int, bytes]  # start, end, replacement


@dataclass(frozen=True)
class Change:
    """The changes to one part: links get new URLs, the pixel is added, and marks are removed."""

    part: Part
    content: bytes
    links: Sequence[Link]
    pixels: Sequence[Edit]

    @property
    def targets(self) -> list[str]:
        """The URLs that the links lead to, without the marks of links that are not tracked."""
        return [_without_marks(link.target.url.encode()).decode() for link in self.links]

    def write(self, addresses: Sequence[str]) -> list[Edit]:
        """The edits of the message that give the part its new content."""
        is_html = self.part.mime_type == _HTML
        edits = [
            (link.start, link.end, (f"'{html.escape(address)}'" if is_html else address).encode())
            for link, address in zip(self.links, addresses, strict=True)
        ]
        content = replace_ranges(self.content, [*edits, *self.pixels])
        return _replace(self.part, _without_marks(content))


@dataclass(frozen=True)
class Draft:
    """The changes that tracking makes to a message, to be written once its links have tracking URLs."""

    raw: bytes
    changes: Sequence[Change]

    @property
    def targets(self) -> list[str]:
        """The targets of the links; one for each occurrence, in order."""
        return [target for change in self.changes for target in change.targets]

    def write(self, addresses: Sequence[str]) -> bytes:
        """The message with the URL for each target in place of the link."""
        edits: list[Edit] = []
        position = 0
        for change in self.changes:
            end = position + len(change.links)
            edits += change.write(addresses[position:end])
            position = end
        return replace_ranges(self.raw, edits)


def draft(raw: bytes, *, pixel_url: str | None, excluded: frozenset[str], track_clicks: bool) -> Draft | None:
    """The changes that tracking makes to `raw`, or None if there are none. Never raises.

    `excluded` holds host names, with their port where links have one; `pixel_url` None adds no pixel. A
    message with `X-AMP: skip` is not tracked. `http+notrack://` and `https+notrack://` always lose their mark
    (contract, Q17).
    """
    if any(value.strip().lower() == "skip" for value in header_values(raw, "X-AMP")):
        track_clicks, pixel_url = False, None
    changes = []
    for part in _body_parts(parse(raw)):
        content = part.content
        links, pixels = _read(part, content, pixel_url=pixel_url, track_clicks=track_clicks)
        links = [link for link in links if excluded.isdisjoint(link.target.hosts)]
        if links or pixels or _without_marks(content) != content:
            changes.append(Change(part, content, links, pixels))
    return Draft(raw, changes) if changes else None


def may_be_marked(raw: bytes) -> bool:
    """Might there be a mark against tracking in the text? Fast, because every message is checked.

    Base64 hides a mark. If any text of a mail is in base64, its first one is.
    """
    return bool(_MARK_ANYWHERE.search(raw)) or b"base64" in raw[:_FIRST_HEADERS]


def _body_parts(part: Part) -> list[Part]:
    """The text parts that a reader sees as the message: no attachments, nothing inside signed mail."""
    if part.mime_type in _CONTAINERS:
        return [body for child in part.children for body in _body_parts(child)]
    if part.mime_type not in (_TEXT, _HTML) or part.children:
        return []
    if part.filename or part.disposition.value.lower() == "attachment":
        return []
    return [part] if can_be_read(part.charset or "") else []


def _read(
    part: Part, content: bytes, *, pixel_url: str | None, track_clicks: bool
) -> tuple[list[Link], list[Edit]]:
    """The links of a part, and the edits that put the pixel in."""
    if part.mime_type == _TEXT:
        links = links_in_text(content, part.charset or "", is_broken=_is_broken(part)) if track_clicks else []
        return links, []
    if not (track_clicks or pixel_url):
        return [], []
    page = read_page(content, part.charset or "")
    # Before every `</body>`, or at the end, as Postal has it.
    places = page.body_ends or [len(content)]
    pixel = _pixel(pixel_url) if pixel_url else b""
    return page.links if track_clicks else [], [(place, place, pixel) for place in places if pixel]


def _is_broken(part: Part) -> bool:
    """May links continue after a soft line break? Without DelSp the blank there is part of the text."""
    parameters = part.content_type.parameters if part.content_type else {}
    return parameters.get("format", "").lower() == "flowed" and parameters.get("delsp", "").lower() == "yes"


def _pixel(url: str) -> bytes:
    return (
        "<p class='ampimg' style='display:none;visibility:none;margin:0;padding:0;line-height:0;'>"
        f"<img src='{html.escape(url)}' alt=''></p>"
    ).encode()


def _without_marks(content: bytes) -> bytes:
    return _MARKED.sub(rb"\1://", content) if _MARK in content else content


def _replace(part: Part, content: bytes) -> list[Edit]:
    """The edits that give `part` its new content, in its own transfer encoding if that suffices."""
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
