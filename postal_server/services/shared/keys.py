"""Private keys, loaded once: checking an RSA key takes 50 ms, a signature 0.5 ms."""

from __future__ import annotations

import functools
from pathlib import Path

from postal_server.conf import Config
from postal_server.errors import ConfigurationError
from postal_server.mail import dkim
from postal_server.wire import signing


def request_key(config: Config) -> signing.SigningKey:
    """The key that signs webhooks and posts. Raises `ConfigurationError` if it cannot be read."""
    return _request_key(config.file(config.postal.signing_key_path))


def installation_key(config: Config) -> dkim.SigningKey:
    """The same key for DKIM signatures of domains without a key of their own."""
    return dkim.SigningKey(request_key(config).private_key)


@functools.lru_cache(maxsize=4096)
def dkim_key(pem: str) -> dkim.SigningKey:
    """A domain's key. Raises ValueError for anything but an RSA or Ed25519 key."""
    return dkim.SigningKey.load(pem)


@functools.lru_cache(maxsize=8)
def _request_key(path: Path) -> signing.SigningKey:
    try:
        return signing.SigningKey.load(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: the signing key cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: not a signing key: {error}.") from error
