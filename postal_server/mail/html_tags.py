"""Tags and attributes of an HTML document, as offsets into its bytes, and the values of attributes.

Tags are read as browsers do (WHATWG HTML, section 13.2.5, "Tokenization"): text that looks like a tag in a
comment, in `<style>` or in an attribute's value is none. Nothing is copied and nothing rewritten, so that
changing one value keeps every other byte. Documents are bytes in an encoding that keeps ASCII as it is; each
is read once, from start to end.

No tree is built. Only the start and end of SVG and MathML are tracked, because `<style>` and CDATA are read
differently there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html.entities import html5

# Elements whose content is text up to their own end tag (13.2.6.4). `<noscript>` is not among them: mail
# programs run no scripts.
_TEXT_ELEMENTS = frozenset(b"iframe noembed noframes script style textarea title xmp".split())
_FOREIGN = frozenset([b"math", b"svg"])
_INERT = b"template"  # its content is not part of the page
_REST_IS_TEXT = b"plaintext"
_ALWAYS_SEEN = frozenset([*_TEXT_ELEMENTS, *_FOREIGN, _INERT, b"/" + _INERT, _REST_IS_TEXT])
# Tags that end SVG and MathML, whichever elements are open there (13.2.6.5).
_ENDS_FOREIGN = frozenset(
    b"/svg /math /p /br b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 "
    b"head hr i img li listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt "
    b"u ul var".split()
)

MAX_STEPS = 20_000  # tags, and attributes of the tags looked for; a large newsletter has a third of that

# All of these are matched against lower-cased bytes.
_BLANK = rb"[\t\n\f\r ]"
# The rest of a tag in its usual form: stricter than the standard, but never read differently from it.
_ORDINARY_REST = (
    rb"(?:" + _BLANK + rb"+[a-z][a-z0-9_:.-]*"
    rb"(?:=(?:\"[^\"]*\"|'[^']*'|[^\t\n\f\r \"'=<>`]+))?)*" + _BLANK + rb"*/?>"
)
# 1: name of a tag that is looked for; 2: of another whose attributes are unusual; 3: markup that is no tag.
_MARKUP = (
    rb"<(?:(%s)(?=[\t\n\f\r />])"
    rb"|/?[a-z](?:[^>=]*>|[^\t\n\f\r />]*" + _ORDINARY_REST + rb")"
    rb"|(/?[a-z][^\t\n\f\r />]*)"
    rb"|(!--|!\[cdata\[|[!?/]))"
)
# A name may be any character but these, `=` included where it is the first (13.2.5.32); a value in quotes
# that do not end goes on to the end of the document.
_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*([^\t\n\f\r />][^\t\n\f\r />=]*)"
    rb"(?:[\t\n\f\r ]*=[\t\n\f\r ]*(\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z)|[^\t\n\f\r >\"'][^\t\n\f\r >]*)?)?"
)
_TAG_END = re.compile(rb"[\t\n\f\r /]*>")
_ABRUPT_COMMENT = re.compile(rb"<!---?>")
_COMMENT_END = re.compile(rb"--!?>")
_SCRIPT_MARK = re.compile(rb"<!--|-->|<(/?)script(?=[\t\n\f\r />])")


@dataclass(frozen=True)
class Tag:
    """A start tag, or an end tag whose name begins with `/`; the name is in lower case.

    It is at `document[start:end]`, and the value of each of its attributes, with its quotes, at the range in
    `attributes`. Of two attributes with one name the first counts.
    """

    name: bytes
    start: int
    end: int
    attributes: dict[bytes, tuple[int, int]]


def find_tags(document: bytes, names: frozenset[bytes]) -> Iterator[Tag]:
    """The tags with these names (lower case; `/name` is an end tag), in order. Never raises.

    Anything after the first `MAX_STEPS` tags is not read.
    """
    reader = _Reader(document.lower())
    for tag in reader.tags(names | _ALWAYS_SEEN):
        if tag.name in names and not reader.inert_depth:
            yield tag


@lru_cache(maxsize=8)
def _pattern(names: frozenset[bytes]) -> re.Pattern[bytes]:
    return re.compile(_MARKUP % b"|".join(sorted(names)))


class _Reader:
    """Reads `text`, a document in lower case."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.position = 0
        self.steps_left = MAX_STEPS
        self.is_foreign = False  # in SVG or MathML
        self.inert_depth = 0

    def tags(self, names: frozenset[bytes]) -> Iterator[Tag]:
        """The tags with these names, and others that matter."""
        of_html, of_others = _pattern(names), _pattern(names | _ENDS_FOREIGN)
        while mark := (of_others if self.is_foreign else of_html).search(self.text, self.position):
            self.position = mark.end()
            self.steps_left -= 1
            if self.steps_left < 0:
                return
            if mark.lastindex is None:
                continue
            if mark.lastindex == 3:
                self._pass_over(mark.start(), mark[3])
                continue
            attributes = self._attributes()
            if attributes is None:
                return  # the document ends inside the tag, so it is not one
            if mark.lastindex == 1:
                self._enter(mark[1])
                yield Tag(mark[1], mark.start(), self.position, attributes)

    def _attributes(self) -> dict[bytes, tuple[int, int]] | None:
        """The attributes of the tag whose name ends here; None if the tag has no end. Moves past the tag."""
        attributes: dict[bytes, tuple[int, int]] = {}
        while self.steps_left > 0 and (pair := _ATTRIBUTE.match(self.text, self.position)):
            self.steps_left -= 1
            attributes.setdefault(pair[1], pair.span(2) if pair[2] else (pair.end(), pair.end()))
            self.position = pair.end()
        end = _TAG_END.match(self.text, self.position)
        if end is None:
            return None
        self.position = end.end()
        return attributes

    def _enter(self, name: bytes) -> None:
        """Note what the tag that ends here opens or closes, and skip the text of a text element."""
        if self.is_foreign:
            self.is_foreign = name not in _ENDS_FOREIGN
        elif name in _FOREIGN:
            self.is_foreign = self.text[self.position - 2] != ord("/")
        elif name == _INERT:
            self.inert_depth += 1
        elif name == b"/" + _INERT:
            self.inert_depth = max(0, self.inert_depth - 1)
        elif name == _REST_IS_TEXT:
            self.position = len(self.text)
        elif name == b"script":
            self._pass_over_script()
        elif name in _TEXT_ELEMENTS:
            end = re.compile(rb"</" + name + rb"(?=[\t\n\f\r />])").search(self.text, self.position)
            self.position = end.start() if end else len(self.text)

    def _pass_over(self, start: int, opening: bytes) -> None:
        """Skip a comment, CDATA, or markup that browsers treat as a comment, whose `<` is at `start`."""
        if opening == b"!--":
            abrupt = _ABRUPT_COMMENT.match(self.text, start)
            end = abrupt or _COMMENT_END.search(self.text, start + 4)
            self.position = end.end() if end else len(self.text)
            return
        ending = b"]]>" if opening == b"![cdata[" and self.is_foreign else b">"
        at = self.text.find(ending, start)
        self.position = at + len(ending) if at >= 0 else len(self.text)

    def _pass_over_script(self) -> None:
        """In `<!--`, a script that a script writes has an end tag of its own (13.2.5.15 to 13.2.5.31)."""
        is_commented = is_nested = False
        while mark := _SCRIPT_MARK.search(self.text, self.position):
            self.position = mark.end()
            if mark[0] == b"<!--":
                is_commented = True
                self.position -= 2  # the dashes may be those of `-->` as well
            elif mark[0] == b"-->":
                is_commented = is_nested = False
            elif not mark[1]:
                is_nested = is_commented
            elif is_nested:
                is_nested = False
            else:
                self.position = mark.start()
                return
        self.position = len(self.text)


