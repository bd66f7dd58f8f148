"""Parse the values of headers, in time proportional to their length.

Python's own parser of structured headers takes time that grows with the square of the length, and rejects
what mail programs accept. The arguments are text as Python's parser has it: ASCII, and a lone surrogate for
each other byte (`surrogateescape`). Results have neither surrogates, NULs nor line breaks. Sources: RFC 5322
section 3.4 (addresses), RFC 2045 section 5.1 and RFC 2231 (parameters), RFC 2047.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from urllib.parse import unquote_to_bytes

from . import charsets
from .body import storable

# Limits of an address header: more than any mail program writes.
MAX_TOKENS = 12_000  # some 1,100 addresses with names
MAX_ADDRESSES = 2000
MAX_ITEM = 1000  # tokens of one address with its name
MAX_PARAMETERIZED = 8192  # characters of a type with its parameters; a file name has 255 bytes at most
MAX_PARAMETERS = 200  # RFC 2231 may split a file name into a hundred

_BLANKS = " \t\r\n"
_SEPARATORS = re.compile("[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


def plain(value: str) -> str:
    """A value as text in one line; bytes that are not ASCII are UTF-8 or else windows-1252."""
    if not value.isascii():
        value = _text(value)
    value = _SEPARATORS.sub(" ", value) if _SEPARATORS.search(value) else value
    return value.replace("\0", "")


def _text(value: str) -> str:
    try:
        raw = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # it is from JSON, not from a mail
        return storable(value)
    return charsets.decode(raw, None)


def unfold(value: str) -> str:
    """A value without the line breaks of folding (RFC 5322, section 2.2.3)."""
    return value.replace("\r", "").replace("\n", "")


# --- RFC 2047: encoded words ---

_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")


def decode_words(value: str) -> str:
    """A text in one line with its encoded words decoded. Spaces between two of them are dropped."""
    if "=?" not in value:
        return plain(value)
    texts: list[str] = []
    charset, encoded = (
        "",
        list[bytes](),
    )  # of adjacent words in one charset, because some programs split characters
    position = 0
    for match in _ENCODED_WORD.finditer(value):
        between = value[position : match.start()]
        counts = position == 0 or bool(between.strip(_BLANKS))
        word_charset = match[1].partition("*")[0].lower()
        if counts or word_charset != charset:
            texts.append(charsets.decode(b"".join(encoded), charset))
            encoded = []
        if counts:
            texts.append(plain(between))
        charset = word_charset
        encoded.append(_decoded_word(match[2], match[3]))
        position = match.end()
    texts += [charsets.decode(b"".join(encoded), charset), plain(value[position:])]
    return plain("".join(texts))


def _decoded_word(encoding: str, text: str) -> bytes:
    """The bytes of an encoded word; of a damaged one, as many as can be decoded."""
    if encoding in "qQ":
        return a2b_qp(text.encode("utf-8", "surrogateescape"), header=True)
    letters = _NOT_BASE64.sub("", text)
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    try:
        return a2b_base64(letters + "=" * (-len(letters) % 4))
    except Base64Error:
        return letters.encode()


# --- tokens ---

# A quoted string, a special character, spaces, a domain literal, a word, or an invalid character. An unclosed
# quote is dropped.
_TOKEN = re.compile(
    r'"(?P<quoted>[^"\\]*(?:\\.[^"\\]*)*)"|(?P<special>[()<>,;:@])|(?P<blank>[ \t\r\n]+)'
    r'|(?P<word>\[[^\[\]]*\]|[^()<>,;:@"\\\[\] \t\r\n]+)|\\(?P<escaped>.)|(?P<odd>[^"])',
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _tokens(value: str) -> Iterator[tuple[str, str]]:
    """The kind (quoted, special, blank or word) and text of each token."""
    for match in _TOKEN.finditer(value):
        kind, text = match.lastgroup, match[match.lastgroup or 0]
        if kind == "special":
            yield text, text
        elif kind == "blank":
            yield "blank", " "
        elif kind == "quoted":
            yield "quoted", _ESCAPED.sub(r"\1", text)
        else:
            yield "word", text


# --- addresses ---


@dataclass
class Mailbox:
    """A display name ("" for none), and an address by its two parts."""

    name: str
    local_part: str
    domain: str


@dataclass
class _Item:
    """The text between two commas of an address header."""

    phrase: list[tuple[str, str]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    angle: list[tuple[str, str]] | None = None


def parse_addresses(value: str) -> list[Mailbox]:
    """The mailboxes in an address header, including those in groups, as far as they can be parsed."""
    items = _items(islice(_tokens(value), MAX_TOKENS))
    return list(islice((mailbox for mailbox in map(_mailbox, items) if mailbox is not None), MAX_ADDRESSES))


def parse_all_addresses(value: str) -> list[Mailbox]:
    """The mailboxes in a list of any length. Raises ValueError if anything in it is not a mailbox."""
    mailboxes = []
    for item in _items(_short_items(_tokens(value))):
        mailbox = _mailbox(item)
        if mailbox is not None:
            mailboxes.append(mailbox)
        elif item.angle is not None or _phrase(item.phrase):
            raise ValueError("Not a list of addresses")
    return mailboxes


def _short_items(tokens: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The same tokens. Raises ValueError if a single address has too many."""
    length = 0
    for token in tokens:
        length = 0 if token[0] in ",;" else length + 1
        if length > MAX_ITEM:
            raise ValueError("Too long for an address")
        yield token


