"""The new part of a reply, without what it quotes, by Postal's rules (contract 4.8)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SPACE = " \t\n\f\v"


@dataclass(frozen=True)
class _Rule:
    """Where a cut starts.

    `start` finds candidates, `whole` must match at one. Before it on its line only marks of quotation,
    then white space may stand, and empty lines above are cut with it.
    """

    start: re.Pattern[str]
    whole: re.Pattern[str]
    to_end: bool = True

    def cuts(self, text: str) -> Iterator[tuple[int, int]]:
        for candidate in self.start.finditer(text):
            begin = _line_begin(text, candidate.start())
            if begin is None or not (match := self.whole.match(text, candidate.start())):
                continue
            if self.to_end:
                yield begin, len(text)
                return
            yield begin, match.end()


def _line_begin(text: str, position: int) -> int | None:
    """The earliest line start with nothing but `>` signs, then white space, up to `position`.

    Scanned backwards, because a pattern with this prefix takes quadratic time on empty lines.
    """
    blank = position
    while blank and text[blank - 1] in _SPACE:
        blank -= 1
    quote = blank
    while quote and text[quote - 1] == ">":
        quote -= 1
    if quote == 0 or text[quote - 1] == "\n":
        return quote
    line_end = text.find("\n", blank, position)
    return line_end + 1 if line_end >= 0 else None


def _rules(any_character: str) -> list[_Rule]:
    """Postal's rules in their order, but its first and its last one, which take no marks of quotation."""

    def rule(start: str, rest: str = "", to_end: bool = True) -> _Rule:
        return _Rule(re.compile(start), re.compile(start + rest, re.MULTILINE), to_end)

    return [
        rule("-----", " ?Original Message ?-----"),
        rule("From:", r"[^\n]*\n(?:[ \t]*\n)*(?:Sent|Date):"),
        rule("-----", f"Urspr{any_character}ngliche Nachricht----- "),
        rule("Le", f".{{10,200}}a {any_character}crit :$", to_end=False),
        rule("(?<!_)_{18}"),
        rule("On", "(?s:.{10,200})wrote:$"),
        rule("Sent from my"),
        rule("=== Please reply above this line ==="),
    ]


_SIGNATURE = re.compile(r"^-{2,10} $(?s:.*)", re.MULTILINE)
_QUOTED_LINES = re.compile(r"(?:^>.*(?:\n|\Z)){10,}", re.MULTILINE)
# One character. In a body that was not converted to text Postal means one byte, and an umlaut is two.
_RULES = _rules(".")
_BYTE_RULES = _rules("[\x00-\x7f]")


def separate(text: str | None, *, is_undeclared: bool = False) -> tuple[str, str | None]:
    """The body without quotes and signatures, and what was cut out of it, both trimmed.

    Nothing cut gives None; no text at all gives `""` and None. `is_undeclared`: the body came without a
    Content-Type (see `MessageParts`).
    """
    body, pieces = (text or "").replace("\r", ""), []
    body, cut = _cut(body, [match.span() for match in _SIGNATURE.finditer(body)])
    pieces += cut
    for rule in _BYTE_RULES if is_undeclared else _RULES:
        body, cut = _cut(body, list(rule.cuts(body)))
        pieces += cut
    body, cut = _cut(body, [match.span() for match in _QUOTED_LINES.finditer(body)])
    pieces += cut
    return body.strip(), "\n".join(reversed(pieces)).strip() or None


def _cut(body: str, spans: list[tuple[int, int]]) -> tuple[str, list[str]]:
    """The body without `spans`, and what stood there."""
    kept, position = [], 0
    for begin, end in spans:
        kept.append(body[position:begin])
        position = end
    return "".join([*kept, body[position:]]), [body[begin:end] for begin, end in spans]
