"""The part of the journal that stores submissions: what waits to be stored, and how much may wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from postal_server.errors import Busy
from postal_server.services.shared.work import Accepted, Stored

from . import delivery_log, metrics
from .disk import Disk

logger = logging.getLogger(__name__)

MAX_PENDING_BYTES = 64 * 1024 * 1024
MAX_WAIT = 5.0  # seconds, predicted or measured, until an answer
TICK_MESSAGES = 500
TICK_BYTES = 16 * 1024 * 1024
ROW_COST = 8 * 1024  # what storing a message costs beside its text, in bytes of text


@dataclass
class PendingSubmissions:
    """Submissions that wait for their commit: all are stored, or none.

    `count` is how many messages they are, `cost` what storing them takes, in bytes of text.
    """

    submissions: Sequence[Accepted]
    promise: Future[list[Stored]] | asyncio.Future[list[Stored]]
    loop: asyncio.AbstractEventLoop | None = None  # None if a thread waits
    at: float = field(default_factory=time.monotonic)
    is_started: bool = False
    size_bytes: int = field(init=False)
    count: int = field(init=False)
    cost: int = field(init=False)

    def __post_init__(self) -> None:
        self.size_bytes = sum([len(accepted.raw) for accepted in self.submissions])
        self.count = sum([len(accepted.messages) for accepted in self.submissions])
        self.cost = self.size_bytes + ROW_COST * self.count

    def start(self) -> bool:
        """Is the caller still waiting? After this, a promise to a thread can no longer be cancelled."""
        if isinstance(self.promise, asyncio.Future):
            return not self.promise.cancelled()
        if not self.is_started:
            self.is_started = self.promise.set_running_or_notify_cancel()
        return self.is_started


Store = Callable[[Sequence[Accepted], datetime], list[list[Stored]]]


class Acceptance:
    """Takes submissions from any thread and stores them in batches, or refuses what would wait too long."""

    name = "acceptance"

    def __init__(self, store: Store, disk: Disk | None = None) -> None:
        self._store = store
        self.disk = disk
        self._lock = threading.Lock()
        self._waiting: deque[PendingSubmissions] = deque()
        self._written_first: PendingSubmissions | None = None  # the oldest of what is being written
        self._bytes = 0  # of all that waits or is being written
        self._cost = 0
        self._seconds_per_cost = 0.0  # moving average over ticks
        self._is_open = True
        self.on_collect: list[Callable[[], None]] = []  # called when there are messages to store

    def check_room(self, size_bytes: int = 0) -> None:
        """Raise `Busy` if a submission of this size cannot be accepted now. For any thread."""
        if not self._is_open:
            raise Busy("The server is stopping.")
        if self.disk and not self.disk.has_room():
            raise Busy("The disk is nearly full.", retry_after=60)
        if self._bytes and self._bytes + size_bytes > MAX_PENDING_BYTES:
            raise Busy("Too much mail is waiting to be stored.")
        if self.predicted_wait() > MAX_WAIT:
            raise Busy("The database cannot keep up.")

    def predicted_wait(self) -> float:
        """How long a new submission would wait for its answer, in seconds."""
        with self._lock:
            oldest = self._written_first or (self._waiting[0] if self._waiting else None)
        age = time.monotonic() - oldest.at if oldest is not None else 0.0
        return age + self._cost * self._seconds_per_cost

    def add(self, pending: PendingSubmissions) -> None:
        self.check_room(pending.size_bytes)
        with self._lock:
            self._waiting.append(pending)
            self._bytes += pending.size_bytes
            self._cost += pending.cost

    @property
    def waiting(self) -> int:
        """How many submissions wait for the next tick."""
        return len(self._waiting)

    def close(self) -> None:
        """Accept no more submissions; those that wait are still stored."""
        self._is_open = False

    def collect(self) -> Sequence[PendingSubmissions]:
        taken: list[PendingSubmissions] = []
        messages = size = 0
        while messages < TICK_MESSAGES and size < TICK_BYTES:
            with self._lock:
                if not self._waiting:
                    break
                pending = self._waiting.popleft()
            if not pending.start():
                self._gone([pending])
                continue
            taken.append(pending)
            messages += pending.count
            size += pending.size_bytes
        if taken:
            self._written_first = taken[0]
            for want in self.on_collect:
                want()
        return taken

    def write(self, items: Sequence[PendingSubmissions], now: datetime) -> tuple[list[list[Stored]], float]:
        started = time.monotonic()
        stored = iter(self._store([accepted for pending in items for accepted in pending.submissions], now))
        return [[each for _ in pending.submissions for each in next(stored)] for pending in items], started

    def committed(
        self, items: Sequence[PendingSubmissions], written: tuple[list[list[Stored]], float]
    ) -> None:
        stored, started = written
        self._gone(items)
        _resolve([(pending, answer) for pending, answer in zip(items, stored, strict=True)])
        self._learn(items, time.monotonic() - started)
        metrics.ACCEPTED.inc(sum(len(each) for each in stored))
        for pending, answer in zip(items, stored, strict=True):
            delivery_log.write_accepted(pending.submissions, answer)

    def _learn(self, items: Sequence[PendingSubmissions], seconds: float) -> None:
        measured = seconds / sum(pending.cost for pending in items)
        self._seconds_per_cost += (measured - self._seconds_per_cost) * 0.2

    def restore(self, items: Sequence[PendingSubmissions], *, in_doubt: bool) -> None:
        """Keep the submissions for a later tick, but refuse those that have waited for `MAX_WAIT`.

        After a commit in doubt all are refused, and their senders try again. At worst a message is stored
        that was not acknowledged, as when the connection breaks before the answer.
        """
        limit = time.monotonic() - MAX_WAIT
        kept = [] if in_doubt else [pending for pending in items if pending.at > limit]
        lost = [pending for pending in items if in_doubt or pending.at <= limit]
        with self._lock:
            self._waiting.extendleft(reversed(kept))
            overdue = [pending for pending in self._waiting if pending.at <= limit]
            self._waiting = deque(pending for pending in self._waiting if pending.at > limit)
        self._gone([*lost, *overdue])
        # A promise that is started cannot be cancelled between here and its refusal.
        refused = [pending for pending in (*lost, *overdue) if pending.start()]
        _resolve([(pending, Busy("The database cannot serve.")) for pending in refused])

    def reject(self, item: PendingSubmissions, error: Exception) -> None:
        logger.error("A submission cannot be stored", exc_info=error)
        self._gone([item])
        _resolve([(item, Busy("The message cannot be stored."))])

    def _gone(self, items: Sequence[PendingSubmissions]) -> None:
        with self._lock:
            self._written_first = None
            self._bytes -= sum([pending.size_bytes for pending in items])
            self._cost -= sum([pending.cost for pending in items])


def _resolve(answers: Sequence[tuple[PendingSubmissions, list[Stored] | Busy]]) -> None:
    """Resolve the promises, with one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[tuple[Any, list[Stored] | Busy]]] = defaultdict(list)
    for pending, answer in answers:
        by_loop[pending.loop].append((pending.promise, answer))
    for loop, promises in by_loop.items():
        if loop is None:
            _keep(promises)
        elif not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # closed in the meantime
                loop.call_soon_threadsafe(_keep, promises)


def _keep(promises: Sequence[tuple[Any, list[Stored] | Busy]]) -> None:
    for promise, answer in promises:
        if promise.done():
            continue  # cancelled: its task no longer waits
        if isinstance(answer, Busy):
            promise.set_exception(answer)
        else:
            promise.set_result(answer)