def _items(tokens: Iterator[tuple[str, str]]) -> Iterator[_Item]:
    item, depth, comment, in_angle = _Item(), 0, [], False
    for kind, text in tokens:
        if depth:
            depth += (kind == "(") - (kind == ")")
            if depth:
                comment.append(text)
            else:
                item.comments.append("".join(comment))
        elif kind == "(":
            depth, comment = 1, []
        elif kind == "<":
            item.angle, in_angle = [], True
        elif kind == ">":
            in_angle = False
        elif in_angle:
            item.angle.append((kind, text))  # type: ignore[union-attr]
        elif kind in ",;":
            if item.phrase or item.comments or item.angle is not None:
                yield item
                item = _Item()
        elif kind == ":":
            item = _Item()  # what comes before is the name of a group
        else:
            item.phrase.append((kind, text))
    yield item


def _mailbox(item: _Item) -> Mailbox | None:
    """The mailbox in an item; None if it has no address."""
    parts = item.phrase if item.angle is None else item.angle
    if item.angle and any(kind == ":" for kind, _ in item.angle):  # a route (RFC 5322, section 4.4)
        parts = item.angle[max(place for place, (kind, _) in enumerate(item.angle) if kind == ":") + 1 :]
    signs = [place for place, (kind, _) in enumerate(parts) if kind == "@"]
    if not signs or (len(signs) > 1 and item.angle is None):
        return None
    local_part, domain = _half(parts[: signs[-1]]), _half(parts[signs[-1] + 1 :])
    if not local_part or not domain:
        return None
    if item.angle is not None:
        name = _phrase(item.phrase)
    else:
        name = decode_words(item.comments[-1]).strip() if item.comments else ""
    return Mailbox(name, local_part, domain)


def _half(tokens: list[tuple[str, str]]) -> str:
    """One side of the `@`, "" if it is invalid: spaces are allowed around dots and in quotes only."""
    text = "".join(text for _, text in tokens).strip()
    if " " in text and not any(kind == "quoted" for kind, _ in tokens):
        text = text.replace(" .", ".").replace(". ", ".")
        text = "" if " " in text else text
    return plain(text)


def _phrase(tokens: list[tuple[str, str]]) -> str:
    """A display name: encoded words are decoded, also in quotes; several spaces become one."""
    return decode_words("".join(text for _, text in tokens)).strip()


# --- types and parameters ---

