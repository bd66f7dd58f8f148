"""Make and open signed reply addresses: `reply+TOKEN@replies.example`.

The token identifies the object and the user that a reply belongs to. It is lower-case base32, because mail
servers lower-case addresses, and fits into the 64 characters of a local part (RFC 5321, section 4.5.3.1.1):

    1 byte   version (upper four bits), flags
    2 bytes  day of expiry, counted from 1970-01-01 UTC     only with an expiry
    8 bytes  object id, user id, 32 bits each               or 16 bytes: 64 bits each, or a UUID and no user
    10 bytes the first of the HMAC-SHA256 of all before them

Its length is 31, 34 (expiry), 44 (wide ids) or 47 characters (both). Anybody who has the mail can use the
address: it is a capability, not an authentication.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from uuid import UUID

from .errors import ReplyTokenError

VERSION = 0x10
EXPIRES, WIDE, IS_UUID, HAS_USER = 1, 2, 4, 8
FLAGS = EXPIRES | WIDE | IS_UUID | HAS_USER

LENGTHS = {31: 0, 34: EXPIRES, 44: WIDE, 47: EXPIRES | WIDE}
MAC_BYTES = 10  # 80 bits cannot be guessed where each guess takes a mail.
EPOCH = date(1970, 1, 1)
LAST_DAY = EPOCH + timedelta(days=0xFFFF)  # 2149-06-06, because the day has two bytes

# One text for forged, damaged and expired, so that an attacker does not learn which it is.
REFUSAL = "This is not a valid reply address, or it has expired."
_ALPHABET = re.compile(r"[A-Za-z2-7]+")


@dataclass(frozen=True)
class ReplyToken:
    """The contents of a token: the object replied to and, if given, the user who received the mail."""

    object_id: int | UUID
    user_id: int | None = None
    expires_on: date | None = None


def make_token(token: ReplyToken, secret: bytes, purpose: str) -> str:
    """A token as text of 31, 34, 44 or 47 characters, signed with `secret` for `purpose`.

    Raises `ValueError` for ids below 0 or of more than 64 bits, a UUID with a user, and a day after
    `LAST_DAY`.
    """
    flags, ids = _pack_ids(token.object_id, token.user_id)
    expiry = b""
    if token.expires_on is not None:
        flags |= EXPIRES
        expiry = _pack_day(token.expires_on)
    signed = bytes([VERSION | flags]) + expiry + ids
    return _text(signed + _mac(signed, secret, purpose))


def open_token(text: str, secrets: Iterable[bytes], purpose: str, today: date) -> ReplyToken:
    """The contents of the token `text`, signed with one of `secrets` for `purpose`.

    `today` is the day in UTC; a token is valid until the end of its last day. Case does not matter. Raises
    `ReplyTokenError` for any other text.
    """
    raw = _bytes(text)
    signed, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
    # All keys are tried, so that the time does not reveal which one matched.
    if True not in [hmac.compare_digest(_mac(signed, secret, purpose), mac) for secret in secrets]:
        raise ReplyTokenError(REFUSAL)
    token = _unpack(signed)
    if token.expires_on is not None and token.expires_on < today:
        raise ReplyTokenError(REFUSAL)
    return token


def address_pattern(local_part: str, domain: str) -> re.Pattern[str]:
    """A pattern that finds reply addresses, `local_part+TOKEN@domain`, in any case. Group 1 is the token.

    Anything between `+` and `@` matches, so that damaged tokens are reported. In links, the two may be
    written %2B and %40.
    """
    # It ends where the domain ends: a@d.example is not found in "a@d.example.org", but in "a@d.example."
    return re.compile(
        rf"(?<![\w.+-]){re.escape(local_part)}(?:\+|%2B)([^\s@<>()\[\],;:\"]{{1,64}})"
        rf"(?:@|%40){re.escape(domain)}(?![\w-]|\.\w)",
        re.IGNORECASE,
    )


@lru_cache(maxsize=256)
def _key(secret: bytes, purpose: str) -> bytes:
    """The key for a purpose: tokens for one purpose are not valid for another.

    HKDF-SHA256 without salt, one block of output (RFC 5869).
    """
    extracted = hmac.digest(b"", secret, "sha256")
    return hmac.digest(extracted, b"anymail_postal/reply/1/" + purpose.encode() + b"\x01", "sha256")


def _mac(signed: bytes, secret: bytes, purpose: str) -> bytes:
    return hmac.digest(_key(secret, purpose), signed, "sha256")[:MAC_BYTES]


def _pack_ids(object_id: int | UUID, user_id: int | None) -> tuple[int, bytes]:
    """The flags, and the ids as 8 or 16 bytes."""
    if isinstance(object_id, UUID):
        if user_id is not None:
            raise ValueError("A UUID fills the reply address: leave the user out, or use an integer id.")
        return WIDE | IS_UUID, object_id.bytes
    flags = 0 if user_id is None else HAS_USER
    ids = (object_id, user_id or 0)
    if not all(0 <= number < 2**64 for number in ids):
        raise ValueError("Ids in a reply address are integers from 0 to 2**64 - 1.")
    if max(ids) < 2**32:
        return flags, b"".join(number.to_bytes(4, "big") for number in ids)
    return flags | WIDE, b"".join(number.to_bytes(8, "big") for number in ids)


def _pack_day(day: date) -> bytes:
    if not EPOCH <= day <= LAST_DAY:
        raise ValueError(f"A reply address can expire until {LAST_DAY}, not on {day}.")
    return (day - EPOCH).days.to_bytes(2, "big")


def _unpack(signed: bytes) -> ReplyToken:
    """The token in bytes whose signature is valid."""
    flags, expires_on = signed[0] & FLAGS, None
    ids = signed[1:]
    if flags & EXPIRES:
        expires_on = EPOCH + timedelta(days=int.from_bytes(ids[:2], "big"))
        ids = ids[2:]
    if flags & IS_UUID:
        return ReplyToken(UUID(bytes=ids), None, expires_on)
    half = len(ids) // 2
    user_id = int.from_bytes(ids[half:], "big") if flags & HAS_USER else None
    return ReplyToken(int.from_bytes(ids[:half], "big"), user_id, expires_on)


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def _bytes(text: str) -> bytes:
    """The bytes of a token. Raises `ReplyTokenError` for a wrong length, letter or version."""
    if len(text) not in LENGTHS or not _ALPHABET.fullmatch(text):
        raise ReplyTokenError(REFUSAL)
    text = text.lower()
    raw = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    # There is one spelling for each token: the unused bits at the end are zero, the flags match the length.
    if _text(raw) != text or raw[0] & ~FLAGS != VERSION or raw[0] & (EXPIRES | WIDE) != LENGTHS[len(text)]:
        raise ReplyTokenError(REFUSAL)
    return raw
