"""Source addresses: which of them this machine has, and so which mail this worker may claim."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from postal_server.rules.lane import ANY_SOURCE
from postal_server.services.shared import ip_pool
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import Source, SourceEntry

logger = logging.getLogger(__name__)

LOOK_EVERY = 60.0  # seconds between looks at which addresses are here


class LocalSources:
    """Those of the directory's addresses that can be bound here; looked at again when the directory changes,
    and each minute, because addresses come and go without its knowledge.

    Without pools there is one source, that of mail which is bound to none. Used by the journal's thread.
    `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        directory: Callable[[], Directory],
        *,
        use_pools: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._use_pools = use_pools
        self._clock = clock
        self._look_at = 0.0
        self._version: int | None = None
        self._local: list[SourceEntry] = []

    def __call__(self, now: datetime) -> Mapping[int, int | None]:
        """How many messages may still leave today, by the id of the source; None: no limit."""
        if not self._use_pools:
            return {ANY_SOURCE: None}
        local = self._find()
        return {
            ANY_SOURCE: None,
            **dict.fromkeys(entry.id for entry in local),
            **ip_pool.left_today(local, now),
        }

    def address_of(self, source_id: int) -> str:
        """The address of a source, of two the IPv4 one; empty for none."""
        entry = self._directory().sources.get(source_id) if source_id != ANY_SOURCE else None
        return (entry.source.ipv4 or entry.source.ipv6) if entry else ""

    def _find(self) -> list[SourceEntry]:
        directory = self._directory()
        now = self._clock()
        if directory.version != self._version or now >= self._look_at:
            former = self._version, self._local
            self._version, self._look_at = directory.version, now + LOOK_EVERY
            self._local = [entry for entry in directory.sources.values() if is_local(entry.source)]
            missing = len(directory.sources) - len(self._local)
            if missing and former != (self._version, self._local):
                logger.info("%d source addresses are not on this machine", missing)
        return self._local


def is_local(source: Source) -> bool:
    """Can this process send from all of its addresses?"""
    return all(_can_bind(address) for address in (source.ipv4, source.ipv6) if address)


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
