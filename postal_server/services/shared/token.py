"""Tokens of messages and links, computed from their ids, and the return paths made of them.

A token is the id and check bits through a keyed permutation: 16 characters of `[a-z2-7]`. Nothing random is
stored or indexed, junk is recognized without the database, and letters may change their case.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
import uuid
from collections.abc import Iterable

from django.utils.crypto import salted_hmac

from postal_server.conf import Config
from postal_server.mail.address import domain_key, split_address, split_tag
from postal_server.models import ImportedToken

from .directory import Directory
from .entries import DomainEntry, ServerEntry

ID_BITS = 48
CHECK_BITS = 32  # one guess in four thousand million passes for a token
HALF_BITS = (ID_BITS + CHECK_BITS) // 2
HALF_MASK = (1 << HALF_BITS) - 1
ROUNDS = 4  # Luby and Rackoff: four make a permutation that looks random from both sides
TOKEN = re.compile(r"[a-z2-7]{16}\Z")
MSGID = re.compile(r"[A-Za-z0-9]{1,32}\Z")


@functools.lru_cache(maxsize=4)
def _key(purpose: str) -> bytes:
    return salted_hmac("postal_server.token", purpose, algorithm="sha256").digest()


def _round(half: int, number: int, purpose: str) -> int:
    data = half.to_bytes(HALF_BITS // 8, "big") + bytes([number])
    digest = hashlib.blake2b(data, digest_size=HALF_BITS // 8, key=_key(purpose)).digest()
    return int.from_bytes(digest, "big")


def _encode(number: int, purpose: str) -> str:
    """The token of `number`: a Feistel network over number and zeros, in base 32 (RFC 4648, lower case)."""
    if not 0 <= number < 1 << ID_BITS:
        raise ValueError(f"{number} is not an id.")
    block = number << CHECK_BITS
    left, right = block >> HALF_BITS, block & HALF_MASK
    for index in range(ROUNDS):
        left, right = right, left ^ _round(right, index, purpose)
    return base64.b32encode((left << HALF_BITS | right).to_bytes(10, "big")).decode("ascii").lower()


def _decode(token: str, purpose: str) -> int | None:
    lower = token.lower()
    if not TOKEN.match(lower):
        return None
    try:
        block = int.from_bytes(base64.b32decode(lower.upper()), "big")
    except binascii.Error:
        return None
    left, right = block >> HALF_BITS, block & HALF_MASK
    for index in reversed(range(ROUNDS)):
        left, right = right ^ _round(left, index, purpose), left
    block = left << HALF_BITS | right
    return None if block & ((1 << CHECK_BITS) - 1) else block >> CHECK_BITS


@functools.lru_cache(maxsize=8192)  # needed when stored, signed, sent and in events
def message_token(message_id: int) -> str:
    """The token of a message, 16 lower-case characters. For imported messages see `tokens_of`."""
    return _encode(message_id, "message")


def message_id_of(token: str) -> int | None:
    """The id in a message token, in any case; None if it is not one of ours."""
    return _decode(token, "message")


def link_token(link_id: int) -> str:
    """The token of a tracked link."""
    return _encode(link_id, "link")


def link_id_of(token: str) -> int | None:
    """The id in a link token, in any case; None if it is not one of ours."""
    return _decode(token, "link")


def tokens_of(message_ids: Iterable[int]) -> dict[int, str]:
    """The token of each message; one query, for those that were imported with a token of their own."""
    ids = list(message_ids)
    imported = ImportedToken.objects.filter(message_id__in=ids).values_list("message_id", "token")
    return {number: message_token(number) for number in ids} | dict(imported)


def message_ids_of(tokens: Iterable[str], server_id: int) -> list[int]:
    """The ids that `tokens` may stand for in this server, computed and imported ones; junk is left out.

    Computed ids are not looked up: whether such a message exists is for the caller to see.
    """
    known = [token for token in dict.fromkeys(tokens) if MSGID.match(token)]
    computed = [number for token in known if (number := message_id_of(token)) is not None]
    if len(computed) == len(known):
        return computed
    imported = ImportedToken.objects.filter(token__in=known, server_id=server_id)
    return list(dict.fromkeys([*computed, *imported.values_list("message_id", flat=True)]))


def return_path(server: ServerEntry, domain: DomainEntry | None, message_id: int, config: Config) -> str:
    """The envelope sender of an outgoing message (contract 6.6).

    `<server token>+<message token>@<return path domain>`, so that a bounce names its message; on a domain's
    own return path the server's token alone, as Postal has it there.
    """
    if domain is not None and domain.return_path_status == "OK":
        return f"{server.token}@{config.dns.custom_return_path_prefix}.{domain.name}"
    return f"{server.token}+{message_token(message_id)}@{config.dns.return_path_domain}"


def new_message_id(config: Config) -> str:
    """A Message-ID of ours, without brackets (contract 1.8 rule 4)."""
    return f"{uuid.uuid4()}@{config.dns.return_path_domain}"


def is_return_path_domain(domain: str, config: Config) -> bool:
    """Does mail to this domain report on mail we sent? Any domain may follow the custom prefix."""
    name = domain_key(domain)
    prefix = f"{config.dns.custom_return_path_prefix.lower()}."
    return name == domain_key(config.dns.return_path_domain) or name.startswith(prefix)


def read_return_path(
    address: str, directory: Directory, config: Config
) -> tuple[ServerEntry | None, int | None] | None:
    """The server and the message id in a return path; None if the address is not of that kind.

    The server is None for an unknown token, the id for a return path without one, or with a forged one.
    """
    local, domain = split_address(address)
    if not is_return_path_domain(domain, config):
        return None
    token, tag = split_tag(local)
    return directory.server_by_token.get(token.lower()), message_id_of(tag) if tag else None
