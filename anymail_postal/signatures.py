"""Public keys in all their formats, and the verification of Postal's signatures.

Postal signs the body of each request with the RSA key of the installation (contract 2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from anymail.exceptions import AnymailConfigurationError

from .errors import KeysUnavailable, WebhookSignatureError

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
except ImportError as error:
    missing: ImportError | None = error  # raised at first use, so that a project without webhooks starts
else:
    missing = None

# Postal's installer makes keys of 1024 bits. The upper limit bounds the time of a request.
MIN_KEY_BITS, MAX_KEY_BITS = 1024, 16384
MAX_EXPONENT = 2**32  # the limit of all RSA implementations; keys usually have 65537
MAX_SIGNATURE_LENGTH = 4 * (MAX_KEY_BITS // 8 // 3 + 1)  # base64 characters
MAX_KEYS = 32  # of one key set; Postal publishes exactly one

PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
PUBLIC_PEM_LABELS = ("PUBLIC KEY", "RSA PUBLIC KEY")

Algorithm = Literal["sha256", "sha1"]


class BadPublicKey(ValueError):
    """This is not a public key of a kind that Postal has; the text says why."""


@dataclass(frozen=True)
class PublicKey:
    """One of Postal's public keys. `id` is its name in X-Postal-Signature-Kid."""

    id: str
    rsa: rsa.RSAPublicKey = field(repr=False, compare=False)

    def has_signed(self, body: bytes, signature: Signature) -> bool:
        """Is this a signature of `body` by this key (RSASSA-PKCS1-v1_5)?

        Raises `KeysUnavailable` if the machine does not support the algorithm, as under FIPS.
        """
        algorithm = hashes.SHA256() if signature.algorithm == "sha256" else hashes.SHA1()  # noqa: S303
        try:
            self.rsa.verify(signature.value, body, padding.PKCS1v15(), algorithm)
        except InvalidSignature:
            return False
        except UnsupportedAlgorithm as error:
            raise KeysUnavailable(f"{signature.algorithm} cannot be checked on this machine.") from error
        return True


@dataclass(frozen=True)
class Signature:
    """A signature from the headers of a request. `key_id` is None before Postal 3.2.0, which names no key."""

    algorithm: Algorithm
    value: bytes
    key_id: str | None


# --- the headers of a request ---


def read_signature(
    sha256: str | None, sha1: str | None, key_id: str | None, *, allow_sha1: bool = True
) -> Signature:
    """The signature in the headers X-Postal-Signature-256, X-Postal-Signature and X-Postal-Signature-Kid.

    None is a missing header. If there is a SHA-256 header, only that is used, even if it is malformed:
    otherwise the signature could be downgraded. Raises `WebhookSignatureError`.
    """
    key_id = (key_id or "").strip().lower() or None
    if sha256 is not None:
        return Signature("sha256", _signature_bytes(sha256), key_id)
    if sha1 is not None and allow_sha1:
        return Signature("sha1", _signature_bytes(sha1), key_id)
    raise WebhookSignatureError(f"The request has no {'SHA-256 ' if sha1 is not None else ''}signature.")


def _signature_bytes(header: str) -> bytes:
    try:
        if 0 < len(header) <= MAX_SIGNATURE_LENGTH:
            return base64.b64decode(header, validate=True)
    except ValueError:  # also binascii.Error, and non-ASCII text
        pass
    raise WebhookSignatureError("The request has a signature that is not base64.")


def verify(body: bytes, signature: Signature, keys: Sequence[PublicKey]) -> PublicKey:
    """The key that signed `body`, the bytes as received.

    Without a key id, all keys are tried. Raises `WebhookSignatureError` if the signature is wrong, and
    `KeysUnavailable` if the key is unknown: it may be a new one, because Postal's key rotation has no
    overlap.
    """
    if signature.key_id is not None:
        keys = [key for key in keys if key.id == signature.key_id]
    if not keys:
        raise KeysUnavailable("The request is signed with a key that is not known (yet).")
    for key in keys:
        if key.has_signed(body, signature):
            return key
    raise WebhookSignatureError("The request has a wrong signature.")


# --- public keys ---


def require_cryptography() -> None:
    """Raises `AnymailConfigurationError` if the package cryptography is not installed."""
    if missing is not None:
        raise AnymailConfigurationError(
            "Postal's webhooks need the package cryptography; please run: pip install cryptography"
        ) from missing


