"""Plain phrases looked for in text, in any language: case, accents and blanks do not matter."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property

MAX_TEXT = 50_000  # characters of a text that are read
MAX_LINES = 2000
ENOUGH = 4  # characters at an end of a word that tell it from most others

_SEPARATOR = re.compile(r" / |\n")
_ACCENTS = re.compile("[\u0300-\u036f]+")


def phrases(listed: str) -> tuple[str, ...]:
    """The phrases in a list, separated by `/` or line ends, as they are in plain text."""
    return tuple(dict.fromkeys(filter(None, map(plain, _SEPARATOR.split(listed)))))


def plain(text: str) -> str:
    """`text` for comparison: in lower case, without accents, one blank between words."""
    return " ".join(fold(text).split())


def fold(text: str) -> str:
    """`text` in lower case and without accents, with its line ends."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.replace("’", "'")).casefold()
    return _ACCENTS.sub("", decomposed)


def has_any(text: str, listed: Iterable[str]) -> bool:
    """Is one of the phrases in plain text? For short texts, such as a subject."""
    for phrase in listed:  # noqa: SIM110 - half the time of any()
        if phrase in text:
            return True
    return False


class Text:
    """A text in which many phrases are looked for: what that takes is made of it once, when it is needed.

    Of a long text, 50,000 characters and 2000 lines are read.
    """

    def __init__(self, text: str) -> None:
        text = text[:MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n")
        self.lines = text.replace("\0", "").replace("\xa0", " ").split("\n", MAX_LINES)[:MAX_LINES]

    @cached_property
    def text(self) -> str:
        """The text with LF line ends."""
        return "\n".join(self.lines)

    @cached_property
    def folded(self) -> str:
        """The text in lower case without accents, with the same lines."""
        return fold(self.text)

    @cached_property
    def _split(self) -> list[str]:
        return self.folded.split()

    @cached_property
    def plain(self) -> str:
        """The text in lower case without accents, one blank between words."""
        return " ".join(self._split)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of `plain`."""
        return frozenset(self._split)

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """How they begin; `""` is one of them."""
        return frozenset([word[:ENOUGH] for word in self.words] + [""])

    @cached_property
    def ends(self) -> frozenset[str]:
        """How they end; `""` is one of them."""
        return frozenset([word[-ENOUGH:] for word in self.words] + [""])

    @cached_property
    def vocabulary(self) -> str:
        """Each of them once."""
        return " ".join(self.words)


class Phrases:
    """Phrases made ready to be looked for in long texts.

    The words of a text rule most of them out at once: those inside a phrase are whole words of a text that
    has it, the first one ends a word, and the last one begins one.
    """

    def __init__(self, listed: Iterable[str]) -> None:
        self._words: list[str] = []
        self._others: list[tuple[str, frozenset[str], str, str]] = []
        for phrase in dict.fromkeys(listed):
            first, *inside = phrase.split()
            if not inside:
                self._words.append(phrase)
                continue
            last = inside.pop()
            end = first[-ENOUGH:] if len(first) >= ENOUGH else ""
            beginning = last[:ENOUGH] if len(last) >= ENOUGH else ""
            self._others.append((phrase, frozenset(inside), end, beginning))

    def all_in(self, text: Text) -> set[str]:
        """Those in a text."""
        return {phrase for phrase in self._possible(text) if phrase in text.plain}

    def is_any_in(self, text: Text, said: str) -> bool:
        """Is one of them in `said`, a piece of the plain text?"""
        return has_any(said, self._possible(text))

    def _possible(self, text: Text) -> Iterator[str]:
        words, ends, beginnings = text.words, text.ends, text.beginnings
        for phrase, inside, end, beginning in self._others:
            if end in ends and beginning in beginnings and inside <= words:
                yield phrase
        vocabulary = text.vocabulary
        for word in self._words:
            if word in vocabulary:
                yield word
