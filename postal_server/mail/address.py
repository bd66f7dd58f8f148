"""Addresses: bare, split, in headers, and what their domains are called in DNS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import idna

MAX_ADDRESS = 254  # RFC 5321 section 4.5.3.1.3: a path has 256 octets, its angle brackets included
MAX_DOMAIN = 253  # RFC 1035 section 2.3.4, without the final dot
MAX_HEADER = 200_000  # characters of an address header that are looked at: some 4,000 addresses

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_PHRASE_SPECIALS = re.compile(r'[()<>\[\]:;@\\,."]')
_CONTROL_OR_BLANK = re.compile(r"[\x00-\x20\x7f]")


def bare_address(text: str) -> str:
    """The address in `Name <address> (comment)`: what Postal takes for it, without any check.

    What follows the last `<`, up to the next `>`, without comments in parentheses, trimmed.
    """
    text = text.rpartition("<")[2].partition(">")[0]
    kept, position = [], 0
    while (start := text.find("(", position)) >= 0 and (end := text.find(")", start)) >= 0:
        kept.append(text[position:start])
        position = end + 1
    return "".join([*kept, text[position:]]).strip()


def split_address(address: str) -> tuple[str, str]:
    """Local part and domain, split at the first `@` as Postal does. Without one the domain is empty."""
    local, _, domain = address.partition("@")
    return local, domain


def split_tag(local: str) -> tuple[str, str | None]:
    """Name and tag of a local part: `in+x+y` is `in` and `x+y`. Without a `+` the tag is None."""
    name, plus, tag = local.partition("+")
    return name, tag if plus else None


def domain_to_ascii(domain: str) -> str:
    """The domain as DNS knows it: lower case, IDNA 2008 with the mapping of UTS 46.

    Raises ValueError for what cannot be a host name, an address literal (`[192.0.2.1]`) included.
    """
    domain = domain.rstrip(".") if domain.endswith(".") and not domain.endswith("..") else domain
    if len(domain) > MAX_DOMAIN:
        raise ValueError("A domain has at most 253 characters")
    # idna.IDNAError is a UnicodeError, which is a ValueError.
    text = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    if len(text) > MAX_DOMAIN or not all(_LABEL.match(label) for label in text.split(".")):
        raise ValueError(f"Not a domain: {domain!r}")
    return text


def literal_address(domain: str) -> str | None:
    """The IP address in `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3), or None."""
    if not (domain.startswith("[") and domain.endswith("]")):
        return None
    text = domain[1:-1]
    try:
        if text[:5].lower() == "ipv6:":
            return str(ipaddress.IPv6Address(text[5:]))
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None


def is_plausible_recipient(address: str) -> bool:
    """Could some server take mail for this envelope address? No look-up, only its form."""
    local, at, domain = address.rpartition("@")
    if not (local and at) or len(address.encode("utf-8", "replace")) > MAX_ADDRESS:
        return False
    if _CONTROL_OR_BLANK.search(address) or "<" in domain or ">" in domain:
        return False
    if literal_address(domain):
        return True
    try:
        domain_to_ascii(domain)
    except ValueError:
        return False
    return True


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


_WORD = re.compile(r'[^\s"()<>\[\],;:@\\]+')
_SPACE = re.compile(r"\s+")
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
            yield ("space" if match[0].isspace() else "word"), match[0]
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
    angle: list[str] | None = None
    for kind, piece in _tokens(text):
        if kind == "comment":
            item.comments.append(piece)
        elif angle is not None and (kind, piece) != ("special", ">"):
            angle.append(_quote(piece) if kind == "quoted" else "" if kind == "space" else piece)
        elif kind != "special" or piece == "@":
            item.phrase.append((kind, piece))
        elif piece == "<":
            angle = []
        elif piece == ">":
            if angle is None:
                item.phrase.append(("stray", piece))
            else:
                item.angles.append("".join(angle))
                angle = None
        elif piece == ":":
            group = _join(item.phrase).strip()
            item = _Item([], [], item.comments, group)
        else:  # , or ;
            yield item
            group = None if piece == ";" else group
            item = _Item([], [], [], group)
    if angle is not None:
        item.phrase.append(("stray", "<"))
        item.angles.append("".join(angle))
    yield item


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _join(phrase: list[tuple[str, str]], *, quoted: bool = False) -> str:
    """The text of a phrase, runs of white space as one blank; `quoted` keeps the quotes of strings."""
    return "".join(
        " " if kind == "space" else _quote(token) if quoted and kind == "quoted" else token
        for kind, token in phrase
    )


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


def _bare(phrase: list[tuple[str, str]]) -> str:
    """An address without angle brackets; blanks may stand around its dots and its `@` only."""
    text = _join(phrase, quoted=True).strip()
    address = re.sub(r" ?([.@]) ?", r"\1", text)
    if " " in address.rpartition("@")[2] or (" " in address and '"' not in address):
        raise ValueError("Not a list of addresses")
    return address


def parse_address_list(header_value: str) -> list[str]:
    """Every address that a reader might take for one of this From header, for authorisation.

    Never raises. Names are ignored; all of several `<...>` count, and so does a bare item with `@`.
    What stands in quotes or comments is no address. Unlike Postal (contract, Q5), which looks at the last
    `<...>` only.
    """
    if len(header_value) > MAX_HEADER:
        return []
    addresses = []
    for item in _items(header_value):
        if item.angles:
            addresses += [a.rpartition(":")[2] if a[:1] == "@" else a for a in item.angles]
        elif "@" in (text := _join(item.phrase, quoted=True).strip()):
            addresses.append(re.sub(r" ?([.@]) ?", r"\1", text))
    return addresses


def quote_phrase(name: str) -> str:
    """`name` in quotes if it holds a special character or is not ASCII, as Postal's library has it."""
    if name.isascii() and not _PHRASE_SPECIALS.search(name):
        return name
    return _quote(name)


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
