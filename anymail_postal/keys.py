"""The public keys that may have signed a request: pinned ones, and those that Postal publishes.

A key set that cannot be fetched must not lose mail: the last good keys remain in use, and a request that
cannot be verified now is answered with 503, so that Postal repeats it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import requests
from anymail.exceptions import AnymailConfigurationError

from . import conf, setting_values
from .fetching import fetch
from .signatures import BadPublicKey, PublicKey, parse_jwks, parse_keys, require_cryptography

logger = logging.getLogger(__name__)

JWKS_PATH = "/.well-known/jwks.json"
FRESH_FOR = timedelta(minutes=15)
# Between two fetches of a key set, so that requests with invented key ids do not make us flood Postal.
PAUSE = timedelta(minutes=1)


class KeySet:
    """The keys published at one URL, kept in this process, because a shared cache could be poisoned.

    `fetch` returns the parsed JSON document or raises as `fetch_json` does; `clock` returns monotonic
    seconds.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self._fetch = fetch or fetch_json
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")

    def keys(self, wanted: str | None = None) -> tuple[PublicKey, ...]:
        """The known keys, fetched if they are older than `FRESH_FOR` or lack one with the id `wanted`."""
        if not self._knows(wanted):
            with self._lock:  # one thread fetches, the others wait for its result
                if not self._knows(wanted) and self._clock() - self._tried_at >= PAUSE.total_seconds():
                    self._refresh()
        return self._keys

    def _knows(self, wanted: str | None) -> bool:
        if self._clock() - self._fetched_at >= FRESH_FOR.total_seconds():
            return False
        return wanted is None or any(key.id == wanted for key in self._keys)

    def _refresh(self) -> None:
        self._tried_at = self._clock()
        try:
            self._keys = parse_jwks(self._fetch(self.url))
        except (requests.RequestException, ValueError, RecursionError) as error:
            logger.warning("The public keys at %s cannot be fetched: %s", self.url, error)
        else:
            self._fetched_at = self._clock()


@lru_cache(maxsize=1024)
def key_set(url: str) -> KeySet:
    """The `KeySet` of this process for a URL."""
    return KeySet(url)


def fetch_json(url: str) -> Any:
    """The JSON document at `url`. Raises `requests.RequestException` or `ValueError`."""
    return json.loads(fetch(url))


@dataclass(frozen=True)
class KeySources:
    """The sources of one server's keys: pinned in the settings, or published at URLs."""

    pinned: tuple[PublicKey, ...]
    urls: tuple[str, ...]

    def candidates(self, wanted: str | None = None) -> tuple[PublicKey, ...]:
        """The keys that may have signed a request, including the one with the id `wanted` if there is one."""
        if wanted is not None and any(key.id == wanted for key in self.pinned):
            return self.pinned
        return self.pinned + tuple(key for url in self.urls for key in key_set(url).keys(wanted))


def sources(config: conf.ServerConfig) -> KeySources:
    """The sources in POSTAL_WEBHOOK_KEY and POSTAL_WEBHOOK_JWKS_URL.

    Raises `AnymailConfigurationError` if neither is set, or a value is not a public key.
    """
    require_cryptography()
    value = config.webhook_key
    pinned: list[PublicKey] = []
    urls = [] if config.webhook_jwks_url is None else [jwks_url(config)]
    for entry in value if isinstance(value, (list, tuple)) else () if value is None else (value,):
        try:
            if isinstance(entry, str) and entry.startswith(("https://", "http://")):
                urls.append(str(setting_values.jwks_url(entry)))
            else:
                pinned += parse_keys(entry)
        except (BadPublicKey, setting_values.BadValueError) as error:
            raise AnymailConfigurationError(f"POSTAL_WEBHOOK_KEY: {_shown(entry)} {error}") from error
    if not pinned and not urls:
        raise AnymailConfigurationError(
            "You must set ANYMAIL = {'POSTAL_WEBHOOK_KEY': ...} or ANYMAIL_POSTAL_WEBHOOK_KEY"
            " or POSTAL_WEBHOOK_KEY in your Django settings, or POSTAL_WEBHOOK_JWKS_URL."
        )
    return KeySources(tuple(pinned), tuple(urls))


def jwks_url(config: conf.ServerConfig) -> str:
    """The URL of the key set, from POSTAL_WEBHOOK_JWKS_URL or POSTAL_API_URL.

    Raises `AnymailConfigurationError` if the latter is missing or not https.
    """
    if isinstance(config.webhook_jwks_url, str):
        return config.webhook_jwks_url
    try:
        return str(setting_values.jwks_url(config.required("api_url") + JWKS_PATH))
    except setting_values.BadValueError as error:
        raise AnymailConfigurationError(f"The key set URL below POSTAL_API_URL {error}") from error


def _shown(entry: str | Mapping[str, Any]) -> str:
    """The beginning of a key, for messages."""
    text = " ".join(str(entry).split())
    return f"{text[:40]!r}{'...' if len(text) > 40 else ''}"
