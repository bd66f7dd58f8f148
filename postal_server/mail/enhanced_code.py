"""Enhanced status codes (RFC 3463) in words."""

from __future__ import annotations

import re

# The digit stands before the look-behind, as the search for it is quick.
_CODE = re.compile(r"([245](?<![\d.].)\.\d{1,3}\.\d{1,3})(?!\.?\d)", re.ASCII)
_UNMARKED = re.compile(r"([245](?<![\d.].)\.\d\.\d{1,3})(?!\.?\d)", re.ASCII)  # not `Exim 4.92.3`
_MARKED = re.compile(
    r"(?:(?<![\d.])[245]\d\d[ -]{1,3}|#|\b(?:status|code)[ \t]{0,3}[:=]?[ \t]{0,3})#?"
    r"([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)",
    re.ASCII | re.IGNORECASE,
)


def find_status(text: str, classes: str = "245") -> str | None:
    """The code in what a server or a report says, or None; only one of `classes`, its first digits.

    One that is marked as a code counts before what may be a version (`Exim 4.1.2`).
    """
    if not _CODE.search(text):
        return None
    codes = (match[1] for pattern in (_MARKED, _UNMARKED) for match in pattern.finditer(text))
    return next((code for code in codes if code[0] in classes), None)


def enhanced_code(text: str) -> tuple[str, str, str] | None:
    """The first code in a reply, as its three numbers."""
    match = _CODE.search(text)
    if match is None:
        return None
    first, second, third = match[1].split(".")
    return first, second, third