_TYPE = re.compile(r"\s*([^\s;,]*(?:\s*/\s*[^\s;,]*)?)[\s,]*")
_PARAMETER = re.compile(
    r'[ \t\r\n]*([^\s=;"]+)[ \t\r\n]*=[ \t\r\n]*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^;]*))', re.DOTALL
)
_PIECE = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?")
# Comments (RFC 822). To mail programs, a parenthesis in a word, as in "report(1).pdf", does not begin one.
_COMMENT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|(?<![^ \t\r\n;=/])\([^()]*\)', re.DOTALL)


def content_type(word: str) -> str:
    """The content type in a word, text/plain if it is not one."""
    maintype, slash, subtype = word.partition("/")
    return word if maintype and slash and subtype and "/" not in subtype else "text/plain"


@dataclass(frozen=True)
class Parameterized:
    """A value like "text/plain; charset=utf-8": the word before the first semicolon, in lower case, and what
    follows it."""

    word: str
    rest: str

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The parameters by lower-case name. Parsed at first use, because often the word suffices."""
        return _parameters(self.rest)


def parse_parameterized(value: str) -> Parameterized:
    """The word and the parameters of a value. Of repeated parameters, the first counts."""
    return _kept(value) if len(value) <= MAX_KEPT else _kept_of_long(value[:MAX_PARAMETERIZED])


MAX_KEPT = 1000  # characters of a value that is cached: there are few different ones, and each is used often


@lru_cache(maxsize=2000)
def _kept(value: str) -> Parameterized:
    return _read_parameterized(value)


@lru_cache(maxsize=50)  # of at most 50 KB each
def _kept_of_long(value: str) -> Parameterized:
    return _read_parameterized(value)


def _read_parameterized(value: str) -> Parameterized:
    if "(" in value:
        value = _COMMENT.sub(lambda match: " " if match[0].startswith("(") else match[0], value)
    match = _TYPE.match(value)
    word = match[1].partition("(")[0] if match else ""
    return Parameterized("".join(plain(word).split()).lower(), value[match.end() if match else 0 :])


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _parameter_matches(text):
        quoted, bare = match[2], match[3]
        content = bare.strip().strip('"') if quoted is None else _ESCAPED.sub(r"\1", quoted)
        piece = _PIECE.fullmatch(match[1].lower())
        if piece is None or not (piece[2] or piece[3]):
            name, content = plain(match[1].lower()), unfold(content)
            # A boundary is compared with the unchanged lines of the mail.
            found.setdefault(name, plain(content) if name == "boundary" else decode_words(content))
        else:
            number = int(piece[2] or 0)
            pieces.setdefault(plain(piece[1]), {}).setdefault(number, (unfold(content), bool(piece[3])))
    for name, numbered in pieces.items():
        # The parameter in RFC 2231's form takes precedence over the plain one (RFC 6266, section 4.3).
        found[name] = _joined([numbered[number] for number in sorted(numbered)])
    return found


def _parameter_matches(text: str) -> Iterator[re.Match[str]]:
    position = 0
    for _ in range(MAX_PARAMETERS):
        if position >= len(text):
            return
        match = _PARAMETER.match(text, position)
        if match:
            yield match
        position = text.find(";", match.end() if match else position) + 1 or len(text)


def _joined(pieces: list[tuple[str, bool]]) -> str:
    """The value of a split parameter (RFC 2231). Pieces are texts, and whether each is percent-encoded."""
    first, is_encoded = pieces[0]
    charset = ""
    if is_encoded and first.count("'") >= 2:
        charset, _, first = first.split("'", 2)
        pieces = [(first, True), *pieces[1:]]
    if not is_encoded:
        return decode_words("".join(text for text, _ in pieces))
    raw = [(text.encode("utf-8", "surrogateescape"), encoded) for text, encoded in pieces]
    joined = b"".join(unquote_to_bytes(text) if encoded else text for text, encoded in raw)
    return plain(charsets.decode(joined, charset or None))


_ENCODING = re.compile(r"[a-z0-9-]+")


def parse_transfer_encoding(value: str) -> str:
    """The transfer encoding in lower case, without quotes, a semicolon or a comment."""
    match = _ENCODING.search(parse_parameterized(value).word)
    return match[0] if match else ""