def parse_keys(source: str | Mapping[str, Any]) -> tuple[PublicKey, ...]:
    """The public keys in bare base64, PEM, a DKIM record, a JWK or a JWK set (text or dict).

    Texts are parsed once. Raises `BadPublicKey`, and `AnymailConfigurationError` without cryptography.
    """
    require_cryptography()
    if isinstance(source, str):
        return _parse_text(source)
    try:
        return _parse_text(json.dumps(source))
    except (TypeError, ValueError, RecursionError) as error:
        raise _as_bad_key(error) from error


@lru_cache(maxsize=256)
def _parse_text(text: str) -> tuple[PublicKey, ...]:
    text = text.strip()
    if text.startswith("{"):
        return _parse_jwk_text(text)
    text = text.replace("\\n", "\n")  # environment files often have line breaks in this form
    if "-----BEGIN" in text:
        return tuple(_parse_pem(text))
    if ";" in text or text.lstrip('"').startswith(("v=", "p=")):
        return (_parse_base64(_dkim_key(text)),)
    return (_parse_base64(text),)


def _parse_pem(text: str) -> list[PublicKey]:
    found = PEM.findall(text)
    if not found:
        raise BadPublicKey("is a PEM text without its end.")
    for label, _ in found:
        if label not in PUBLIC_PEM_LABELS:
            raise BadPublicKey(f"is a {label}; give the PUBLIC KEY.")
    return [_parse_base64(body) for _, body in found]


def _dkim_key(record: str) -> str:
    """The `p=` of a DKIM record (RFC 6376, section 3.6.1), also as DNS tools print it, quoted in pieces."""
    tags = {}
    for tag in re.sub(r"[\s\"]", "", record).split(";"):
        name, _, value = tag.partition("=")
        tags[name] = value
    if tags.get("k", "rsa") != "rsa":
        raise BadPublicKey(f"is a DKIM record with a key of type {tags['k']!r}; Postal signs with RSA.")
    if not tags.get("p"):
        raise BadPublicKey("is a DKIM record without a key (p=).")
    return tags["p"]


def _parse_base64(text: str) -> PublicKey:
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
        return _public_key(serialization.load_der_public_key(der))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _as_bad_key(error) from error


def _parse_jwk_text(text: str) -> tuple[PublicKey, ...]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _as_bad_key(error) from error
    return parse_jwks(document) if "keys" in document else (_parse_jwk(document),)


def parse_jwks(document: Any) -> tuple[PublicKey, ...]:
    """The usable keys of a parsed JWK set (RFC 7517). Raises `BadPublicKey` if it has none."""
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise BadPublicKey("is not a JWK set.")
    keys = []
    for entry in entries[:MAX_KEYS]:
        try:
            keys.append(_parse_jwk(entry))
        except BadPublicKey:
            continue  # for other purposes: another algorithm, encryption
    if not keys:
        raise BadPublicKey("is a JWK set without an RSA key.")
    return tuple(keys)


def _parse_jwk(jwk: Any) -> PublicKey:
    if not isinstance(jwk, Mapping) or jwk.get("kty") != "RSA":
        raise BadPublicKey("is not an RSA key (JWK).")
    modulus, exponent = _jwk_number(jwk.get("n")), _jwk_number(jwk.get("e"))
    try:
        return _public_key(rsa.RSAPublicNumbers(exponent, modulus).public_key())
    except ValueError as error:
        raise _as_bad_key(error) from error


def _jwk_number(value: Any) -> int:
    """A base64url number of RFC 7518, section 6.3.1, with or without padding."""
    if not isinstance(value, str) or len(value) > MAX_SIGNATURE_LENGTH:
        raise BadPublicKey("is a JWK without its numbers n and e.")
    try:
        text = value.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
        return int.from_bytes(base64.b64decode(text + "=" * (-len(text) % 4), validate=True), "big")
    except ValueError as error:
        raise _as_bad_key(error) from error


def _public_key(key: Any) -> PublicKey:
    if not isinstance(key, rsa.RSAPublicKey):
        raise BadPublicKey("is not an RSA key; Postal signs with RSA.")
    if not MIN_KEY_BITS <= key.key_size <= MAX_KEY_BITS:
        raise BadPublicKey(f"has {key.key_size} bits; Postal's keys have at least {MIN_KEY_BITS}.")
    if key.public_numbers().e > MAX_EXPONENT:
        raise BadPublicKey("has an exponent beyond 32 bits.")
    pkcs1 = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return PublicKey(hashlib.sha256(pkcs1).hexdigest(), key)


def _as_bad_key(error: Exception) -> BadPublicKey:
    if isinstance(error, BadPublicKey):
        return error
    what = "is not base64" if isinstance(error, (binascii.Error, UnicodeError)) else "cannot be read"
    return BadPublicKey(f"{what} as a public key: {error}")
