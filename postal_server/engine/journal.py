"""The journal: the thread of a process that writes to the database, in ticks.

A tick is one transaction: record what finished, store what was accepted, claim up to the room there is.
While one tick's commit is being synced, the next tick's work collects: a slower disk means larger batches.
The parts `Acceptance`, `Heartbeat`, `ResultRecorder` and `Claimer` decide what is written in a tick.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import datetime, timezone
from typing import Any, Protocol, TypeVar

from django.db import connection, transaction
from django.db.utils import Error as DatabaseFailure

from postal_server.errors import Busy
from postal_server.services.shared.work import Accepted, Stored

from . import metrics
from .acceptance import MAX_WAIT, Acceptance, PendingSubmissions
from .database import DATABASE_AWAY, can_serve, is_disk_full, write_lock

logger = logging.getLogger(__name__)
T = TypeVar("T")
NOTHING: Sequence[Any] = ()

POLL_INTERVAL = 0.05  # seconds without a wake-up after which the parts are asked for work anyway
BACK_OFF = (0.05, 1.0)  # seconds to wait while the database is away: at first, at most
# After so many failures of a batch, if the database answers, its rows are written one by one.
TRIES_OF_A_BATCH = 3
# Seconds. A process that ends before its journal sends mail twice, and its rows may wait for the lease's end.
WAIT_WITHOUT_DATABASE = 1.5
JOIN_INTERVAL = 0.1

# Seconds that a tick waits for as many items as the last one had, if those were several. A tick costs as much
# as storing ten messages, and clients that were answered together come back together.
GATHERING = 0.005


class Part(Protocol):
    """One share of a tick: how the engine, acceptance included, writes to the database.

    In each tick the journal's thread calls `collect` of every part, in order. If any returns items, it opens
    one transaction, calls `write` of each, commits, and calls `committed`. If the database could not serve,
    it calls `restore` instead, and the part returns the items again in a later tick. If an item itself cannot
    be written, the batch is halved until that item is found, and `reject` is called with it.

    All methods run in the journal's thread. Each part has a lock for what other threads add to it.
    """

    name: str

    def collect(self) -> Sequence[Any]:
        """The items to write in the next tick, in order; empty if there is nothing to do."""

    def write(self, items: Sequence[Any], now: datetime) -> Any:
        """Write `items` within the tick's transaction, begun at `now`; the result goes to `committed`."""

    def committed(self, items: Sequence[Any], written: Any) -> None:
        """The transaction is durable; `written` is the result of `write`. Must not write."""

    def restore(self, items: Sequence[Any], *, in_doubt: bool) -> None:
        """The database could not serve. `in_doubt`: it broke during the commit, which may have succeeded."""

    def reject(self, item: Any, error: Exception) -> None:
        """This item alone cannot be written, because of `error`. Runs outside of a transaction."""


