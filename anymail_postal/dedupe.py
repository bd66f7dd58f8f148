"""De-duplication of Postal's requests.

Postal repeats a request if the response does not arrive in time, so a slow receiver would run twice. A
request is claimed before its receivers run and marked as done after them: if it were marked before, a process
that dies would lose the event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

from django.core.cache import cache

from . import conf
from .ports import Claim, Receipt

CACHE_PREFIX = "postal:"
# Longer than any receiver should take. After it, the request of a process that died can be claimed again.
CLAIM_FOR = timedelta(minutes=10)


def event_key(server: str, uuid: str | None, name: str, postal_id: int | None, body: bytes) -> str:
    """The key of the event in a webhook. The uuid alone is not enough, because two events may share it.

    A webhook without a uuid is identified by its body, which is the same in each repetition.
    """
    return _key("tracking", server, uuid or hashlib.sha256(body).hexdigest(), name, str(postal_id))


def mail_key(server: str, postal_id: int, body: bytes) -> str:
    """The key of an incoming mail. Ids are per mail server, and several servers may use one URL."""
    return _key("inbound", server, str(postal_id), hashlib.sha256(body).hexdigest())


def _key(*parts: str) -> str:
    # 160 bits suffice, and Django's caches check every character of a key.
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def receive(receipt: Receipt, config: conf.ServerConfig) -> AbstractContextManager[Claim]:
    """Claim a request while its receivers run, which they do only if the claim is NEW.

    An exception in the `with` block undoes the claim. Errors of the store and the cache are not caught.
    """
    mode = config.webhook_dedupe
    if mode == "off":
        return nullcontext(Claim.NEW)
    store = conf.require_store("POSTAL_WEBHOOK_DEDUPE") if mode == "store" else conf.store()
    if store is not None and mode != "cache":
        return store.receive(receipt)
    return CacheMemory(config.webhook_dedupe_ttl).receive(receipt)


@dataclass(frozen=True)
class CacheMemory:
    """Requests remembered in Django's default cache; handled ones for `keep_for`."""

    keep_for: timedelta

    @contextmanager
    def receive(self, receipt: Receipt) -> Iterator[Claim]:
        """See `anymail_postal.ports.Store.receive`."""
        key = CACHE_PREFIX + receipt.key
        if not cache.add(key, Claim.RUNNING.value, CLAIM_FOR.total_seconds()):
            yield Claim.DONE if cache.get(key) == Claim.DONE.value else Claim.RUNNING
            return
        try:
            yield Claim.NEW
        except BaseException:
            cache.delete(key)
            raise
        cache.set(key, Claim.DONE.value, self.keep_for.total_seconds())
