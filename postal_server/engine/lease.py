"""The worker's lease: the worker is leased, not the row.

Each worker beats; the others watch by their own monotonic clocks, so that no jump of a wall clock frees the
rows of a worker that lives. On SQLite all workers are on this machine, and a lock says at once who is dead.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.db.models import F

from postal_server.models import QueuedMessage, ScheduledTask, WebhookRequest, Worker
from postal_server.models.queue_state import QueueState

from .database import beside, sqlite_path

# Seconds. A dead worker is seen by the second observation after its last beat, and freed 45 to 50 seconds
# later: within a minute. A live one stops sending 5 seconds before another may claim its rows.
BEAT_INTERVAL = 10.0
OBSERVE_INTERVAL = 5.0
HELD_FOR = 40.0
DEAD_AFTER = 45.0
# A worker looks more often while it is young: one that dies within seconds, as they do in a crash loop, has
# seen something as well.
YOUNG = 10.0
YOUNG_INTERVAL = 1.0


Seen = Mapping[int, tuple[int, float]]  # worker -> (beat, seconds for which it was seen to stand still)


class Observer:
    """Judges workers by their beats. Pure; times are seconds of the observer's monotonic clock."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, float]] = {}  # worker -> (beat, when it was first seen)
        self._observed_at: float | None = None

    def observe(self, beats: Mapping[int, int], now: float, others: Seen | None = None) -> list[int]:
        """The workers whose beat has stood still for `DEAD_AFTER` of uninterrupted watching.

        An observer that has just started continues from `others`, what other workers saw: workers that die
        before they have watched for so long watch together. A beat has stood still for at least as long as
        any of them saw it.

        While the database was away no worker could beat, so a gap in watching starts all clocks again.
        """
        known = self._seen
        if self._observed_at is None:
            known = {worker: (beat, now - seconds) for worker, (beat, seconds) in (others or {}).items()}
        elif now - self._observed_at > 3 * OBSERVE_INTERVAL:
            known = {}
        self._observed_at = now
        self._seen = {
            worker: seen if (seen := known.get(worker)) and seen[0] == beat else (beat, now)
            for worker, beat in beats.items()
        }
        return [worker for worker, (_, since) in self._seen.items() if now - since >= DEAD_AFTER]

    @property
    def seen(self) -> Seen:
        """For others: how long each beat has stood still."""
        now = self._observed_at or 0.0
        return {worker: (beat, now - since) for worker, (beat, since) in self._seen.items() if now > since}


def longest(beats: Mapping[int, int], observations: Iterable[Seen]) -> Seen:
    """The longest time for which any worker saw each of these beats stand still."""
    found: dict[int, tuple[int, float]] = {}
    for seen in observations:
        for worker, (beat, seconds) in seen.items():
            if beats.get(worker) == beat and seconds > found.get(worker, (beat, 0.0))[1]:
                found[worker] = beat, seconds
    return found


def _parse(seen: Mapping[str, tuple[int, float]]) -> Seen:
    return {int(worker): (beat, seconds) for worker, (beat, seconds) in seen.items()}


class ProcessLock:
    """A file that is locked as long as the process of worker `worker_id` lives (SQLite only)."""

    def __init__(self, database: Path, worker_id: int) -> None:
        self.worker_id = worker_id
        self._path = beside(database, f"worker-{worker_id}")
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    @staticmethod
    def remove(database: Path, worker_id: int) -> None:
        """Remove what a dead process left behind."""
        beside(database, f"worker-{worker_id}").unlink(missing_ok=True)

    @staticmethod
    def is_orphaned(database: Path, worker_id: int) -> bool:
        """Has the process died that made this worker's lock?"""
        try:
            file = os.open(beside(database, f"worker-{worker_id}"), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False  # unknown: its beat decides
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(file)


class Lease:
    """This process's row among the workers. All but `is_held` run in the journal's thread."""

    def __init__(self) -> None:
        self._database = sqlite_path()
        self._lock: ProcessLock | None = None
        self._observer = Observer()
        self._beaten_at = float("-inf")
        self.worker_id: int | None = None
        self.is_new = False  # has this tick registered the worker? `worker_id` is not valid then

    def is_held(self, now: float) -> bool:
        """May this worker still believe that its rows are its own? `now` is `clock.seconds`."""
        return self.worker_id is not None and now - self._beaten_at < HELD_FOR

    def is_beat_due(self, now: float) -> bool:
        return now - self._beaten_at >= BEAT_INTERVAL

    def beat(self) -> bool:
        """Show that this worker lives; in a transaction. False if it was declared dead, or is new."""
        rows = Worker.objects.filter(pk=self.worker_id or 0)
        return rows.update(beat=F("beat") + 1) == 1

    def register(self, now: datetime) -> int:
        """Add a row for this worker, in a transaction; call `renewed` once that is durable."""
        row = Worker.objects.create(host=socket.gethostname(), pid=os.getpid(), started_at=now)
        self.is_new = True
        if self._database:
            self._unlock()
            self._lock = ProcessLock(self._database, row.pk)
        return row.pk

    def give_up_new(self) -> None:
        """The transaction that registered this worker failed: another may get the same id."""
        self.is_new = False
        if self._lock and self._lock.worker_id != self.worker_id:
            self._unlock()

    def renewed(self, worker_id: int, beaten_at: float) -> None:
        """The beat of `worker_id` that was written at `beaten_at` is durable."""
        self.worker_id = worker_id
        self.is_new = False
        self._beaten_at = beaten_at

    def reap_dead_workers(self, now: float) -> list[int]:
        """Remove dead workers and free what they held, in a transaction; the result is their ids."""
        workers = Worker.objects.all()
        known = list(workers.values_list("pk", "beat", "seen"))
        beats = {pk: beat for pk, beat, _ in known if pk != self.worker_id}
        others = longest(beats, [_parse(seen) for *_, seen in known])
        dead = {*self._observer.observe(beats, now, others), *self._orphans(beats)}
        # Into our own row, which no other worker writes, so that no worker waits for another.
        workers.filter(pk=self.worker_id or 0).update(seen=self._observer.seen)
        reaped = [w for w in dead if workers.filter(pk=w, beat=beats[w]).delete()[0]]
        # By their absence, not by number: what a worker claimed in its last moment is free as well.
        for model in (QueuedMessage, WebhookRequest, ScheduledTask):
            rows = model._default_manager.filter(QueueState.CLAIMED.rows)
            rows.exclude(claimed_by__in=workers.values("pk")).update(claimed_by=None)
        if self._database:
            for worker in reaped:
                # Only once the row is gone for good: without the file, only the beat shows who lives.
                remove = functools.partial(ProcessLock.remove, self._database, worker)
                transaction.on_commit(remove)
        return reaped

    def _orphans(self, workers: Mapping[int, int]) -> list[int]:
        if self._database is None:
            return []
        return [worker for worker in workers if ProcessLock.is_orphaned(self._database, worker)]

    def end(self) -> None:
        """Remove this worker's row; in a transaction, after its rows were released."""
        Worker.objects.filter(pk=self.worker_id or 0).delete()
        # Once the row is gone for good, as above.
        transaction.on_commit(self._forget)

    def _forget(self) -> None:
        self.worker_id = None
        self._unlock()

    def _unlock(self) -> None:
        if self._lock:
            self._lock.release()
            self._lock = None
