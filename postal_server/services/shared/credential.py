"""Make credentials, and keep their keys: digests of all, encrypted ones where CRAM-MD5 needs the key."""

from __future__ import annotations

import base64
import functools
import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_network

from cryptography.fernet import Fernet, InvalidToken
from django.utils.crypto import salted_hmac

from postal_server.errors import ConfigurationError
from postal_server.models import Credential, Server
from postal_server.models.fields import LETTERS_AND_DIGITS
from postal_server.rules.status import CredentialType

KEY_LENGTH = 24
MARK_INTERVAL = timedelta(minutes=1)


@functools.lru_cache(maxsize=2)
def _fernet(secret: str | None = None) -> Fernet:
    """What encrypts keys with a secret key; that of this installation by default."""
    key = salted_hmac("postal_server.credential", "smtp-key", secret, algorithm="sha256").digest()
    return Fernet(base64.urlsafe_b64encode(key))


def generate_key() -> str:
    """24 random letters and digits (contract, appendix B)."""
    return "".join(secrets.choice(LETTERS_AND_DIGITS) for _ in range(KEY_LENGTH))


def digest(key: str) -> str:
    """What is stored and looked up for a key: SHA-256 in hex. Keys are random, so no salt is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def encrypt(key: str) -> str:
    """The SMTP key as it is stored: encrypted with the secret key of the installation."""
    return _fernet().encrypt(key.encode()).decode("ascii")


@functools.lru_cache(maxsize=65536)  # the directory asks for every key again whenever it changes
def decrypt(encrypted: str) -> str:
    """The key in clear. Raises `ConfigurationError` if it was encrypted with another secret key."""
    try:
        return _fernet().decrypt(encrypted).decode()
    except InvalidToken as error:
        raise ConfigurationError(
            "A stored SMTP key cannot be decrypted: the installation's secret key has changed."
        ) from error


def is_encrypted_with(encrypted: str, secret: str) -> bool:
    """Can a stored SMTP key be decrypted with this secret key?"""
    try:
        _fernet(secret).decrypt(encrypted)
    except InvalidToken:
        return False
    return True


def create(
    server: Server,
    type: CredentialType,
    name: str,
    key: str | None = None,
    *,
    network: str | None = None,
    hold: bool = False,
) -> tuple[Credential, str]:
    """A stored credential and its key in clear, which is not shown again; for SMTP-IP its network.

    `key` is for keys that exist already (import). Raises `ValueError` for a `network` that is none.
    """
    credential = Credential(server=server, type=type.value, name=name, hold=hold)
    if type is CredentialType.SMTP_IP:
        credential.network = secret = str(ip_network(network or "", strict=False))
    else:
        secret = key or generate_key()
        set_key(credential, secret)
    credential.save()
    return credential, secret


def set_key(credential: Credential, key: str) -> None:
    """Give a credential this key, as it is kept. The caller saves it."""
    credential.key_digest = digest(key)
    credential.key_encrypted = encrypt(key) if credential.type == CredentialType.SMTP.value else ""


_marked: dict[int, datetime] = {}


def mark_used(credential_ids: Iterable[int], now: datetime) -> None:
    """Note when credentials were last used, to the minute: one query for a batch, mostly none."""
    before = now - MARK_INTERVAL
    due = [number for number in credential_ids if _marked.get(number, before) <= before]
    if due:
        Credential.objects.filter(pk__in=due).update(last_used_at=now)
        _marked.update(dict.fromkeys(due, now))
