"""The new part of a reply: what its author wrote, without the quoted mail below or around it.

Three judges look at the text: mail-parser-reply, quotequail, and a rule of our own that needs no language.
The shortest result that is not empty wins. So answers between quoted lines can be lost below a greeting; the
mail itself still has them. Needs the extra `replies`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import conf
from .reply_address import address_pattern

MISSING: ImportError | None = None
try:
    import lxml.etree
    import lxml.html
    import quotequail
    from mailparser_reply.constants import MAIL_LANGUAGES
    from mailparser_reply.parser import EmailMessage
except ImportError as error:
    MISSING = error
else:
    # lxml has no types.
    parse_html: Any = lxml.html.document_fromstring
    print_html: Any = lxml.html.tostring
    HTMLParser: Any = lxml.html.HTMLParser

    class SketchMessage(EmailMessage):
        """A message that is not tidied up first: a sketch is tidy, and its lines must remain countable."""

        def _normalize_text(self) -> None:
            pass


Element = Any

# The judges get a sketch of the text: some of their patterns take time that grows with the square or the cube
# of its length, and anybody may send us anything. A reply longer than this is judged by its beginning.
MAX_LINES = 400
MAX_LINE_LENGTH = 300
MAX_HTML_LENGTH = 1_000_000
MAX_ELEMENTS = 1000

# Gmail, Yahoo, Proton, Thunderbird, Zoho. Outlook on the web puts "x_" before the names it finds.
QUOTE_CLASSES = frozenset(
    {"gmail_quote", "gmail_attr", "yahoo_quoted", "protonmail_quote", "moz-cite-prefix", "zmail_extra"}
)
# Outlook (desktop, web, phone), older Hotmail, Apple Mail: the quoted mail is all that follows.
LAST_IDS = frozenset(
    {
        "appendonsend",
        "divRplyFwdMsg",
        "mail-editor-reference-message-container",
        "OLK_SRC_BODY_SECTION",
        "stopSpelling",
        "AppleOriginalContents",
    }
)
OUTLOOK_RULE = re.compile(
    r"border:\s*none;\s*border-top:\s*solid #[0-9a-f]{6} 1\.0pt;\s*padding:\s*3\.0pt 0", re.IGNORECASE
)
ATTRIBUTION_END = (":", "\N{FULLWIDTH COLON}")
ADDRESS = re.compile(r"[^\s<>@]@[^\s<>@]")


@dataclass(frozen=True)
class ReplyText:
    """The new part of a reply, as text and as HTML, each as hostile as it came; None if the mail had none."""

    text: str | None
    html: str | None


def extract_reply(
    text: str | None,
    html: str | None = None,
    languages: Sequence[str] | None = None,
    *,
    server: str = conf.DEFAULT_SERVER,
) -> ReplyText:
    """The new part of a reply, without reply addresses of `server`, so that no token is published.

    `languages` are codes for mail-parser-reply, None is all it knows. What seems to be a quotation as a whole
    is returned as a whole. Raises `ImportError` if the extra is not installed.
    """
    if MISSING is not None:
        raise ImportError("Taking replies apart needs: pip install 'anymail-postal[replies]'") from MISSING
    return ReplyText(
        text=None if text is None else _without_addresses(_new_text(text, languages), server),
        html=None if html is None else _without_addresses(_new_html(html), server),
    )


def _without_addresses(result: str, server: str) -> str:
    """`result` without our own reply addresses, also those inside links."""
    config = conf.server(server)
    if config.reply_domain is None:
        return result
    return address_pattern(config.reply_local_part, config.reply_domain).sub("", result)


# --- text ---


def _new_text(text: str, languages: Sequence[str] | None) -> str:
    lines = text.replace("\r\n", "\n").split("\n")
    results = ["\n".join(result).strip() for result in _text_results(lines, languages)]
    return _shortest(results, _size) or text.strip()


def _text_results(lines: list[str], languages: Sequence[str] | None) -> Iterator[list[str]]:
    """What each judge leaves of the lines."""
    yield _without_last_quote(lines)
    sketch = _Sketch(lines)
    for top, bottom in (_quotequail(sketch.text), _mail_parser(sketch.text, languages)):
        yield sketch.lines(top, bottom)


class _Sketch:
    """A short picture of a text for the judges, and the way back from their answers to the full lines."""

    def __init__(self, lines: list[str]) -> None:
        self._full = lines
        shown = [number for number, line in enumerate(lines) if line.strip() or _has_text(lines, number - 1)]
        while shown and not lines[shown[-1]].strip():
            shown.pop()
        self._is_whole = len(shown) <= MAX_LINES
        self._shown = shown[:MAX_LINES]
        self.text = "\n".join(lines[number].strip()[:MAX_LINE_LENGTH].rstrip() for number in self._shown)

    def lines(self, top: str, bottom: str = "") -> list[str]:
        """The full lines of the first lines `top` and the last lines `bottom` of the sketch."""
        count = _count(top)
        if not self._is_whole and (bottom or count == len(self._shown)):
            return self._full  # What they found may be only where the sketch ends.
        start = [] if not count else self._full[: self._shown[count - 1] + 1]
        end = [] if not bottom else self._full[self._shown[-_count(bottom)] :]
        return [*start, "", *end] if start and end else start or end


def _has_text(lines: list[str], number: int) -> bool:
    return number >= 0 and bool(lines[number].strip())


def _count(lines: str) -> int:
    return lines.count("\n") + 1 if lines else 0


def _quotequail(text: str) -> tuple[str, str]:
    found = quotequail.unwrap(text)
    return (text, "") if found is None else (found.get("text_top", ""), found.get("text_bottom", ""))


def _mail_parser(text: str, languages: Sequence[str] | None) -> tuple[str, str]:
    message: Any = SketchMessage(text=text, languages=list(languages or MAIL_LANGUAGES))
    return message.read().latest_reply or "", ""


def _without_last_quote(lines: list[str]) -> list[str]:
    """Our own rule: a last block of ">" lines goes, and the line before it, if that introduces it.

    That ends with a colon and holds an address; Gmail breaks long ones, so it may have three lines.
    """
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith(">")):
        end -= 1
    if not any(line.startswith(">") for line in lines[end:]):
        return lines
    for start in range(end - 1, max(end - 4, -1), -1):
        if not lines[start].strip():
            break
        if _is_attribution(" ".join(lines[start:end])):
            return lines[:start]
    return lines[:end]


def _is_attribution(text: str) -> bool:
    text = text.strip()
    is_short = len(text) <= MAX_LINE_LENGTH
    return is_short and text.endswith(ATTRIBUTION_END) and bool(ADDRESS.search(text))


# --- HTML ---


def _new_html(html: str) -> str:
    if len(html) > MAX_HTML_LENGTH:
        return html
    cut = _without_marked_quotes(html)
    if not _html_size(cut):
        cut = html  # All of it is a quotation.
    return _shortest([cut, _quotequail_html(cut)], _html_size) or html


def _quotequail_html(html: str) -> str:
    if html.count("<") > 2 * MAX_ELEMENTS:
        return html
    found = quotequail.unwrap_html(html)
    return html if found is None else found.get("html_top", "") + found.get("html_bottom", "")


def _without_marked_quotes(html: str) -> str:
    """The content of the body without what mail programs mark as quoted; `html` itself if nothing is."""
    body = _body(html)
    if body is None:
        return html
    marked = [element for element in body.iter("*") if _is_quote(element) or _is_last_quote(element)]
    for element in marked[:MAX_ELEMENTS]:
        if element.getparent() is None:
            continue  # It went with what is above.
        _remove_attribution_before(element)
        if _is_last_quote(element):
            _remove_after(element)
        element.drop_tree()
    return _content(body) if marked else html


def _body(html: str) -> Element:
    """The body of a document or a fragment, None if it has none."""
    # Bytes, because text must not say what encoding it has. A NUL would end the document.
    data = html.replace("\0", "").encode("utf-8", "replace")
    try:
        document = parse_html(data, parser=HTMLParser(encoding="utf-8"))
    except lxml.etree.ParserError:  # There is no element in it.
        return None
    return document.find("body")


def _content(body: Element) -> str:
    body.attrib.clear()
    html: str = print_html(body, encoding="unicode", with_tail=False)
    return html.removeprefix("<body>").removesuffix("</body>").strip()


def _is_quote(element: Element) -> bool:
    """Does a mail program mark this as quoted?"""
    classes = {name.removeprefix("x_") for name in element.get("class", "").split()}
    is_cited = element.tag == "blockquote" and element.get("type", "").lower() == "cite"
    return is_cited or not classes.isdisjoint(QUOTE_CLASSES)


def _is_last_quote(element: Element) -> bool:
    """Does a mail program mark this as the beginning of the quoted mail?"""
    is_last: bool = element.get("id", "").removeprefix("x_") in LAST_IDS
    return is_last or bool(OUTLOOK_RULE.match(element.get("style", "")))


def _remove_attribution_before(element: Element) -> None:
    """Remove the line that introduces a quotation: an element or bare text, perhaps with <br> between."""
    before = element.getprevious()
    while before is not None and before.tag == "br" and not (before.tail or "").strip():
        before = before.getprevious()
    if before is None:
        parent = element.getparent()
        if _is_attribution(parent.text or ""):
            parent.text = None
    elif (before.tail or "").strip():
        if _is_attribution(before.tail):
            before.tail = None
    elif isinstance(before.tag, str) and _is_attribution(before.text_content()):
        before.drop_tree()


def _remove_after(element: Element) -> None:
    """Remove all that follows an element in its document."""
    while element.getparent() is not None:
        for following in list(element.itersiblings()):
            element.getparent().remove(following)
        element.tail = None
        element = element.getparent()


# --- sizes ---


def _shortest(results: list[str], size: Callable[[str], int]) -> str:
    """The first of the shortest results that are not empty, "" if all are."""
    return min(filter(size, results), key=size, default="")


def _size(text: str) -> int:
    """Characters that are not white space: the judges lay out differently what is the same text."""
    return sum(map(len, text.split()))


def _html_size(html: str) -> int:
    """As `_size`, of the text; a picture counts too."""
    body = _body(html)
    return 0 if body is None else _size(body.text_content()) + sum(1 for _ in body.iter("img"))
