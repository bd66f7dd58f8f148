"""A mail as lines, from its text or HTML, with the markup of mail programs. Pure.

The time is proportional to the input: each character is read a fixed number of times, however tags are
nested, broken or unclosed.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

MAX_STYLE = 500  # characters
MAX_DEPTH = 9  # nested quotations and lists that the text of HTML shows


@dataclass(slots=True)
class Line:
    """A visible line.

    `is_quoted`: it is in a quotation; `is_marked`: which is marked by a mail program or `>`. `introduces`: it
    is marked as the introduction of a quotation. `is_last`: all lines from here on are quoted. `has_rule`:
    there is a rule above it; `has_border`: as a CSS border, as in Outlook. `has_address`: it links to an
    address. `begins_block`: in HTML, a block element begins here, not only a line of one.
    """

    text: str
    is_quoted: bool = False
    is_marked: bool = False
    introduces: bool = False
    is_last: bool = False
    has_rule: bool = False
    has_border: bool = False
    has_address: bool = False
    has_picture: bool = False
    begins_block: bool = False
    prefix: str = ""  # what the text has before a line of HTML: the sign of a list, the `>` of a quotation
    links: str = ""  # `text` with the URLs of its links

    @property
    def is_blank(self) -> bool:
        return not (self.has_picture or self.text.strip())


# --- text ---

INVISIBLE = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u200b\u00ad\u061c"
SPACES = f" \t\r\u00a0{INVISIBLE}"
QUOTED = re.compile(rf"[{INVISIBLE}]*>")
# As mail programs write it; ">50 people" is the author's.
QUOTED_WITH_BLANK = re.compile(rf"[{INVISIBLE}]*>[>\s]*(?:\s|$)")


def text_lines(text: str) -> list[Line]:
    """The lines of a text. Those that begin with `>` are quoted."""
    lines: list[Line] = []
    for line in text.split("\n"):
        is_quoted = ">" in line[:10] and QUOTED.match(line) is not None
        if is_quoted and lines and _closes(line, lines[-1]):
            is_quoted = False
        is_marked = is_quoted and QUOTED_WITH_BLANK.match(line) is not None
        lines.append(Line(line, is_quoted, is_marked))
    return lines


def _closes(line: str, above: Line) -> bool:
    """Does `>` close an address that begins in the line above? "... <ann@example.org", "> wrote:"."""
    if above.is_quoted or not line.rstrip(SPACES).endswith((":", "\N{FULLWIDTH COLON}")):
        return False
    return above.text.rfind("<") > above.text.rfind(">")


def show(lines: Sequence[Line]) -> str:
    """The lines as text, without leading and trailing white space."""
    return "\n".join(f"{line.prefix}{line.links or line.text}" for line in lines).strip()


# --- HTML ---

VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
HIDDEN = {
    name: re.compile(f"</{name}[\\s/>]", re.IGNORECASE)
    for name in ("script", "style", "title", "iframe", "noembed", "noframes")
}
# fmt: off
BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dir", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5",
    "h6", "header", "hgroup", "hr", "html", "li", "main", "menu", "nav", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul",
))
# fmt: on
SPACED = frozenset(["p", "ul", "ol", "dl", "table", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre"])
TAG = re.compile(r"<(?:(/?)([a-zA-Z][^\s/>]*)|!--|[!?/])")
ATTRIBUTE = re.compile(r"""([^\s=/>"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
SPACE = re.compile(r"[ \t\r\n\f]+")

# Around a quotation and its introduction, and perhaps answers: Gmail, Proton, Zoho, Tuta.
CONTAINERS = frozenset(
    {"gmail_quote", "protonmail_quote", "zmail_extra", "tutanota_quote", "name=messageReplySection"}
)
# Around a quotation only: Yahoo, NetEase, GMX.
WHOLE = frozenset(
    {"yahoo_quoted", "ntes-mailmaster-quote", "isReplyContent", "name=quote", "name=quoted-content"}
)
# The introduction of a quotation: Gmail, Thunderbird, Roundcube.
INTRODUCTIONS = frozenset({"gmail_attr", "moz-cite-prefix", "reply-intro"})
# Outlook (desktop, web, phone), older Hotmail, Apple: all that follows is quoted.
LAST = frozenset(
    {
        "appendonsend",
        "divRplyFwdMsg",
        "mail-editor-reference-message-container",
        "OLK_SRC_BODY_SECTION",
        "OutlookMessageHeader",
        "stopSpelling",
        "AppleOriginalContents",
    }
)
# Styles of quotations without `blockquote`.
BORDER_LEFT = re.compile(r"border-left\s*:\s*(?!0|none|medium none)", re.IGNORECASE)
BORDER_ABOVE = re.compile(
    r"border-top\s*:\s*(?!0|none|medium none)|border-style\s*:\s*solid none none", re.IGNORECASE
)


@dataclass(slots=True)
class Element:
    """An element from its first token to its last."""

    name: str
    first: int
    last: int = -1
    is_quote: bool = False
    is_marked: bool = False
    is_container: bool = False
    introduces: bool = False
    first_line: int = 0
    link: str = ""
    link_start: int = 0
    number: int = 0  # of the next item of a list


@dataclass(slots=True)
class Page:
    """The lines of HTML, and the HTML that they are from."""

    lines: list[Line] = field(default_factory=list)
    is_whole: bool = True
    _tokens: list[str] = field(default_factory=list)
    _line_of: dict[int, int] = field(default_factory=dict)
    _breaks: dict[int, int] = field(default_factory=dict)
    _elements: list[Element] = field(default_factory=list)
    _body: Element | None = None

    def without(self, cut: Sequence[bool]) -> str:
        """The HTML without the removed lines, and without the elements that had nothing else.

        All other characters stay as they are. Of a document, the content of the body is left.
        """
        count = len(self._tokens)
        gone, left = [0] * count, [0] * count
        for token, line in self._line_of.items():
            (gone if cut[line] else left)[token] = 1
        drop = [bool(each) for each in gone]
        for token, line in self._breaks.items():
            drop[token] = cut[line]
        gone_before, left_before = [0, *accumulate(gone)], [0, *accumulate(left)]
        end = -1
        for element in self._elements:
            if element.first <= end or element is self._body or element.name == "html":
                continue
            first, last = element.first, element.last + 1
            if gone_before[last] > gone_before[first] and left_before[last] == left_before[first]:
                drop[first:last] = [True] * (last - first)
                end = element.last
        first, last = (0, count) if self._body is None else (self._body.first + 1, self._body.last + 1)
        if self._body is not None and self._tokens[last - 1].startswith("</"):
            last -= 1
        return "".join(self._tokens[token] for token in range(first, last) if not drop[token]).strip()


@dataclass(frozen=True)
class Limits:
    """How much of HTML is read."""

    length: int  # characters
    tags: int
    text_length: int  # characters outside of tags


def read_html(html: str, limits: Limits) -> Page:
    """The lines of HTML, up to the limits."""
    return _Reader(html, limits).page


class _Reader:
    """Reads HTML token by token: tags, comments, text."""

    def __init__(self, html: str, limits: Limits) -> None:
        self.page = Page()
        self._open: list[Element] = []
        self._count: dict[str, int] = {}  # open elements by name
        self._quotes = self._marked = self._containers = self._introductions = self._pre = 0
        self._pieces: list[str] = []
        self._links: list[str] = []
        self._pending: list[int] = []  # tokens of the next line
        self._next = Line("")
        self._sign = ""
        self._wants_gap = False
        self._has_content = False
        self.page.is_whole = len(html) <= limits.length
        self._read(html[: limits.length], limits)
        self._flush()
        while self._open:  # including those after the limits
            self._end(self._open[-1].name, is_missing=True)

    def _read(self, html: str, limits: Limits) -> None:
        tags = characters = 0
        for token, name, is_end in _tokens(html):
            tags += bool(name)
            characters += 0 if name else len(token)
            if tags > limits.tags or characters > limits.text_length:
                self.page.is_whole = False
                return
            self.page._tokens.append(token)
            if not name:
                self._text(token)
            elif name == "!":
                continue
            elif is_end:
                self._end(name)
            else:
                self._start(name, token)

    # --- tokens ---

    def _text(self, token: str) -> None:
        if not self._pre or "\n" not in token:
            self._content(token)
            return
        self.page._tokens.pop()
        for piece in token.splitlines(keepends=True):
            self.page._tokens.append(piece)
            self._content(piece.rstrip("\r\n"))
            if piece.endswith("\n"):
                self._flush(is_break=True)

    def _content(self, token: str) -> None:
        text = _unescaped(token)
        if text.strip():
            self._has_content = True
            self._pending.append(len(self.page._tokens) - 1)
        elif not self._pre and not self._pieces:
            return
        self._add(text)

    def _add(self, text: str) -> None:
        self._pieces.append(text)
        self._links.append(text)

    def _start(self, name: str, token: str) -> None:
        place = len(self.page._tokens) - 1
        if name in BLOCKS:
            self._flush()
            self._wants_gap = self._wants_gap or name in SPACED
        if name == "br":
            self._flush(is_break=True, token=place)
            return
        attributes = _attributes(token) if "=" in token else {}
        if name == "hr":
            self._next.has_rule = True
            self._pending.append(place)
        if name == "img":
            self._add(attributes.get("alt", ""))
            self._pending.append(place)
            self._has_content = self._next.has_picture = True
        if name in ("td", "th") and self._pieces:
            self._add(" ")
        element = self._element(name, place, attributes)
        if name not in VOID:
            self.page._elements.append(element)
            self._open.append(element)
            self._count[name] = self._count.get(name, 0) + 1
            if name == "body" and self.page._body is None:
                self.page._body = element

    def _element(self, name: str, place: int, attributes: dict[str, str]) -> Element:
        element = Element(name, place, first_line=len(self.page.lines))
        if attributes or name == "blockquote":
            self._mark(element, attributes)
        if name == "a":
            link = attributes.get("href", "").strip()
            element.link, element.link_start = link, len(self._links)
            self._next.has_address = self._next.has_address or link[:7].lower() == "mailto:"
        elif name == "li":
            self._sign = self._item()
        elif name == "pre":
            self._pre += 1
        return element

    def _mark(self, element: Element, attributes: dict[str, str]) -> None:
        """Handle an element by which mail programs mark something."""
        marks, style = _marks(attributes), attributes.get("style", "")[:MAX_STYLE]
        if marks & LAST:
            self._flush()
            self._next.is_last = True
        if element.name != "hr" and "border" in style and BORDER_ABOVE.search(style):
            self._next.has_rule = self._next.has_border = True
        if marks & INTRODUCTIONS:
            self._flush()
            element.introduces = True
            self._introductions += 1
        is_drawn = element.name == "blockquote" or (
            "border" in style and BORDER_LEFT.search(style) is not None
        )
        element.is_container = not is_drawn and not marks.isdisjoint(CONTAINERS)
        self._containers += element.is_container
        is_whole = element.name != "blockquote" and not marks.isdisjoint(WHOLE)
        if element.name in VOID or not (is_drawn or is_whole):
            return
        self._flush()
        element.is_quote = True
        element.is_marked = (
            is_whole
            or attributes.get("type", "").lower() == "cite"
            or not marks.isdisjoint(CONTAINERS - {"gmail_quote"})
            or self._containers > 0
        )
        self._quotes += 1
        self._marked += element.is_marked

    def _item(self) -> str:
        """The sign before an item, by its list."""
        depth = min(self._count.get("ul", 0) + self._count.get("ol", 0), MAX_DEPTH)
        indent = "  " * max(depth - 1, 0)
        for element in reversed(self._open[-3:]):
            if element.name == "ol":
                element.number += 1
                return f"{indent}{element.number}. "
            if element.name == "ul":
                break
        return f"{indent}- "

    def _end(self, name: str, is_missing: bool = False) -> None:
        if is_missing and not self.page.is_whole:
            self.page._tokens.append(f"</{name}>")
        if name in BLOCKS:
            self._flush()
            self._wants_gap = self._wants_gap or name in SPACED
        if not self._count.get(name):
            return  # was not opened
        place = len(self.page._tokens) - 1
        while True:
            element = self._open.pop()
            is_named = element.name == name
            self._close(element, place if is_named else place - 1)
            if is_named:
                return

    def _close(self, element: Element, last: int) -> None:
        element.last = min(last, len(self.page._tokens) - 1)
        self._count[element.name] -= 1
        if element.is_quote or element.introduces:
            self._flush()
        if element.is_quote:
            self._quotes -= 1
            self._marked -= element.is_marked
        if element.introduces:
            self._introductions -= 1
        if element.name == "pre":
            self._pre -= 1
        if element.name == "a" and element.link and not self._count["a"]:
            self._show_link(element)
        if element.is_container:
            self._containers -= 1
            self._flush()
            if not self._containers:
                self._quote_without_blockquote(element)

    def _show_link(self, element: Element) -> None:
        """Add the URL of a link after its text, unless they are the same."""
        text = "".join(self._links[element.link_start :]).strip()
        scheme, _, rest = element.link.partition("://")
        if scheme.lower() in ("http", "https") and text and not rest.startswith(text.rpartition("://")[2]):
            self._links.append(f" <{element.link}>")

    def _quote_without_blockquote(self, container: Element) -> None:
        """Treat a container without a quotation in it as one."""
        lines = self.page.lines[container.first_line :]
        if not any(line.is_quoted for line in lines):
            for line in lines:
                line.is_quoted = line.is_marked = True

    # --- lines ---

    def _flush(self, is_break: bool = False, token: int = -1) -> None:
        """End the line. A break, perhaps by the tag `token`, ends even an empty one."""
        lines = self.page.lines
        raw = links = ""
        if self._pieces or self._links:
            raw, links = "".join(self._pieces), "".join(self._links)
            self._pieces.clear()
            self._links.clear()
        if self._has_content:
            if self._wants_gap and lines and not lines[-1].is_blank:
                lines.append(self._blank())
            self._wants_gap = self._has_content = False
            lines.append(self._line(self._laid_out(raw), self._laid_out(links)))
            self.page._line_of.update(dict.fromkeys(self._pending, len(lines) - 1))
            self._pending.clear()
        elif is_break and lines and not lines[-1].is_blank:
            lines.append(self._blank())
        self._next.begins_block = not is_break
        if token >= 0 and lines:
            self.page._breaks[token] = len(lines) - 1

    def _laid_out(self, text: str) -> str:
        return text.rstrip() if self._pre else SPACE.sub(" ", text).strip(" ")

    def _blank(self) -> Line:
        return Line("", is_quoted=bool(self._quotes), is_marked=bool(self._marked))

    def _line(self, text: str, links: str) -> Line:
        line, self._next = self._next, Line("")
        line.text = text
        line.links = links if links != text else ""
        line.is_quoted, line.is_marked = bool(self._quotes), bool(self._marked)
        if text.startswith(">"):
            line.is_quoted = True
            line.is_marked = line.is_marked or QUOTED_WITH_BLANK.match(text) is not None
        line.introduces = bool(self._introductions)
        line.prefix = "> " * min(self._quotes, MAX_DEPTH) + self._sign
        self._sign = ""
        return line


def _tokens(html: str) -> Iterator[tuple[str, str, bool]]:
    """The tokens of HTML: each with the name of the tag in lower case, and whether it is an end tag.

    Joined, they are the HTML. The name is "" for text, and "!" for comments and elements with invisible
    content. An unclosed tag is text.
    """
    position = 0
    quotes = _Quotes(html)
    never_closed: set[str] = set()
    while True:
        found = TAG.search(html, position)
        end = -1 if found is None else quotes.tag_end(found)
        if found is None or end < 0:
            break
        if found.start() > position:
            yield html[position : found.start()], "", False
        name = (found[2] or "!").lower()
        if name in HIDDEN and not found[1] and name not in never_closed:
            close = HIDDEN[name].search(html, end)
            if close is None:
                never_closed.add(name)
            else:
                end, name = close.start(), "!"
        yield html[found.start() : end], name, bool(found[1])
        position = end
    if position < len(html):
        yield html[position:], "", False


class _Quotes:
    """Finds the end of tags whose attributes have a `>`."""

    def __init__(self, html: str) -> None:
        self._html = html
        self._are_closed = True

    def tag_end(self, found: re.Match[str]) -> int:
        """The end of a tag or comment, -1 if it is not closed."""
        html, start = self._html, found.end()
        if found[0] == "<!--":
            end = html.find("-->", start)
            return end + 3 if end >= 0 else -1
        end = html.find(">", start)
        if end < 0 or not found[2] or not self._are_closed:
            return end + 1 or -1
        if html.count('"', start, end) % 2 == 0 and html.count("'", start, end) % 2 == 0:
            return end + 1
        position = start
        while position >= start:
            quote = QUOTE_OR_END.search(html, position)
            if quote is None:
                break
            if quote[0] == ">":
                return quote.end()
            position = html.find(quote[0], quote.end()) + 1
        # One is not closed: browsers drop the rest of such a mail, but the reader needs it.
        self._are_closed = False
        return end + 1


QUOTE_OR_END = re.compile("[>\"']")


def _attributes(token: str) -> dict[str, str]:
    return {
        name.lower(): _unescaped(double or single or bare)
        for name, double, single, bare in ATTRIBUTE.findall(token)
    }


def _marks(attributes: dict[str, str]) -> set[str]:
    """The classes, id and name of an element, without the "x_" that webmail adds to those of a mail."""
    if not attributes:
        return set()
    values = f"{attributes.get('class', '')} {attributes.get('id', '')}".split()
    found = {value.removeprefix("x_").removeprefix("x_") for value in values}
    return found | {f"name={attributes['name']}"} if "name" in attributes else found


def _unescaped(text: str) -> str:
    """A text with its character references replaced; unchanged if Python cannot read one."""
    if "&" not in text:
        return text
    try:
        return entities.unescape(text)
    except ValueError:  # thousands of digits
        return text
