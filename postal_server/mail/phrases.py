"""Plain phrases looked for in text, in any language: case, accents and blanks do not matter."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

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
    """Is one of the phrases in plain text?"""
    return any(phrase in text for phrase in listed)
