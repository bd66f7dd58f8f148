"""Enhanced status codes (RFC 3463) in words."""

from __future__ import annotations

import re
from itertools import islice

# The digit stands before the look-behind, as the search for it is quick.
_CODE = re.compile(r"([245](?<![\d.].)\.\d{1,3}\.\d{1,3})(?!\.?\d)", re.ASCII)
_VERSION = re.compile(r"\d\.\d\d", re.ASCII)  # Exim 4.92.3
_MARK = re.compile(
    r"(?:(?<![\d.])[245]\d\d[ -]{1,3}|#|\b(?:status|code)[ \t]{0,3}[:=]?[ \t]{0,3})#?\Z",
    re.ASCII | re.IGNORECASE,
)
MARK_CHARACTERS = 20  # before a code that may mark it
MAX_CODES = 1000  # in one text


def find_status(text: str, classes: str = "245") -> str | None:
    """The code in what a server or a report says, or None; only one of `classes`, its first digits.

    One that is marked as a code counts before what may be a version (`Exim 4.1.2`).
    """
    unmarked = None
    for match in islice(_CODE.finditer(text), MAX_CODES):
        code = match[1]
        if code[0] not in classes:
            continue
        if _MARK.search(text[max(match.start() - MARK_CHARACTERS, 0) : match.start()]):
            return code
        if unmarked is None and not _VERSION.match(code):
            unmarked = code
    return unmarked


def enhanced_code(text: str) -> tuple[str, str, str] | None:
    """The first code in a reply, as its three numbers."""
    match = _CODE.search(text)
    if match is None:
        return None
    first, second, third = match[1].split(".")
    return first, second, third
