"""8-bit text in headers in a form that every reader decodes: encoded words, and parameters of RFC 2231.

Hosts without SMTPUTF8 may refuse a header that is not ASCII, or damage it and invalidate its signature.
Text that is not UTF-8 is read as windows-1252. What no encoding can express stays: a local part that is not
ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from urllib.parse import quote

from .address_list import Mailbox, join_split_names, parse_mailboxes, quote_phrase
from .charset import decode_undeclared
from .compose import ADDRESS_FIELDS, encode_address
from .encoded_word import b_words, is_plain, q_words
from .header import decode_header, find_body
from .mime import Part, parse, parse_header_value, quote_token, replace_ranges

LINE = 76  # characters of a line with an encoded word, RFC 2047 section 2
SECTION = 50  # characters of a piece of a long parameter
NAME_BYTES = 30  # of a word in a name: short enough for a line with that of the field
# Of all headers of a mail together, so that no mail takes long.
MAX_CLOSELY = 5000  # characters of 8-bit fields that are parsed, or become Q words; others are read by words
MAX_WORDS = 4000  # that are then looked at one by one; further ones go together

_ADDRESSES = ADDRESS_FIELDS | {
    "bcc", "apparently-to", "disposition-notification-to", "errors-to", "mail-followup-to", "mail-reply-to",
    "return-receipt-to",
}  # fmt: skip
_PARAMETERS = {"content-type", "content-disposition"}
# Of these only the words that are not ASCII are encoded: others have a meaning of their own.
_STRUCTURED = {
    "authentication-results", "content-id", "content-transfer-encoding", "date", "dkim-signature",
    "in-reply-to", "keywords", "list-id", "message-id", "mime-version", "received", "references",
    "return-path",
}  # fmt: skip
_FIELD = re.compile(rb"[^\n]+(?:\n[ \t][^\n]*)*")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_URL = re.compile(r"<[^<>]*>")
_NOT_PLAIN = re.compile(r"[^ -~]|=\?")
# Of a structured value: blanks, and a sign that parts its pieces, or what stands between such signs.
_PIECE = re.compile(
    r"""([ \t]*)([(),;]|(?:"(?:[^"\\]|\\.)*"|=\?[^?\s]*\?[BbQq]\?[^?\s]*\?=|\\.|[^ \t"(),;\\])+|["\\])"""
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_EMPTY_GROUP = re.compile(r"([^:;,<>@]*):[ \t]*;\Z")
_ASCII = "".join(map(chr, range(33, 127)))
# At most so long, and it ends neither within an escape nor within a character.
_SECTIONS = re.compile(rf".{{1,{SECTION}}}(?<!%)(?<!%.)(?!%[89AB])")
_ATTRIBUTE = "!#$&+^`{|}"  # and letters, digits, `_.-~`: RFC 2231 section 7


def encode_header(raw: bytes) -> bytes:
    """`raw` with the 8-bit text of its header encoded; the same bytes where there is none."""
    end = find_body(raw, 0, len(raw))[0]
    header = raw[:end]
    return raw if header.isascii() else _Encoder().block(header) + raw[end:]


def encode_part_headers(raw: bytes) -> bytes:
    """`raw` with the headers of all its parts encoded, but of those that somebody signed (RFC 1847)."""
    edits = []
    encoder = _Encoder()
    for part in _unsigned(parse(raw, into_messages=True)):
        end = find_body(raw, part.start, part.end)[0]
        header = raw[part.start : end]
        if not header.isascii():
            edits.append((part.start, end, encoder.block(header)))
    return replace_ranges(raw, edits) if edits else raw


def _unsigned(part: Part) -> Iterator[Part]:
    yield part
    if part.mime_type != "multipart/signed":
        for child in part.children:
            yield from _unsigned(child)


class _Encoder:
    """Encodes the headers of one mail, and counts how much of them may still be looked at closely."""

    def __init__(self) -> None:
        self.characters_left = MAX_CLOSELY
        self.words_left = MAX_WORDS

    def block(self, block: bytes) -> bytes:
        """A block of header fields with its 8-bit text encoded; fields without any stay as they are."""
        return _FIELD.sub(lambda match: match[0] if match[0].isascii() else self.field(match[0]), block)

    def field(self, field: bytes) -> bytes:
        """One field, without its line end but perhaps with a CR before it."""
        name, colon, value = field.partition(b":")
        if not (colon and name.isascii()):  # no field, in any reading
            return field.decode("ascii", "replace").replace("\ufffd", "?").encode()
        line_end = "\r" if field.endswith(b"\r") else ""
        text = _FOLD.sub("", decode_undeclared(value)).strip(" \t\r")
        label, key = name.decode(), name.decode().strip().lower()
        self.characters_left -= len(text)
        words = self.words_of(key, text) if self.characters_left < 0 else _words_of(key, text)
        return (_folded(f"{label}:", words) + line_end).encode()

    def words_of(self, key: str, text: str) -> Iterable[str]:
        """As `_words_of`, for more text than is read closely."""
        if key in _PARAMETERS:
            return _parameter_words(text, self.words)
        if key in _ADDRESSES or key in _STRUCTURED or key.startswith("list-"):
            return self.words(text)
        return b_words(decode_header(text))

    def words(self, text: str) -> Iterator[str]:
        """`text` with runs of words that are not plain as encoded words."""
        words = text.split(maxsplit=max(self.words_left, 0))
        self.words_left -= len(words)
        for is_plain_run, run in groupby(words, lambda word: not _NOT_PLAIN.search(word)):
            joined = " ".join(run)
            yield from joined.split() if is_plain_run else b_words(decode_header(joined), NAME_BYTES)


def _words_of(key: str, text: str) -> Iterable[str]:
    """The value of field `key` as words of ASCII, between which blanks stand and lines may break."""
    if key in _ADDRESSES:
        return _address_words(text)
    if key in _PARAMETERS:
        return _parameter_words(text, _words)
    if key.startswith("list-") and key != "list-id":
        text = _URL.sub(lambda match: quote(match[0], safe=_ASCII), text)
    if key in _STRUCTURED or key.startswith("list-"):
        return _words(text)
    return q_words(decode_header(text), first=LINE - len(key) - 2)


def _words(text: str) -> list[str]:
    """`text` with what is not plain in it as encoded words.

    Commas, semicolons and the parentheses of comments, which give it its structure, stay outside of them.
    """
    words = [""]
    run: list[str] = []  # to be encoded together: the blanks between encoded words are not read
    for blanks, piece in _PIECE.findall(text):
        if _NOT_PLAIN.search(piece):
            run.append(_without_quotes(piece))
            continue
        was_encoded = _flush(run, words)
        if blanks or piece == "(" or (was_encoded and piece not in "),;"):
            words.append("")
        words[-1] += piece
    _flush(run, words)
    return [word for word in words if word]


def _flush(run: list[str], words: list[str]) -> bool:
    """Put what waits in `run` behind `words`; was there anything?"""
    if not run:
        return False
    first, *others = b_words(decode_header(" ".join(run)), NAME_BYTES)
    if words[-1].endswith("("):
        words[-1] += first
    else:
        words.append(first)
    words += others
    run.clear()
    return True


def _without_quotes(piece: str) -> str:
    """`piece`, or the text in it if it is a quoted string: encoded words in quotes are not decoded."""
    quoted = _QUOTED.fullmatch(piece)
    return _ESCAPED.sub(r"\1", quoted[1]) if quoted else piece


def _address_words(text: str) -> list[str]:
    """An address list: names, comments and groups encoded, domains in the form used in DNS."""
    if empty := _EMPTY_GROUP.match(text):
        return [*_phrase(empty[1].strip()), ":;"]
    try:
        mailboxes = join_split_names(parse_mailboxes(text))
    except ValueError:
        mailboxes = []
    words: list[str] = []
    group = None
    for mailbox in mailboxes:
        if mailbox.group != group:
            words = _ended(words, ";" if group is not None else "")
            group = mailbox.group
            words += [*_phrase(group), ":"] if group is not None else []
        words += _mailbox(mailbox)
        words[-1] += ","
    return _ended(words, ";" if group is not None else "", is_last=True) or _words(text)


def _ended(words: list[str], end: str, *, is_last: bool = False) -> list[str]:
    """`words` with what ends a group, or the list, for the comma behind the last mailbox."""
    if words and (end or is_last):
        words[-1] = words[-1][:-1] + end + ("" if is_last else ",")
    return words


def _mailbox(mailbox: Mailbox) -> list[str]:
    address = encode_address(mailbox.address)
    if mailbox.name:
        words = [*_phrase(mailbox.name), f"<{address}>"]
    else:  # without an `@` it is no address, but text
        words = [address] if "@" in address else _phrase(address)
    for comment in mailbox.comments:
        inside = [comment] if is_plain(comment) else b_words(decode_header(comment), NAME_BYTES)
        words += [f"({inside[0]}", *inside[1:]]
        words[-1] += ")"
    return words


def _phrase(name: str) -> list[str]:
    return [quote_phrase(name)] if is_plain(name) else b_words(decode_header(name), NAME_BYTES)


def _parameter_words(text: str, words_in: Callable[[str], Iterable[str]]) -> list[str]:
    """A value with its parameters: those that are not ASCII as RFC 2231 has them, in place of the plain."""
    parsed = parse_header_value(text)
    names = {name.rstrip("0123456789*") for name, _ in parsed.raw if "*" in name}
    words = list(words_in(parsed.value))
    for name, value in parsed.raw:
        if is_plain(name + value):
            pieces = [f"{name}={quote_token(value)}"]
        elif name.isascii() and name not in names:
            pieces = _extended(name, decode_header(value))
        else:
            continue
        for piece in pieces:
            words[-1:] = [f"{words[-1]};", piece] if words else [piece]
    return words


def _extended(name: str, value: str) -> list[str]:
    """A parameter in the encoding of RFC 2231, in sections where it is long. No character is split."""
    sections = _SECTIONS.findall(quote(value, safe=_ATTRIBUTE)) or [""]
    if len(sections) == 1:
        return [f"{name}*=UTF-8''{sections[0]}"]
    first, *others = sections
    return [f"{name}*0*=UTF-8''{first}", *(f"{name}*{n}*={part}" for n, part in enumerate(others, start=1))]


def _folded(start: str, words: Iterable[str]) -> str:
    """`start` and the words, in lines of at most 76 characters where a word is not longer."""
    lines, line = [], start
    for word in words:
        if len(line) + 1 + len(word) > LINE and (line != start or word.startswith("=?")):
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line])