# Values

_REFERENCE = re.compile(r"&(?:#[xX]([0-9a-fA-F]+);?|#([0-9]+);?|([A-Za-z][A-Za-z0-9]*)(;|=)?)")
_LONGEST_NUMBER = 7  # digits of U+10FFFF in decimal
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_MAX_CHARACTER = 0x10FFFF


def unquote(value: str) -> str:
    """The text of an attribute's value: without its quotes, with character references replaced."""
    if value[:1] in ("'", '"'):
        value = value[1:-1]
    value = value.replace("\0", _REPLACEMENT)  # 13.2.5.36 to 13.2.5.38
    return _REFERENCE.sub(_character, value) if "&" in value else value


def _character(reference: re.Match[str]) -> str:
    """The text for a character reference in an attribute (13.2.5.72 to 13.2.5.80)."""
    hexadecimal, decimal, name, ending = reference.groups()
    if hexadecimal or decimal:
        return _numbered(hexadecimal or decimal, 16 if hexadecimal else 10)
    if ending == ";":
        return html5.get(f"{name};", reference[0])
    # Some legacy names need no semicolon; in an attribute they do before `=`, a letter or a digit.
    return reference[0] if ending == "=" else html5.get(name, reference[0])


def _numbered(digits: str, base: int) -> str:
    digits = digits.lstrip("0")
    number = int(digits, base) if 0 < len(digits) <= _LONGEST_NUMBER else 0
    if not 0 < number <= _MAX_CHARACTER or 0xD800 <= number <= 0xDFFF:
        return _REPLACEMENT
    if 0x80 <= number <= 0x9F:  # as in windows-1252, where that has a character
        return bytes([number]).decode("cp1252", "ignore") or chr(number)
    return chr(number)
