"""The names of clients in DNS. A request waits for a look-up for a moment only."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

MAX_NAMES = 10_000
MAX_LOOKUPS = 100  # running or waiting; further clients are known by their addresses
THREADS = 4
KEPT_SECONDS = 3600.0
FIRST_WAIT = 0.1  # seconds that a request waits for the look-up it starts


@dataclass(frozen=True)
class _Known:
    name: str | None
    until: float


class ClientNames:
    """PTR names of addresses, looked up in the background and kept for an hour.

    `lookup` answers a name or None, and must give up by itself. Loopback and private addresses have none.
    """

    def __init__(
        self, lookup: Callable[[str], str | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lookup = lookup
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._running: dict[str, concurrent.futures.Future[None]] = {}
        self._lock = threading.Lock()
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None

    def __call__(self, address: str) -> str | None:
        """The name of `address`, or None if it has none or is not known yet."""
        if started := self._refresh(address):
            concurrent.futures.wait([started], FIRST_WAIT)
        return self._name(address)

    async def find(self, address: str) -> str | None:
        """The same, in an event loop."""
        if started := self._refresh(address):
            await asyncio.wait([asyncio.wrap_future(started)], timeout=FIRST_WAIT)
        return self._name(address)

    def _name(self, address: str) -> str | None:
        known = self._known.get(address)
        return known.name if known else None

    def _refresh(self, address: str) -> concurrent.futures.Future[None] | None:
        """Begin a look-up where one is needed and possible."""
        known = self._known.get(address)
        if (known is not None and known.until > self._clock()) or not _may_have_name(address):
            return None
        return self._start(address)

    def _start(self, address: str) -> concurrent.futures.Future[None] | None:
        """Begin a look-up, unless one is under way or there are too many."""
        with self._lock:
            if address in self._running or len(self._running) >= MAX_LOOKUPS:
                return None
            if self._pool is None:
                self._pool = concurrent.futures.ThreadPoolExecutor(THREADS, "client-name")
            future = self._running[address] = self._pool.submit(self._find, address)
        return future

    def _find(self, address: str) -> None:
        name = None
        with suppress(Exception):  # whatever the error, the client is known by its address
            name = self._lookup(address)
        with self._lock:
            self._known[address] = _Known(name, self._clock() + KEPT_SECONDS)
            self._known.move_to_end(address)
            if len(self._known) > MAX_NAMES:
                self._known.popitem(last=False)
            self._running.pop(address, None)

    def close(self) -> None:
        """Give up what has not begun."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)


def _may_have_name(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
