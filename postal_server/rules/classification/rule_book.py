"""Finds the first of several hundred rules that a text matches, in time proportional to the text.

Each alternative of a rule's pattern is filed under three characters that any text it matches has. Only those
whose characters occur are looked at, and of these only those whose plain words all occur in their order; most
have nothing but such words, so that the regular expression is tried for few.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from postal_server.rules.failure_class import FailureClass
from postal_server.rules.reply_rules import ReplyRule

GRAM = 3  # characters
STEP = 2  # of a text only each second gram is looked up: a word is filed under two that follow each other
LEAST_WORD = GRAM + STEP - 1
SHORT = 500  # characters of a text that is searched as a whole
AROUND = 200  # characters of a longer one before and behind a place where a rule's rarest word stands
PLACES = 2  # of those
_GROUPS = ("(", "(?:")  # those that match what they hold
_ESCAPED = re.compile(r"\\.|[^\\]", re.DOTALL)
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?<?[:=!]|\{\d*,?\d*\}|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One alternative of a pattern: what stands in each text that it matches, in this order.

    Each of `words` is a run of plain characters, or several for a group, of which one stands there. `longest`
    is the longest run; `is_plain`: there is nothing else.
    """

    words: tuple[tuple[str, ...], ...]
    longest: str
    is_plain: bool


class RuleBook:
    """Rules in their order; compiled once."""

    def __init__(self, rules: Sequence[ReplyRule]) -> None:
        self._alternatives = [(rule, each) for rule in rules for each in alternatives(rule.pattern)]
        self._longest = [alternative.longest for _, alternative in self._alternatives]
        frequency = Counter(gram for word in self._longest for gram in set(_grams(word)))
        self._filed: dict[str, set[int]] = {}  # numbers of alternatives
        for number, word in enumerate(self._longest):
            for gram in _two_rarest(_grams(word), frequency):
                self._filed.setdefault(gram, set()).add(number)
        self._known = frozenset(self._filed)

    def find(self, text: str, without: frozenset[FailureClass] = frozenset()) -> tuple[ReplyRule, str] | None:
        """The first rule that a cleaned text matches, and by which words; none of classes in `without`."""
        grams = self._known.intersection([text[start : start + GRAM] for start in range(0, len(text), STEP)])
        near = set[int]().union(*map(self._filed.__getitem__, grams))
        longest = self._longest
        for number in sorted([number for number in near if longest[number] in text]):
            rule, alternative = self._alternatives[number]
            if rule.failure_class not in without and (words := _matched(alternative, rule.pattern, text)):
                return rule, words
        return None


def _two_rarest(grams: Sequence[str], frequency: Mapping[str, int]) -> tuple[str, ...]:
    """The two neighbours that the fewest words have."""
    return min(pairwise(grams), key=lambda pair: frequency[pair[0]] + frequency[pair[1]])


def _matched(alternative: Alternative, pattern: str, text: str) -> str:
    """The words of the text that the rule matches, empty if it does not. The plain ones occur in it."""
    if alternative.is_plain:
        return alternative.longest
    position = 0
    for choice in alternative.words:
        ends = [start + len(word) for word in choice if (start := text.find(word, position)) >= 0]
        if not ends:
            return ""
        position = min(ends)
    match = _search(_compiled(pattern), alternative, text)
    return match[0] if match else ""


def _search(pattern: re.Pattern[str], alternative: Alternative, text: str) -> re.Match[str] | None:
    """The pattern's match, in a long text beside the first places where its rarest word stands.

    A long text that repeats the beginning of a pattern hundreds of times would take long.
    """
    if len(text) <= SHORT:
        return pattern.search(text)
    word = min((choice[0] for choice in alternative.words if len(choice) == 1), key=text.count)
    position = -1
    for _ in range(PLACES):
        position = text.find(word, position + 1)
        if position < 0:
            return None
        if match := pattern.search(text, max(position - AROUND, 0), position + AROUND):
            return match
    return None


@functools.cache
def alternatives(pattern: str) -> tuple[Alternative, ...]:
    """The alternatives at the top of a pattern. Raises ValueError for one without four plain characters."""
    found = []
    for parts in _split(_PARTS.findall(_lower(pattern))):
        words = tuple(_words(parts))
        longest = max((choice[0] for choice in words if len(choice) == 1), key=len, default="")
        found.append(Alternative(words, longest, is_plain=len(words) == 1 and all(map(_plain, parts))))
        if len(longest) < LEAST_WORD:
            raise ValueError(f"{pattern!r} has an alternative without {LEAST_WORD} plain characters")
    return tuple(found)


def _split(parts: Sequence[str]) -> list[list[str]]:
    """The parts of each alternative at the top."""
    depth, split = 0, [list[str]()]
    for part in parts:
        depth += (part[0] == "(") - (part == ")")
        if depth == 0 and part == "|":
            split.append([])
        else:
            split[-1].append(part)
    return split


def _words(parts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words of an alternative; a group has the longest of each of its own, unless one has none."""
    run, start, depth = "", 0, 0
    for number, part in enumerate([*parts, ""]):
        following = parts[number + 1] if number + 1 < len(parts) else ""
        is_optional = following[:1] in ("?", "*", "{")
        depth += part[:1] == "("
        if depth == 0 and _plain(part) and not is_optional:
            run += _plain(part)
            continue
        if run:
            yield (run,)
            run = ""
        if part[:1] == "(" and depth == 1:
            start = number
        if part == ")":
            depth -= 1
            if depth == 0 and not is_optional and parts[start] in _GROUPS:
                yield from _choice(parts[start + 1 : number])


def _choice(parts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    longest = []
    for each in _split(parts):
        runs = [choice[0] for choice in _words(each) if len(choice) == 1]
        if not runs:
            return
        longest.append(max(runs, key=len))
    yield tuple(longest) if len(longest) > 1 else (longest[0], longest[0])


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
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_lower(pattern), re.ASCII)
