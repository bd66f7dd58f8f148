"""Parses command lines: verbs and arguments, the addresses and parameters of MAIL and RCPT.

Source: RFC 5321 section 4.1, with Postal's leniency (contract 5.1): verbs match in any case and as prefixes,
addresses need no brackets, unknown parameters are ignored.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple

from postal_server.errors import HostileInput
from postal_server.mail.address import as_stored, is_plausible_recipient
from postal_server.net.listening import canonical_address
from postal_server.rules.route import is_postmaster

VERBS = (
    "EHLO", "HELO", "STARTTLS", "AUTH PLAIN", "AUTH LOGIN", "AUTH CRAM-MD5", "AUTH", "MAIL FROM", "RCPT TO",
    "DATA", "BDAT", "RSET", "NOOP", "QUIT",
)  # fmt: skip
COMMAND = re.compile(f"({'|'.join(VERBS)})(.*)", re.ASCII | re.IGNORECASE)
FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
AUTH_PARAMETER = re.compile(r"\sAUTH=.*", re.ASCII | re.IGNORECASE)
# No bracket within quotes counts.
PATH = re.compile(r':?\s*<([^<>"]*(?:"(?:[^"\\]|\\.)*"[^<>"]*)*)>(.*)', re.ASCII)
# The address is what follows the last `<`, up to the next `>`.
LENIENT_PATH = re.compile(r":?\s*(?:(.*)<([^>]*)>?|(\S*))(.*)", re.ASCII)
KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")  # of a parameter
PROXY = re.compile(rb"PROXY TCP[46] (\S+) \S+ \d{1,5} \d{1,5}", re.IGNORECASE)
CHUNK = re.compile(r" (\d{1,19})( LAST)?", re.ASCII | re.IGNORECASE)
# A request line, or enough of it to recognize one.
HTTP = re.compile(
    rb"(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI)(?:[ \t]|\Z)|.* HTTP/\d", re.IGNORECASE
)


class Command(NamedTuple):
    """A command. `verb` is one of `VERBS`, or empty for anything else; `argument` is the rest of the line."""

    verb: str
    argument: str


class Path(NamedTuple):
    """A reverse-path or forward-path. `address` has no brackets and is empty for `<>`.

    The names of `parameters` are upper-case. `is_alone`: nothing beside the address could be another one.
    """

    address: str
    parameters: Mapping[str, str]
    is_alone: bool = True


def parse_command(line: bytes) -> Command:
    """The command in a line without its line end.

    Raises `HostileInput` for control characters, which would end up in headers, and for what is not UTF-8.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise HostileInput("a command is not UTF-8") from error
    if FORBIDDEN.search(text):
        raise HostileInput("control character in a command")
    found = COMMAND.match(text)
    return Command(found[1].upper(), found[2]) if found else Command("", text)


def is_http(line: bytes) -> bool:
    """Does this begin like the request line of HTTP?"""
    return HTTP.match(line) is not None


def parse_path(argument: str) -> Path:
    """The address and the parameters that follow `MAIL FROM` or `RCPT TO`. Never raises.

    An address that no server could accept is returned as it is written: a reverse-path may be anything, and
    recipients are checked by the caller.
    """
    if found := PATH.match(argument):
        name, address, rest = "", found[1], found[2]
    else:
        found = LENIENT_PATH.match(AUTH_PARAMETER.sub("", argument))  # its value may have brackets of its own
        assert found  # every part is optional
        name, address, rest = found[1] or "", found[2] or found[3] or "", found[4]
    address = as_stored(address.strip(" \t"))
    if not (name or rest):
        return Path(address, {})
    name, rest = name.lstrip("<"), AUTH_PARAMETER.sub("", rest).lstrip(">")  # some write `<<a@b.example>>`
    pairs = [word.partition("=") for word in rest.split()]
    return Path(
        address,
        {keyword.upper(): value for keyword, _, value in pairs},
        is_alone="<" not in name and "@" not in name and all(KEYWORD.fullmatch(word) for word, *_ in pairs),
    )


def is_recipient(address: str) -> bool:
    """Can this be the address of a recipient? `postmaster` needs no domain (RFC 5321 section 4.5.1)."""
    return is_plausible_recipient(address) or is_postmaster(address)


def parse_chunk(argument: str) -> tuple[int, bool]:
    """The size in bytes of a BDAT chunk and whether it is the last. Raises `HostileInput`."""
    found = CHUNK.fullmatch(argument)
    if not found:
        raise HostileInput("BDAT without a size")
    return int(found[1]), bool(found[2])


def parse_proxy(line: bytes) -> str:
    """The client's address in a PROXY protocol v1 line. Raises `HostileInput`, for `PROXY UNKNOWN` too."""
    found = PROXY.fullmatch(line)
    try:
        address = ipaddress.ip_address(found[1].decode("ascii") if found else "")
    except ValueError as error:  # `UnicodeDecodeError` is one
        raise HostileInput("not a PROXY line") from error
    return canonical_address(str(address))
