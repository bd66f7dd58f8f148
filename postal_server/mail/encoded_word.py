"""Text in headers: folded lines, and RFC 2047 encoded words for what is not ASCII."""

from __future__ import annotations

import binascii
import functools
import re
from collections.abc import Iterator

LINE = 78  # characters, RFC 5322 section 2.1.1
MAX_TOKEN = 900  # a longer one could not stand in a line of 998 octets beside a name
BASE64_CHUNK = 45  # octets: 60 characters of base64, 72 with the word's delimiters
MAX_WORD = 75  # characters of an encoded word, RFC 2047 section 2
Q_PAYLOAD = 63  # characters: 75 with the delimiters
Q_OVERHEAD = 12  # =?UTF-8?Q? and ?=

_PRINTABLE = re.compile(r"[\t -~]*\Z")
_LONG_TOKEN = re.compile(rf"[^ \t]{{{MAX_TOKEN},}}")
_TOKEN = re.compile(r"[ \t]*[^ \t]+")
_UNFOLD = re.compile(r"\r?\n(?=[ \t])")
_Q_LITERAL = frozenset(range(33, 127)) - frozenset(b'"()=?_')
_Q_TABLE = {c: chr(c) if c in _Q_LITERAL else f"={c:02X}" for c in range(256)} | {32: "_"}


def is_plain(text: str) -> bool:
    """Printable ASCII, blanks and TABs only."""
    return _PRINTABLE.match(text) is not None


def neutralize(value: str) -> str:
    """`value` on one line. A fold is undone; other line ends become the characters `=0D` and `=0A`."""
    if "\r" in value or "\n" in value:
        value = _UNFOLD.sub("", value).replace("\r", "=0D").replace("\n", "=0A")
    return value


def unstructured(name: str, value: str) -> str:
    """The field `name: value`, folded, without a final line end.

    Plain text is folded at blanks. Anything else becomes Q words, one to a line, that break where
    Postal's do (contract 1.8 rule 7), but none is longer than 75 characters.
    """
    value = neutralize(value).rstrip(" \t")
    if is_plain(value):
        if len(name) + 2 + len(value) <= LINE:
            return f"{name}: {value}"
        if not _LONG_TOKEN.search(value):
            return _fold(f"{name}:", value)
    words = _q_words(value, LINE - len(name) - 2 - Q_OVERHEAD)
    return f"{name}: " + "\r\n ".join(f"=?UTF-8?Q?{word}?=" for word in words)


def q_words(text: str, first: int = MAX_WORD) -> list[str]:
    """`text` as Q words, none longer than 75 characters and the first than `first`, no character split."""
    words, word, room = [], "", min(first, MAX_WORD) - Q_OVERHEAD
    for char in text:
        encoded = _q_char(char)
        if word and len(word) + len(encoded) > room:
            words.append(word)
            word, room = "", Q_PAYLOAD
        word += encoded
    return [f"=?UTF-8?Q?{word}?=" for word in [*words, word]]


def _fold(start: str, value: str) -> str:
    lines, line = [], start
    for token in _TOKEN.findall(" " + value):
        if len(line) + len(token) > LINE and line != start:
            lines.append(line)
            line = token
        else:
            line += token
    return "\r\n".join([*lines, line])


def _q_words(value: str, first_limit: int) -> Iterator[str]:
    """The payloads of the Q words for `value`."""
    line, limit = "", min(first_limit - 1, Q_PAYLOAD)
    for piece in _pieces(value):
        if line and len(line) + len(piece) > limit:
            yield line
            line, limit = "", Q_PAYLOAD
        line += piece
    yield line


def _pieces(value: str) -> Iterator[str]:
    """`value` Q-encoded, in pieces that may be parted: words, ASCII ones in sevens as Postal has them."""
    for index, word in enumerate(value.replace("\t", " ").split(" ")):
        text = word if index == 0 else " " + word
        if text.isascii():
            for start in range(0, len(text), 7):
                yield _q(text[start : start + 7])
            continue
        encoded = _q(text)
        if len(encoded) <= Q_PAYLOAD:
            yield encoded
        else:
            yield from (_q(char) for char in text)


def _q(text: str) -> str:
    return text.encode("utf-8", "replace").decode("latin-1").translate(_Q_TABLE)


_q_char = functools.lru_cache(maxsize=1024)(_q)


def b_words(text: str, chunk_bytes: int = BASE64_CHUNK) -> list[str]:
    """`text` as B words of so many octets, none longer than 75 characters, no character split."""
    data, start = text.encode("utf-8", "replace"), 0
    words: list[str] = []
    while not words or start < len(data):
        end = start + chunk_bytes
        while end < len(data) and data[end] & 0xC0 == 0x80:  # not the first byte of a character
            end -= 1
        words.append(f"=?UTF-8?B?{binascii.b2a_base64(data[start:end], newline=False).decode('ascii')}?=")
        start = end
    return words
