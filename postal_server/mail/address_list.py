"""Address lists of header fields: read, checked for authorization, and written (RFC 5322 section 3.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from .address import envelope_address, quote
from .header import decode_header

MAX_HEADER = 200_000  # characters of an address header that are looked at: some 4,000 addresses

MAX_ORIGINATORS = 5000  # characters of a From: more than anybody's name

_PHRASE_SPECIALS = re.compile(r'[()<>\[\]:;@\\,."]')


@dataclass(frozen=True)
class Mailbox:
    """One mailbox of an address header. `name` is unquoted but not RFC 2047-decoded, `""` without one.

    `address` is as written, without blanks and comments around its parts; `group` is the name of the
    group it stands in.
    """

    name: str
    address: str
    comments: tuple[str, ...] = ()
    group: str | None = None


@dataclass
class _Item:
    """What stands between two commas. `phrase` and `angles` hold tokens; `bare` the text without comments."""

    phrase: list[tuple[str, str]]
    angles: list[str]
    comments: list[str]
    group: str | None


# A name of plain words, if any, and an address that needs no second thought.
_PLAIN = r"[A-Za-z0-9.+_=-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_ORDINARY = re.compile(rf"(?:[A-Za-z0-9 ]* ?<({_PLAIN})>|({_PLAIN}))\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ROUTED = re.compile(r"<\s*@")
_SPELT_OUT = re.compile(r"@[^\s<>()\[\]\",:;@.]+\.[^\s<>()\[\]\",:;@]+")
_GAPS = ("space", "gap")  # white space; a comment, between tokens of an item
_JOINTS = ".@:,"
_WORD = re.compile(r'[^ \t\r\n"()<>\[\],;:@\\]+')
_SPACE = re.compile(r"[ \t\r\n]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_LITERAL = re.compile(r"\[[^\[\]]*\]")
_COMMENT_STEP = re.compile(r"[^()\\]*(?:\\.[^()\\]*)*", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _comment_end(text: str, start: int) -> int:
    """The position after the comment that opens at `start`, or -1 if it never closes. Comments nest."""
    depth, position = 0, start
    while position < len(text):
        if text[position] == "(":
            depth += 1
        elif text[position] == ")":
            depth -= 1
            if depth == 0:
                return position + 1
        else:  # a lone backslash at the end
            return -1
        step = _COMMENT_STEP.match(text, position + 1)
        position = step.end() if step else len(text)
    return -1


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Tokens of RFC 5322 section 3.2 as (kind, text).

    Kinds: word, space, quoted, comment, literal, special. What never closes is a word, and so are all
    its kind that follow: this keeps the scan linear.
    """
    position, unclosed = 0, set()
    while position < len(text):
        char = text[position]
        if (match := _WORD.match(text, position)) or (match := _SPACE.match(text, position)):
            yield ("space" if match[0][0] in " \t\r\n" else "word"), match[0]
            position = match.end()
            continue
        end = -1
        if char not in unclosed:
            if char == '"' and (match := _QUOTED.match(text, position)):
                end = match.end()
                yield "quoted", _ESCAPED.sub(r"\1", match[1])
            elif char == "(" and (end := _comment_end(text, position)) > 0:
                yield "comment", text[position + 1 : end - 1]
            elif char == "[" and (match := _LITERAL.match(text, position)):
                end = match.end()
                yield "literal", match[0]
            elif char in '"([':
                unclosed.add(char)
        if end < 0:
            end = position + 1
            yield ("special" if char in "<>,;:@" else "stray"), char
        position = end


def _items(text: str) -> Iterator[_Item]:
    """The list's items, empty ones included, each with the group it belongs to."""
    item, group = _Item([], [], [], None), None
    angle: list[tuple[str, str]] | None = None
    for kind, piece in _tokens(text):
        if kind == "comment":
            item.comments.append(piece)
            (item.phrase if angle is None else angle).append(("gap", ""))
        elif angle is not None and (kind, piece) != ("special", ">"):
            angle.append((kind, piece))
        elif kind != "special" or piece == "@":
            item.phrase.append((kind, piece))
        elif piece == "<":
            angle = []
        elif piece == ">":
            if angle is None:
                item.phrase.append(("stray", piece))
            else:
                item.angles.append(_bare(angle))
                angle = None
        elif piece == ":":
            if group is not None or item.angles or ("special", "@") in item.phrase:
                raise ValueError("A group is named by a phrase, and has no groups in it")
            group = _join(item.phrase).strip()
            item = _Item([], [], item.comments, group)
        else:  # , or ;
            yield item
            group = None if piece == ";" else group
            item = _Item([], [], [], group)
    if angle is not None:
        item.phrase.append(("stray", "<"))
        item.angles.append(_bare(angle))
    yield item


def _join(phrase: list[tuple[str, str]]) -> str:
    """The text of a phrase, runs of white space as one blank."""
    return "".join(" " if kind == "space" else token for kind, token in phrase)


def addresses_in(text: str) -> list[str]:
    """The addresses of an address header; none for text that is no list of addresses."""
    try:
        return [mailbox.address for mailbox in parse_mailboxes(text)]
    except ValueError:
        return []


