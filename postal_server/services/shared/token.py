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
from typing import NamedTuple

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
BOUNCES = "bounces"  # other purposes will have names of their own in its place


class ReturnPath(NamedTuple):
    """What a return path names.

    `server` is None for one that is not ours: its server is unknown, its message token wrong, or its domain
    somebody else's. `message_id` is None for the form of Postal, which has no message token.
    """

    server: ServerEntry | None
    message_id: int | None


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


def ids_by_token(tokens: Iterable[str], server_id: int | None = None) -> dict[str, int]:
    """The ids that tokens may stand for, in this server or in any, by the token; junk is left out.

    Computed ids are not looked up: whether such a message exists is for the caller to see. One query where
    some of the tokens were not made here, none otherwise.
    """
    ids: dict[str, int] = {}
    others = set()
    for token in tokens:
        number = message_id_of(token)
        if number is not None:
            ids[token] = number
        elif MSGID.match(token):
            others.add(token)
    if others:
        imported = ImportedToken.objects.filter(token__in=others)
        if server_id is not None:
            imported = imported.filter(server_id=server_id)
        ids |= imported.values_list("token", "message_id")
    return ids


def return_path(server: ServerEntry, domain: DomainEntry | None, message_id: int, config: Config) -> str:
    """The envelope sender of an outgoing message: `bounces+<server token>-<message token>@<domain>`.

    So a report names its message. The domain is the customer's own once its CNAME is right (contract 6.6).
    Spam filters take a random local part for a bad sign, but not one that begins so.
    """
    is_own = domain is not None and domain.return_path_status == "OK"
    host = own_return_path_domain(domain.name, config) if domain and is_own else config.dns.return_path_domain
    return f"{BOUNCES}+{server.token}-{message_token(message_id)}@{host}"


def new_message_id(config: Config) -> str:
    """A Message-ID of ours, without brackets (contract 1.8 rule 4)."""
    return f"{uuid.uuid4()}@{config.dns.return_path_domain}"


def is_return_path_domain(domain: str, config: Config) -> bool:
    """Does mail to this domain report on mail we sent? Any domain may follow the custom prefix."""
    name = domain_key(domain)
    return name == domain_key(config.dns.return_path_domain) or name.startswith(_own_prefix(config))


def read_return_path(address: str, directory: Directory, config: Config) -> ReturnPath | None:
    """What a return path of any form, in any case, names; None for an address in other domains.

    Taken for ever are today's form, `<server token>+<message token>@` of older versions, and Postal's
    `<server token>@`; each at our own domain and at those of the server or of its organization.
    """
    local, domain = split_address(address)
    if not is_return_path_domain(domain, config):
        return None
    name, tag = _split_return_path(local)
    server = directory.server_by_token.get(name)
    message_id = None if tag is None else message_id_of(tag)
    if server is None or (tag is not None and message_id is None):
        return ReturnPath(None, None)
    own = domain_key(domain)
    if own != domain_key(config.dns.return_path_domain) and not directory.has_domain(
        server, own.removeprefix(_own_prefix(config))
    ):
        return ReturnPath(None, None)
    return ReturnPath(server, message_id)


def server_token_of(return_path: str) -> str:
    """The token of the server in a return path of ours, whatever its form."""
    return _split_return_path(split_address(return_path)[0])[0]


def own_return_path_domain(name: str, config: Config) -> str:
    """The host of the return paths of a customer's own domain."""
    return f"{config.dns.custom_return_path_prefix}.{name}"


def _own_prefix(config: Config) -> str:
    return own_return_path_domain("", config).lower()


def _split_return_path(local: str) -> tuple[str, str | None]:
    """The tokens of a server and of a message in a local part; the latter is None where there is none."""
    name, tag = split_tag(local.lower())
    if name == BOUNCES and tag is not None and "-" in tag:
        name, _, tag = tag.rpartition("-")
    return name, tag
