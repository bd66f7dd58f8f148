"""Seal metadata in a Message-ID, and open it again.

Postal repeats the Message-ID of a raw message in every webhook, and replies repeat it in In-Reply-To and
References. It is the only field that comes back, so it carries the metadata. The local part is unpadded
base64url of

    1 byte    version
    12 bytes  random nonce
    the rest  AES-256-GCM of the metadata as compact JSON in UTF-8, with its 16-byte tag

Recipients can neither read nor change it. As nonces are random, one secret may seal 2**32 ids at most.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import PostalMetadataTooLarge

INFO = b"anymail_postal/metadata/1"
VERSION = b"\x01"
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = len(VERSION) + NONCE_BYTES + TAG_BYTES
MAX_MESSAGE_ID = 255  # characters without the brackets: Postal's column

SEALED = re.compile(r"<?([A-Za-z0-9_-]{41,254})@[^@<>\s]{1,253}>?")


def seal(metadata: Mapping[str, Any], secret: bytes, nonce: bytes, domain: str) -> str:
    """The Message-ID, without brackets, that carries `metadata`.

    `nonce` is 12 random bytes, never used before with this secret. Raises `PostalMetadataTooLarge` if the
    metadata does not fit, TypeError or ValueError for values that JSON does not have.
    """
    text = json.dumps(metadata, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    if len(text) > room(domain):
        raise PostalMetadataTooLarge(
            f"The metadata has {len(text)} bytes as JSON, but a Message-ID at {domain} has room for "
            f"{max(room(domain), 0)}. Shorten it, set POSTAL_MESSAGE_ID_DOMAIN to a shorter domain, or "
            "install anymail_postal.contrib.store, which keeps metadata of any size."
        )
    sealed = VERSION + nonce + _cipher(secret).encrypt(nonce, text, INFO)
    return f"{_encode(sealed)}@{domain}"


def open_message_id(message_id: str, keys: Iterable[bytes]) -> dict[str, Any] | None:
    """The metadata sealed in a Message-ID, with or without brackets, with one of the secrets `keys`.

    None for any other text. Never raises.
    """
    match = SEALED.fullmatch(message_id.strip()) if isinstance(message_id, str) else None
    sealed = _decode(match[1]) if match else None
    if sealed is None or not sealed.startswith(VERSION):
        return None
    nonce, box = sealed[len(VERSION) : len(VERSION) + NONCE_BYTES], sealed[len(VERSION) + NONCE_BYTES :]
    for secret in keys:
        try:
            text = _cipher(secret).decrypt(nonce, box, INFO)
        except InvalidTag:
            continue
        return dict(json.loads(text))
    return None


def room(domain: str) -> int:
    """The bytes of JSON that a Message-ID at `domain` can carry; none if it is 0 or less."""
    return (MAX_MESSAGE_ID - 1 - len(domain)) * 3 // 4 - OVERHEAD_BYTES


@lru_cache(maxsize=32)
def _cipher(secret: bytes) -> AESGCM:
    """The cipher of a secret, cached because deriving the key takes longer than using it."""
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=INFO).derive(secret))


def _encode(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes | None:
    """The bytes of unpadded base64url as `_encode` writes it, None for any other text."""
    if len(text) % 4 == 1:
        return None
    sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return sealed if _encode(sealed) == text else None