def parse_mailboxes(text: str) -> list[Mailbox]:
    """The mailboxes of an address header, in order (RFC 5322 section 3.4, obsolete forms included).

    A word without `@` counts as a mailbox, as Postal has it. Raises ValueError for text that is no list
    of addresses: `Name <>`, two `<>` in one item, an unquoted `@` in a name, quotes and groups
    that never close.
    """
    if len(text) > MAX_HEADER:
        raise ValueError("Too long for a list of addresses")
    mailboxes = []
    items = list(_items(text))
    if items[-1].group is not None:
        raise ValueError("A group must end in a semicolon")
    for item in items:
        phrase = _join(item.phrase).strip()
        if not phrase and not item.angles:
            continue  # RFC 5322 section 4.4: empty items are allowed
        if len(item.angles) > 1 or any(kind == "stray" for kind, _ in item.phrase):
            raise ValueError("Not a list of addresses")
        if item.angles:
            address = item.angles[0].rpartition(":")[2] if item.angles[0][:1] == "@" else item.angles[0]
            named = any(token == ("special", "@") for token in item.phrase)
            if not address or named:
                raise ValueError("Not a list of addresses")
        else:
            phrase, address = "", _bare(item.phrase)
        mailboxes.append(Mailbox(phrase, address, tuple(item.comments), item.group))
    return mailboxes


def _bare(tokens: list[tuple[str, str]]) -> str:
    """The address in these tokens; blanks and comments may stand around its dots, its `@` and in its route.

    Elsewhere they would join what are two words: raises ValueError.
    """
    text, joins, parted = "", True, False
    for kind, piece in tokens:
        if kind in _GAPS:
            parted = True
            continue
        is_quoted = kind == "quoted"
        if parted and not joins and (is_quoted or piece[0] not in _JOINTS):
            raise ValueError("Not a list of addresses")
        text += quote(piece) if is_quoted else piece
        joins, parted = not is_quoted and piece[-1] in _JOINTS, False
    return text


def join_split_names(mailboxes: Sequence[Mailbox]) -> list[Mailbox]:
    """The mailboxes, with an unquoted `Doe, Jane <j@x>` as the one that was meant.

    Words without `@` are no address: they belong to the name of the mailbox that follows.
    """
    joined: list[Mailbox] = []
    words: list[Mailbox] = []
    for mailbox in mailboxes:
        if "@" not in mailbox.address:
            words.append(mailbox)
        elif words and mailbox.name and all(word.group == mailbox.group for word in words):
            name = ", ".join([*(word.name or word.address for word in words), mailbox.name])
            joined.append(replace(mailbox, name=name))
            words = []
        else:
            joined += [*words, mailbox]
            words = []
    return joined + words


@dataclass(frozen=True)
class Recipient:
    """A recipient as it was named, and as its envelope address."""

    name: str
    address: str


def recipients_in(text: str) -> list[Recipient]:
    """The recipients in a text like `Jane <j@x.example>, k@y.example`: a list of addresses, or one.

    Raises ValueError where it is no such list, or an address cannot be one of SMTP.
    """
    if ordinary := _ORDINARY.match(text):
        address = ordinary[1] or ordinary[2]
        return [Recipient(address, envelope_address(address))]
    mailboxes = join_split_names(parse_mailboxes(text))
    return [Recipient(mailbox.address, envelope_address(mailbox.address)) for mailbox in mailboxes]


def originators(value: str) -> list[str]:
    """Every address that a reader might take for one of this From or Sender field, for authorization.

    Names of no address may be among them, as `@example.org`: programs that decode before they parse find
    those that an encoded name or a comment spells out. Raises ValueError for what programs read in different
    ways: an `@` in a bare name, groups' names, routes, control characters, what is no list of addresses.
    """
    if ordinary := _ORDINARY.match(value):
        return [ordinary[1] or ordinary[2]]
    if len(value) > MAX_ORIGINATORS or _CONTROL.search(value) or _ROUTED.search(value):
        raise ValueError("Not the addresses of an author")
    mailboxes = join_split_names(parse_mailboxes(value))
    addresses = [mailbox.address for mailbox in mailboxes]
    for address in addresses:
        if "=?" in address:  # RFC 2047 section 5 (3)
            raise ValueError("An encoded word in an address")
        envelope_address(address)
    for mailbox in mailboxes:
        if "@" in (mailbox.group or ""):
            raise ValueError("An address as the name of a group")
        name = mailbox.name if "=?" in mailbox.name or not mailbox.name.isascii() else ""
        for text in (name, *mailbox.comments):
            addresses += _SPELT_OUT.findall(decode_header(text))
    return addresses


def quote_phrase(name: str) -> str:
    """`name` in quotes if it holds a special character or is not ASCII, as Postal's library has it."""
    if name.isascii() and not _PHRASE_SPECIALS.search(name):
        return name
    return quote(name)


def join_groups(
    mailboxes: Sequence[Mailbox], render: Callable[[Mailbox], str], phrase: Callable[[str], str]
) -> list[str]:
    """Each mailbox as text, with the name of a group before its first and `;` after its last one."""
    texts = []
    for index, mailbox in enumerate(mailboxes):
        text, group = render(mailbox), mailbox.group
        if group is not None:
            if index == 0 or mailboxes[index - 1].group != group:
                text = f"{phrase(group)}: {text}"
            if index + 1 == len(mailboxes) or mailboxes[index + 1].group != group:
                text += ";"
        texts.append(text)
    return texts
