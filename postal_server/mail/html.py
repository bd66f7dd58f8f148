"""A mail's HTML made safe to show to an administrator: nothing runs, and nothing is fetched.

The page that shows it is sandboxed as well. This removes what no policy stops: `<link rel=preconnect>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

# Ordinary mail has less. Beyond these limits cleaning could take seconds, so the HTML is shown as text.
MAX_TAGS = 30_000
MAX_REFERENCES = 20_000  # `&amp;`
MAX_OPEN = 1000  # nested elements
MAX_TAG = 10_000  # characters of a tag that may have any number of attributes
MAX_ATTRIBUTES = 2000
MAX_STYLES = 50  # blocks
MAX_CSS = 300_000  # characters of all of them together

_MORE_TAGS = frozenset(["address", "big", "font", "main", "section", "tfoot"])
_ATTRIBUTES = frozenset(
    [
        "abbr",
        "align",
        "alt",
        "bgcolor",
        "border",
        "cellpadding",
        "cellspacing",
        "class",
        "color",
        "cols",
        "colspan",
        "coords",
        "dir",
        "face",
        "height",
        "href",
        "hspace",
        "id",
        "lang",
        "name",
        "noshade",
        "nowrap",
        "rows",
        "rowspan",
        "scope",
        "shape",
        "size",
        "span",
        "src",
        "start",
        "style",
        "summary",
        "title",
        "type",
        "valign",
        "value",
        "vspace",
        "width",
    ]
)
# Elements that contain no others, or that are closed by the next of their kind.
_SHALLOW = "area|base|br|col|dd|dt|embed|hr|img|input|li|link|meta|p|param|source|td|th|tr|track|wbr"
_DEEP = re.compile(rf"<(/?)(?!(?:{_SHALLOW})\b)[a-z]", re.IGNORECASE)
_LONG_TAG = re.compile(rf"<[a-zA-Z/][^<>]{{{MAX_TAG},}}")
_STYLE = re.compile(r"<style\b", re.IGNORECASE)
_STYLE_END = re.compile(r"</style", re.IGNORECASE)
_BLANKS = re.compile(r"[\s/]")
_PICTURE = re.compile(r"\s*data:image/(?:bmp|gif|jpe?g|png|webp);", re.IGNORECASE)
_DATA = re.compile(r"[\s\x00-\x20]*data:", re.IGNORECASE)

# CSS that names another resource, or runs. Escapes and comments, which could hide it, are removed first.
_CSS_PIECE = re.compile(r"[^;{}]+")
_CSS_FETCHES = re.compile(r"url|image-set|image\s*\(|src\s*\(|@import|@charset|expression|binding|behavior")
_CSS_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|\r?\n|(.))", re.IGNORECASE | re.DOTALL)


def clean(html: str) -> str:
    """`html` without what runs, submits or fetches: scripts, forms, frames, links to other resources.

    Tables, fonts and styles stay, and so do pictures embedded in the HTML and links that a person may click.
    HTML that is too large or too deep to be cleaned in time is returned as preformatted text.
    """
    if _is_too_much(html):
        return f'<pre style="white-space: pre-wrap">{escape(html)}</pre>'
    import nh3  # noqa: PLC0415 - where a mail is shown, and not at each start

    cleaned = nh3.clean(
        html,
        tags=nh3.ALLOWED_TAGS | _MORE_TAGS,
        clean_content_tags={"script", "style", "title", "template", "svg", "math"},
        attributes={"*": set(_ATTRIBUTES)},
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "tel", "data"},
        link_rel="noopener noreferrer",
    )
    css = clean_css("\n".join(_style_blocks(html))).replace("<", "")  # nothing in it can end the block
    return f"<style>{css}</style>\n{cleaned}" if css else cleaned


def _style_blocks(html: str) -> Iterator[str]:
    position, left = 0, MAX_CSS
    for _ in range(MAX_STYLES):
        tag = _STYLE.search(html, position)
        start = html.find(">", tag.end()) + 1 if tag else 0
        end = _STYLE_END.search(html, start) if start else None
        if end is None or end.start() - start > left:
            return
        yield html[start : end.start()].replace("<!--", "").replace("-->", "")
        position, left = end.end(), left - (end.start() - start)


def _is_too_much(html: str) -> bool:
    if max(html.count("<"), html.count(">")) > MAX_TAGS or html.count("&") > MAX_REFERENCES:
        return True
    if any(len(_BLANKS.findall(tag[0])) > MAX_ATTRIBUTES for tag in _LONG_TAG.finditer(html)):
        return True
    depth = 0
    for match in _DEEP.finditer(html) if html.count("<") > MAX_OPEN else ():
        depth = max(depth + (-1 if match[1] else 1), 0)
        if depth > MAX_OPEN:
            return True
    return False


def _attribute(tag: str, name: str, value: str) -> str | None:
    """The value to keep, or None to drop the attribute."""
    if name == "style":
        return clean_css(value) or None
    if name == "src":
        return value if tag == "img" and _PICTURE.match(value) else None
    return None if name == "href" and _DATA.match(value) else value


def clean_css(css: str) -> str:
    """`css`, of a block or an attribute, without declarations and rules that name another resource."""
    css = _CSS_COMMENT.sub(" ", css)
    return _CSS_PIECE.sub(lambda match: "" if _fetches(match[0]) else match[0], css).strip()


def _fetches(piece: str) -> bool:
    plain = _CSS_ESCAPE.sub(_unescaped, piece) if "\\" in piece else piece
    return _CSS_FETCHES.search(plain.lower()) is not None


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        number = int(match[1], 16)
        return chr(number) if 0 < number < 0x110000 else "\ufffd"
    return match[2] or ""
