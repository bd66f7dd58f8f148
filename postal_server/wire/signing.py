"""The installation's key on requests: `X-Postal-Signature` headers over the exact body bytes, and the JWKS.

Source: contract 2 and 3.2.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

USER_AGENT = "Postal/3.3.6"  # the version whose wire this is
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class SigningKey:
    """The installation's RSA key, loaded once."""

    private_key: rsa.RSAPrivateKey

    @classmethod
    def load(cls, pem: str | bytes) -> SigningKey:
        """The key in `pem`, unencrypted. Raises ValueError for anything but RSA: receivers know no other."""
        data = pem.encode() if isinstance(pem, str) else pem
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError("Not an unencrypted private key in PEM format") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("Requests are signed with RSA keys only")
        return cls(key)

    @cached_property
    def key_id(self) -> str:
        """The SHA-256 of the public key's PKCS#1 form, in hex."""
        public = self.private_key.public_key()
        return hashlib.sha256(
            public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
        ).hexdigest()

    def request_headers(self, body: bytes, content_type: str) -> list[tuple[str, str]]:
        """The headers of a signed post, in wire order. The same body gives the same signatures."""
        return [
            ("Accept-Encoding", "gzip;q=1.0,deflate;q=0.6,identity;q=0.3"),
            ("Accept", "*/*"),
            ("User-Agent", USER_AGENT),
            ("Content-Type", content_type),
            ("X-Postal-Signature-Kid", self.key_id),
            ("X-Postal-Signature", self._signature(body, hashes.SHA1())),  # noqa: S303 - Postal's older header
            ("X-Postal-Signature-256", self._signature(body, hashes.SHA256())),
        ]

    def jwks(self) -> dict[str, Any]:
        """The key set that `/.well-known/jwks.json` shows: this one key."""
        numbers = self.private_key.public_key().public_numbers()
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "n": _base64url(numbers.n),
                    "e": _base64url(numbers.e),
                    "use": "sig",
                    "alg": "RS256",
                    "kid": self.key_id,
                }
            ]
        }

    def _signature(self, body: bytes, algorithm: hashes.HashAlgorithm) -> str:
        return base64.b64encode(self.private_key.sign(body, padding.PKCS1v15(), algorithm)).decode("ascii")


def _base64url(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
