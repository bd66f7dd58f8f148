"""Has this post been handled before?

Postal posts again whenever it did not hear our answer in time, so a slow receiver would run twice. A post is
claimed first and marked done after its receivers: a mark set before them would lose the event with a process
that dies.
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
# Longer than any receiver should take; after it, a post whose process died is free again.
CLAIM_FOR = timedelta(minutes=10)


def event_key(server: str, uuid: str | None, name: str, postal_id: int | None, body: bytes) -> str:
    """Which event a tracking post is. Two events may share a uuid, so that alone is not enough.

    A post without a uuid is told by its bytes, which are the same at every try.
    """
    return _key("tracking", server, uuid or hashlib.sha256(body).hexdigest(), name, str(postal_id))


def mail_key(server: str, postal_id: int, body: bytes) -> str:
    """Which mail an inbound post is. Ids are one sequence per mail server; several may post to one URL."""
    return _key("inbound", server, str(postal_id), hashlib.sha256(body).hexdigest())


def _key(*parts: str) -> str:
    # 160 bits are enough to tell posts apart, and Django's caches look at every character of a key.
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def receive(receipt: Receipt, config: conf.ServerConfig) -> AbstractContextManager[Claim]:
    """Claim a post for as long as its receivers run; they run only if the claim is NEW.

    An exception in the `with` undoes the claim. Errors of the store or the cache are not caught.
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
    """Posts remembered in Django's default cache; done ones for `keep_for`."""

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