class Journal:
    """Runs the ticks. `parts` write in this order; set them before `start`."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance
        self.parts: Sequence[Part] = [acceptance]
        self.at_end: Callable[[], None] | None = None  # run in a last transaction
        self._disk = acceptance.disk
        self._wake = threading.Event()
        self._gathered = threading.Event()  # as many submissions wait as the last tick had
        self._last_count = 0
        self._is_stopping = False
        self._failures = 0  # ticks in a row that the database could not serve
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    # For any thread

    def check_room(self, size_bytes: int = 0) -> None:
        """Raise `Busy` if a submission of this size (0 if not known) cannot be accepted now."""
        self._acceptance.check_room(size_bytes)

    def append(self, accepted: Accepted) -> Future[list[Stored]]:
        """Store a submission; the future is done once it is durable. Raises `Busy`, as may the future."""
        promise: Future[list[Stored]] = Future()
        self._acceptance.add(PendingSubmissions([accepted], promise))
        self.wake()
        return promise

    def store(self, accepted: Accepted) -> list[Stored]:
        """Store a submission and wait until it is durable. Raises `Busy`."""
        promise = self.append(accepted)
        try:
            return promise.result(MAX_WAIT)
        except FutureTimeout:
            if promise.cancel():
                raise Busy("The database cannot keep up.") from None
            return promise.result()  # it is being written: wait for the commit

    def append_async(self, accepted: Accepted) -> asyncio.Future[list[Stored]]:
        """As `append`, for the running event loop."""
        return self.append_together([accepted])

    def append_together(self, submissions: Sequence[Accepted]) -> asyncio.Future[list[Stored]]:
        """As `append_async`, for the submissions of one mail: all are stored, or none."""
        loop = asyncio.get_running_loop()
        promise: asyncio.Future[list[Stored]] = loop.create_future()
        self._acceptance.add(PendingSubmissions(submissions, promise, loop))
        self.wake()
        return promise

    def wake(self) -> None:
        """Start the next tick soon: there is work."""
        if not self._wake.is_set():
            self._wake.set()
        if self._acceptance.waiting >= self._last_count and not self._gathered.is_set():
            self._gathered.set()

    def start(self) -> None:
        self._thread.start()

    def problem(self) -> str:
        """Why nothing can be stored now; empty if it can. For any thread."""
        if not self._thread.is_alive():
            return "the journal has ended"
        try:
            self.check_room()
        except Busy as busy:
            return str(busy)
        return "The database cannot serve." if self._failures else ""

    def stop(self, timeout: float = 5.0) -> None:
        """Accept no more, write what waits, and end the thread, within `timeout` seconds.

        Without a database there is no use in waiting for longer than `WAIT_WITHOUT_DATABASE`.
        """
        self._acceptance.close()
        self._is_stopping = True
        self.wake()
        self._gathered.set()
        began = time.monotonic()
        while self._thread.is_alive():
            waited = time.monotonic() - began
            if waited >= (WAIT_WITHOUT_DATABASE if self._failures else timeout):
                return
            self._thread.join(JOIN_INTERVAL)

    # The journal's thread

    def _run(self) -> None:
        self._write_lock = write_lock()
        try:
            while self._next_tick() or not self._is_stopping:
                pass
            if self.at_end:
                self._write_last(self.at_end)
        finally:
            self._write_lock.close()
            connection.close()

    def _write_last(self, at_end: Callable[[], None]) -> None:
        """The last transaction. If it cannot be made, others wait until this worker's lease is over."""
        for left in reversed(range(TRIES_OF_A_BATCH)):
            try:
                with self._write_lock.turn(), transaction.atomic():
                    at_end()
                return
            except DATABASE_AWAY as error:
                logger.warning("The worker could not sign off (%s); %d more tries", error, left)
                connection.close()  # it may be this that broke
                time.sleep(BACK_OFF[0])

    def _next_tick(self) -> bool:
        """Write what waits. Was there anything?"""
        if not self._is_stopping:
            self._wake.wait(POLL_INTERVAL)
            if self._last_count > 1:
                self._gathered.wait(GATHERING)
        self._wake.clear()
        self._gathered.clear()
        try:
            batch = [(part, items) for part in self.parts if (items := _guarded(part.collect, NOTHING))]
            self._last_count = max((len(items) for _, items in batch), default=0)
            if batch:
                self._write(batch)
            elif self._failures and self._can_serve():
                self._failures = 0  # `problem` has kept submissions away until now
        except Exception:  # a bug must not end the thread that all acknowledgements come from
            logger.exception("A tick failed outside of its transaction")
            metrics.WORKER_ERRORS.labels("journal").inc()
            time.sleep(BACK_OFF[0])
            return True
        return bool(batch)

    def _write(self, batch: list[tuple[Part, Sequence[Any]]]) -> None:
        try:
            written = self._commit(batch)
        except CommitInDoubt as error:
            self._failures += 1
            self._wait_for_database(batch, error, in_doubt=True)
        except DATABASE_AWAY as error:
            self._failures += 1
            if is_disk_full(error) or self._failures < TRIES_OF_A_BATCH or not self._can_serve():
                self._wait_for_database(batch, error, in_doubt=False)
            else:
                self._write_apart(batch)
        except Exception:
            logger.exception("A tick failed; its parts are written one by one")
            self._write_apart(batch)
        else:
            self._failures = 0
            self._committed(batch, written)

    def _commit(self, batch: list[tuple[Part, Sequence[Any]]]) -> list[Any]:
        """What each part has written. Once it is durable nothing may fail: it would be written again."""
        started = time.monotonic()
        is_written = False
        try:
            with self._write_lock.turn(), transaction.atomic():
                now = datetime.now(timezone.utc)
                written = [part.write(items, now) for part, items in batch]
                is_written = True
        except DATABASE_AWAY as error:
            if is_written and not is_disk_full(error):
                raise CommitInDoubt(str(error)) from error
            raise
        metrics.COMMIT_SECONDS.observe(time.monotonic() - started)
        return written

    def _committed(self, batch: list[tuple[Part, Sequence[Any]]], written: list[Any]) -> None:
        for (part, items), result in zip(batch, written, strict=True):
            metrics.COMMIT_ROWS.labels(part.name).observe(len(items))
            _guarded(functools.partial(part.committed, items, result), None)

    def _write_apart(self, batch: list[tuple[Part, Sequence[Any]]]) -> None:
        """Each part in a transaction of its own, so that one bad row does not refuse its neighbours."""
        for part, items in batch:
            self._bisect(part, items)
        self._failures = 0

    def _bisect(self, part: Part, items: Sequence[Any]) -> None:
        try:
            written = self._commit([(part, items)])
        except CommitInDoubt as error:
            self._wait_for_database([(part, items)], error, in_doubt=True)
        except Exception as error:
            if not self._can_serve():
                self._wait_for_database([(part, items)], error, in_doubt=False)
            elif len(items) == 1:
                _guarded(functools.partial(part.reject, items[0], error), None)
            else:
                half = len(items) // 2
                self._bisect(part, items[:half])
                self._bisect(part, items[half:])
        else:
            self._committed([(part, items)], written)

    def _can_serve(self) -> bool:
        connection.close()
        return can_serve()

    def _wait_for_database(
        self, batch: list[tuple[Part, Sequence[Any]]], error: Exception, *, in_doubt: bool
    ) -> None:
        logger.warning("The database cannot serve (%s); trying again", error)
        metrics.DATABASE_FAILURES.inc()
        connection.close()
        is_full = isinstance(error, DatabaseFailure) and is_disk_full(error)
        if is_full and self._disk:
            self._disk.drop_ballast()
        for part, items in batch:
            # With a full disk nothing new is accepted: the ballast is meant for results.
            _guarded(functools.partial(part.restore, items, in_doubt=in_doubt or is_full), None)
        first, most = BACK_OFF
        time.sleep(min(most, first * 2 ** min(self._failures, 10)))
        self.wake()


def _guarded(call: Callable[[], T], otherwise: T) -> T:
    """Call a part outside of the transaction, so that its bug does not affect the other parts' items."""
    try:
        return call()
    except Exception:
        logger.exception("A part of the journal failed outside of its transaction")
        metrics.WORKER_ERRORS.labels("journal").inc()
        return otherwise


class CommitInDoubt(Exception):
    """The connection broke during COMMIT: the transaction may be durable or not."""
