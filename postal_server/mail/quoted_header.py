"""The header of a message that is quoted in a text, as in reports of servers that attach nothing."""

from __future__ import annotations

import re

MAX_BLOCKS = 20  # headers in one text that are looked at
MAX_LINES = 400  # of a header, in each direction
MAX_GAP = 1000  # characters between the pieces of a header whose lines were broken

# What shows that lines are a header: fields that no one writes into an explanation, and a Message-ID.
# A line end is looked for faster than `^`.
_SIGN = re.compile(
    r"\n([ \t>|*]{0,12})"
    r"(?:Message-ID|X-Postal-MsgID|Received|Return-Path|MIME-Version|DKIM-Signature)[ \t]*:",
    re.IGNORECASE,
)
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,60}[ \t]*:")
MAX_BEHIND = 200  # characters behind a field without a value, where a page may have put it

_OF_SERVERS = re.compile(
    r"^(?:X-Postal-MsgID|Received|Return-Path|MIME-Version|DKIM-Signature)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_TOKEN = re.compile(r"^X-Postal-MsgID[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(r"^Message-ID[ \t]*:[ \t]*(?:\n[ \t]+)?[^\s]", re.IGNORECASE | re.MULTILINE)
_IN_WORDS = re.compile(
    r"message[- ]?id\b[^<>\n]{0,20}\n?[ \t]{0,20}<([^<>\s@]{1,250}@[^<>\s]{1,250})>", re.IGNORECASE
)


def find_header(text: str) -> tuple[int, bytes]:
    """Where the first quoted header begins in `text`, and that header, unquoted, in UTF-8.

    Without one, the end of the text and `b""`. The mail begins with a field that only servers write; a list
    of others may be part of what the report says. Where no header has a Message-ID, one that a sentence names
    will do.
    """
    first, header = _find("\n" + text)
    return first - 1, header


def _find(text: str) -> tuple[int, bytes]:
    """The same in a text that begins with a line end."""
    first = len(text)
    position = 0
    header = ""
    for _ in range(MAX_BLOCKS):
        match = _SIGN.search(text, max(position - 1, 0))
        if match is None or (position and match.start() + 1 - position > MAX_GAP):
            break
        start, end, block = _around(text, match)
        if _TOKEN.search(header) and _TOKEN.search(block):
            break  # of another mail
        position = end
        header += block
        if _OF_SERVERS.search(block):
            first = min(first, start)
        if _MESSAGE_ID.search(block):
            break
    if _MESSAGE_ID.search(header) or _TOKEN.search(header):
        return first, header.encode("utf-8", "replace")
    may_name_it = "<" in text and "message" in text.lower()
    if may_name_it and (match := _IN_WORDS.search(text, 0, position + MAX_BEHIND if position else len(text))):
        return first, f"Message-ID: <{match[1]}>\n".encode("utf-8", "replace")
    return first, b""


def _around(text: str, match: re.Match[str]) -> tuple[int, int, str]:
    """Start, end and text of the header that the line below `match` belongs to, without what quotes it."""
    prefix = match[1]
    start = sign = match.start() + 1
    for _ in range(MAX_LINES):
        above = text.rfind("\n", 0, start - 1) + 1
        if not _belongs(text[above : start - 1], prefix):
            break
        start = above
    lines = []
    position = start
    for _ in range(2 * MAX_LINES):
        end = text.find("\n", position)
        end = end if end >= 0 else len(text)
        line = text[position:end]
        if position > sign and not _belongs(line, prefix):
            break
        lines.append(line.removeprefix(prefix))
        position = min(end + 1, len(text))
        if position == len(text):
            break
    return start, max(position, match.end()), "\n".join([*lines, ""])


def _belongs(line: str, prefix: str) -> bool:
    """Is a line a field, or the fold of one?"""
    if not line.startswith(prefix):
        return False
    rest = line[len(prefix) :]
    return bool(rest.strip()) and (rest[0] in " \t" or _FIELD.match(rest) is not None)
