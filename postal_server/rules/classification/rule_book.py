"""Finds the first of several hundred rules that a text matches, in time proportional to the text.

Each rule is filed under four characters that any text it matches has; only rules whose characters occur in a
text are tried.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence

from postal_server.rules.failure_class import FailureClass
from postal_server.rules.reply_rules import ReplyRule

GRAM = 4  # characters
_ESCAPED = re.compile(r"\\.|[^\\]", re.DOTALL)
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?<?[:=!]|\{\d*,?\d*\}|.", re.DOTALL)


class RuleBook:
    """Rules in their order; compiled once."""

    def __init__(self, rules: Sequence[ReplyRule]) -> None:
        self._rules = rules
        self._searches: list[Callable[[str], object]] = []
        self._filed: dict[str, list[int]] = {}
        self._always: list[int] = []
        grams: dict[str, int] = {}
        needed = [literals(rule.pattern) for rule in rules]
        for words in needed:
            for gram in {gram for word in words for gram in _grams(word)}:
                grams[gram] = grams.get(gram, 0) + 1
        for number, (rule, words) in enumerate(zip(rules, needed, strict=True)):
            self._searches.append(_search(rule.pattern))
            if not words:
                self._always.append(number)
            for gram in {min(_grams(word), key=grams.__getitem__) for word in words}:
                self._filed.setdefault(gram, []).append(number)
        self._known = frozenset(self._filed)

    def find(self, text: str, without: frozenset[FailureClass] = frozenset()) -> ReplyRule | None:
        """The first rule that a cleaned text matches, of classes that are not in `without`."""
        grams = self._known.intersection([text[start : start + GRAM] for start in range(len(text))])
        numbers = {number for gram in grams for number in self._filed[gram]}
        for number in sorted(numbers.union(self._always)):
            rule = self._rules[number]
            if rule.failure_class not in without and self._searches[number](text):
                return rule
        return None


def literals(pattern: str) -> tuple[str, ...]:
    """Texts of which each match of `pattern` has one; none where it has too short ones.

    For each alternative at the top, the longest run of plain characters outside of groups.
    """
    found: list[str] = []
    for alternative in _alternatives(pattern):
        longest = max(_runs(alternative), key=len, default="")
        if len(longest) < GRAM:
            return ()
        found.append(longest)
    return tuple(found)


def _alternatives(pattern: str) -> Iterable[list[str]]:
    """The parts of each alternative at the top; a group is the part `()`."""
    parts: list[str] = []
    depth = 0
    for part in _PARTS.findall(_lower(pattern)):
        if part[0] == "(":
            depth += 1
            if depth == 1:
                parts.append("()")
        elif part == ")":
            depth -= 1
        elif depth == 0 and part == "|":
            yield parts
            parts = []
        elif depth == 0:
            parts.append(part)
    yield parts


def _runs(parts: list[str]) -> Iterable[str]:
    run = ""
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        plain = _plain(part)
        if plain and following[:1] not in ("?", "*", "{"):
            run += plain
            continue
        yield run
        run = ""
    yield run


def _plain(part: str) -> str:
    """The character that a part stands for; empty for what is not one."""
    if len(part) == 2 and part[0] == "\\":
        return "" if part[1].isalnum() else part[1]
    return part if len(part) == 1 and part not in ".^$*+?()|" else ""


def _grams(word: str) -> list[str]:
    return [word[start : start + GRAM] for start in range(len(word) - GRAM + 1)]


def _lower(pattern: str) -> str:
    """The pattern for a text in lower case: escapes keep their case."""
    return "".join(each if each[0] == "\\" else each.lower() for each in _ESCAPED.findall(pattern))


@functools.cache
def _search(pattern: str) -> Callable[[str], object]:
    return re.compile(_lower(pattern)).search
