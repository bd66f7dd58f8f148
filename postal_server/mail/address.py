"""Addresses: split, in one spelling, and what their domains are called in DNS."""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata

import idna

MAX_ADDRESS = 254  # RFC 5321 section 4.5.3.1.3: a path has 256 octets, its angle brackets included
MAX_DOMAIN = 253  # RFC 1035 section 2.3.4, without the final dot
MAX_KEPT = 1000  # characters of what may be an address, with a route: keys of longer text fill no cache

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_HOP = r"@(?:\[[^\]\s]*\]|[^\s:,@\[\]]+)"
_ROUTE = re.compile(rf"{_HOP}(?:,{_HOP})*:")
_NO_ATOM = r"\s\x00-\x1f\x7f-\x9f\ud800-\udfff\"(),:;<>@\[\\\]"  # RFC 5322 section 3.2.3, RFC 6532
# Dots at the ends or side by side are against RFC 5321, but there are mailboxes of such names.
_PLAIN_LOCAL = re.compile(rf"[^{_NO_ATOM}]+\Z")
_QUOTED_LOCAL = re.compile(r'"((?:[^"\\\x00-\x1f\x7f]|\\[ -~])*)"\Z')
_DOT_ATOM = re.compile(rf"[^.{_NO_ATOM}]+(?:\.[^.{_NO_ATOM}]+)*\Z")
_ALNUM_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ORDINARY = re.compile(rf"[A-Za-z0-9.+_=-]+@{_ALNUM_LABEL}(?:\.{_ALNUM_LABEL})*\Z")  # has one spelling only
_ATOM = r"[A-Za-z0-9+_=-]+"
# Of these the key is the lower case.
_ORDINARY_KEY = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_ALNUM_LABEL}(?:\.{_ALNUM_LABEL})*\Z")
_ESCAPED = re.compile(r"\\(.)")
_DOTS = {".", "\u3002", "\uff0e", "\uff61"}  # RFC 3490 section 3.1


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
    """Local part and domain. Without an `@` the domain is empty.

    At the last `@`, unlike Postal: `"a@b"@example.org` is a mailbox at example.org.
    """
    local, at, domain = address.rpartition("@")
    return (local, domain) if at else (domain, "")


def split_tag(local: str) -> tuple[str, str | None]:
    """Name and tag of a local part: `in+x+y` is `in` and `x+y`. Without a `+` the tag is None."""
    name, plus, tag = local.partition("+")
    return name, tag if plus else None


# One spelling


def envelope_address(text: str) -> str:
    """The address of a path (RFC 5321 section 4.1.2), in the spelling that is stored and sent.

    A source route (section 3.3), needless quotes and the domain's final dot are removed; a domain that is
    not ASCII is punycoded. Case stays. Raises ValueError for an address that SMTP cannot carry.
    """
    if len(text) > MAX_KEPT:
        raise ValueError("An address has at most 254 octets")
    return _envelope_address(text)


@functools.lru_cache(maxsize=4096)  # asked for several times on a message's way
def _envelope_address(text: str) -> str:
    if len(text) <= MAX_ADDRESS and _ORDINARY.match(text):
        return text
    text = text.strip(" \t")
    if route := _ROUTE.match(text):
        text = text[route.end() :]
    local, domain = split_address(text)
    address = f"{_envelope_local(local)}@{_envelope_domain(domain)}"
    if len(address.encode("utf-8", "replace")) > MAX_ADDRESS:
        raise ValueError("An address has at most 254 octets")
    return address


def as_stored(address: str) -> str:
    """The spelling of an address that is looked for; other text stays as it is."""
    try:
        return envelope_address(address)
    except ValueError:
        return address


def _envelope_local(local: str) -> str:
    if local.startswith('"'):
        if not _QUOTED_LOCAL.match(local):
            raise ValueError(f"Not a local part: {local[:80]!r}")
        return _quoted_if_needed(unquoted(local))
    if not _PLAIN_LOCAL.match(local):
        raise ValueError(f"Not a local part: {local[:80]!r}")
    return local


def _envelope_domain(domain: str) -> str:
    domain = without_final_dot(domain)
    if literal_address(domain):
        return domain
    ascii_domain = domain_to_ascii(domain)
    return domain if domain.isascii() else ascii_domain


def unquoted(local: str) -> str:
    """What a local part means: `"a\"b"` is `a"b`, and `"john"` is `john` (RFC 5322 section 3.4.1)."""
    quoted = _QUOTED_LOCAL.match(local)
    return _ESCAPED.sub(r"\1", quoted[1]) if quoted else local


def quote(text: str) -> str:
    """`text` as a quoted string (RFC 5322 section 3.2.4)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _quoted_if_needed(text: str) -> str:
    return text if _DOT_ATOM.match(text) else quote(text)


def suppression_key(address: str) -> str:
    """The one spelling of an address for comparison: case folded, normalized, its domain as in DNS.

    Dots and tags stay: they name other mailboxes. Text that is no address is its own key, in lower case.
    """
    if len(address) > MAX_KEPT or (len(address) <= MAX_ADDRESS and _ORDINARY_KEY.match(address)):
        return address.lower()
    return _suppression_key(address)


@functools.lru_cache(maxsize=4096)  # looked for several times on a message's way
def _suppression_key(address: str) -> str:
    try:
        local, domain = split_address(envelope_address(address))
    except ValueError:
        return address.lower()
    name = unicodedata.normalize("NFC", unquoted(local)).casefold()
    return f"{_quoted_if_needed(unicodedata.normalize('NFC', name))}@{domain_key(domain)}"


# Domains


def domain_to_ascii(domain: str) -> str:
    """The domain in the form used in DNS: lower case, IDNA 2008 with the mapping of UTS 46.

    Raises ValueError for what cannot be a host name, an address literal (`[192.0.2.1]`) included.
    """
    domain = without_final_dot(domain)
    if len(domain) > MAX_DOMAIN:
        raise ValueError("A domain has at most 253 characters")
    # idna.IDNAError is a UnicodeError, which is a ValueError.
    text = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    if len(text) > MAX_DOMAIN or not all(_LABEL.match(label) for label in text.split(".")):
        raise ValueError(f"Not a domain: {domain!r}")
    return text


def without_final_dot(domain: str) -> str:
    """Without the dot of the root, which every domain has (RFC 1034 section 3.1); only one, in any script."""
    return domain[:-1] if domain[-1:] in _DOTS and domain[-2:-1] not in _DOTS else domain


def domain_key(domain: str) -> str:
    """The one spelling under which domains are compared; of what is none, the lower case."""
    return _domain_key(domain) if len(domain) <= MAX_KEPT else domain.lower()


@functools.lru_cache(maxsize=4096)
def _domain_key(domain: str) -> str:
    try:
        return domain_to_ascii(domain)
    except ValueError:
        literal = literal_address(domain)
        return f"[{literal}]" if literal else domain.lower()


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
    try:
        envelope_address(address)
    except ValueError:
        return False
    return True
