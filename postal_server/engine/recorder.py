"""The part of a tick that records the results of claimed rows, and ends the claims on them."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from operator import itemgetter

from django.db import transaction

from postal_server.models import DestinationPace, DestinationPause, Message
from postal_server.rules.lane import is_over_http
from postal_server.rules.outcome import Outcome
from postal_server.rules.shaping import Pace
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Claimed, Decision, Result

from . import clock, delivery_log, metrics
from .database import DATABASE_AWAY
from .lease import Lease
from .queue import MESSAGES
from .row_decisions import Delayed, Done, Item, Returned, SuspectCleared, SuspectMarked, Timed
from .shaping import OPERATOR, Key
from .work_stream import WorkStream

logger = logging.getLogger(__name__)

TICK_RESULTS = 500
STILL_CLAIMED = (SuspectMarked, SuspectCleared)  # these do not end the claim on their row
# Seconds that a result may wait before nothing more is sent: it limits what is sent twice after a crash.
RECORD_WITHIN = 5.0
# A row whose result could not be recorded because of a bug is tried again after this.
AFTER_A_BUG = timedelta(minutes=5)


class ResultRecorder:
    """Records results and ends the claims on their rows. Never loses one while the database is away."""

    def __init__(self, stream: WorkStream, lease: Lease, wake: Callable[[], None]) -> None:
        self.name = f"{stream.name} recorded"
        self.stream = stream
        self._lease = lease
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: deque[Timed] = deque()
        self._writing_since: float | None = None
        self._released: list[Claimed] = []  # by this tick, whose claims may use their room
        self.on_collect: list[Callable[[], None]] = []  # called when this tick may make room, or rows ready

    def add(self, done: Sequence[Item]) -> None:
        """Record these with the next tick. For any thread."""
        now = clock.seconds()
        with self._lock:
            self._waiting.extend((now, item) for item in done)
        self._wake()

    def is_timely(self, now: float) -> bool:
        """Are results recorded promptly, so that more may be sent?"""
        with self._lock:
            waiting = self._waiting[0][0] if self._waiting else None
        since = self._writing_since if self._writing_since is not None else waiting
        return since is None or now - since < RECORD_WITHIN

    def collect(self) -> Sequence[Timed]:
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(TICK_RESULTS, len(self._waiting)))]
        if taken:
            self._writing_since = taken[0][0]
            for want in self.on_collect:
                want()
        return taken

    def write(self, items: Sequence[Timed], now: datetime) -> list[Item]:
        """Write the items whose rows this worker still holds, and return them."""
        queue, worker_id = self.stream.queue, self._lease.worker_id
        self._take_back()
        # After a lost lease the same row may be ours again, by another claim that is still under way.
        known = [item for _, item in items if self.stream.lanes.holds(item.claimed)]
        self._released = [item.claimed for item in known if not isinstance(item, STILL_CLAIMED)]
        self.stream.lanes.release(self._released)
        if self.stream.shaping:
            self.stream.shaping.ended(self._released)
        held = queue.still_held(worker_id, [item.claimed.id for item in known])
        ours = [item for item in known if item.claimed.id in held]
        if worker_id is None or not ours:
            return []
        done = [item for item in ours if isinstance(item, (Result, Decision))]
        if done:
            recorded = self.stream.services.record(done, now)
            queue.finish(worker_id, recorded.finished)
            queue.defer(worker_id, recorded.deferred)
            metrics.NOTICES_WITHHELD.inc(recorded.withheld_notices)
            self._note(done, now)
        queue.mark_suspects(worker_id, _ids_of(SuspectMarked, ours))
        queue.clear_suspects(worker_id, _ids_of(SuspectCleared, ours))
        if returned := _ids_of(Returned, ours):
            queue.release(worker_id, returned)
        queue.delay(worker_id, [(item.claimed.id, item.due_at) for item in ours if isinstance(item, Delayed)])
        return ours

    def _note(self, done: Sequence[Done], now: datetime) -> None:
        """Pause the lanes of destinations that cannot be reached, and resume those that can."""
        lanes = self.stream.lanes
        tried = [
            item
            for item in done
            if isinstance(item, Result) and item.outcome.status is not DeliveryStatus.ERROR
        ]
        if self.stream.shaping:
            _store(self.stream.shaping.learn(tried, now))
        changed = {}
        for item in tried:
            lane, outcome = item.claimed.lane, item.outcome
            if wait := _asked_wait(item):
                is_changed = lanes.leave_alone(lane, wait, now)
            else:
                is_changed = lanes.note(lane, was_reached=_was_reached(outcome), now=now)
            if is_changed:
                changed[lane] = (outcome.output or outcome.details)[:250]
        for lane in sorted(changed):  # all workers in one order, so that they cannot deadlock
            if pause := lanes.pause(lane):
                DestinationPause.objects.update_or_create(
                    destination=lane, defaults={"paused_until": pause.until, "reason": changed[lane]}
                )
            else:
                DestinationPause.objects.filter(destination=lane).delete()

    def committed(self, items: Sequence[Timed], written: list[Item]) -> None:
        self._writing_since = None
        self._released = []
        self.stream.lanes.settle()
        if self.stream.shaping:
            self.stream.shaping.settle()
        marked = {id(item) for item in written if isinstance(item, SuspectMarked)}
        for item in written:
            if isinstance(item, (Result, Decision)):
                metrics.count(self.stream.name, item)
                delivery_log.write(self.stream.name, item)
        for _, item in items:
            if isinstance(item, SuspectMarked):
                with contextlib.suppress(RuntimeError):  # its event loop has ended
                    item.on_marked(id(item) in marked)

    def restore(self, items: Sequence[Timed], *, in_doubt: bool) -> None:
        """Keep the items. If the commit succeeded after all, writing skips rows that are no longer ours."""
        with self._lock:
            self._waiting.extendleft(reversed(items))
        self._take_back()
        self._writing_since = None

    def _take_back(self) -> None:
        """Undo what a failed tick changed in memory: the same items are written again."""
        self.stream.lanes.hold(self._released)
        self._released = []
        self.stream.lanes.undo()
        if self.stream.shaping:
            self.stream.shaping.undo()

    def reject(self, item: Timed, error: Exception) -> None:
        """A bug: the row goes back to the queue without a record of this attempt, unless it was sent."""
        claimed = item[1].claimed
        logger.error("The result of %s %d cannot be recorded", self.stream.name, claimed.id, exc_info=error)
        metrics.WORKER_ERRORS.labels(type(error).__name__).inc()
        self._take_back()
        try:
            if self._lease.worker_id is not None:
                self._end_unrecorded(self._lease.worker_id, item[1])
        except DATABASE_AWAY:
            self.restore([item], in_doubt=False)
            return
        self._writing_since = None
        self.stream.lanes.release([claimed])
        if isinstance(item[1], SuspectMarked):
            item[1].on_marked(False)

    def _end_unrecorded(self, worker_id: int, item: Item) -> None:
        queue, claimed, now = self.stream.queue, item.claimed, datetime.now(timezone.utc)
        if not (isinstance(item, Result) and item.outcome.status is DeliveryStatus.SENT):
            queue.defer(worker_id, [(claimed.id, now + AFTER_A_BUG)])
            return
        with transaction.atomic():
            queue.finish(worker_id, [claimed.id])
            if queue.kind is MESSAGES:
                sent = Message.objects.filter(pk=claimed.id)
                sent.update(status=DeliveryStatus.SENT.value, last_attempt_at=now)


def _ids_of(kind: type[Item], items: Sequence[Item]) -> list[int]:
    return [item.claimed.id for item in items if isinstance(item, kind)]


def _was_reached(outcome: Outcome) -> bool:
    """Did the destination answer? A post without an answer has a negative code, and a time all the same."""
    if outcome.code is not None and outcome.code < 0:
        return False
    return outcome.seconds is not None or outcome.status is not DeliveryStatus.DEFERRED


def _asked_wait(result: Result) -> timedelta | None:
    """How long an HTTP receiver asks us to wait. A wait that a mail host names is for one message only."""
    is_named = result.outcome.code in (429, 503) and is_over_http(result.claimed.lane)
    return result.outcome.retry_after if is_named else None


def _store(paces: Mapping[Key, Pace | None]) -> None:
    """Store the paces of destinations, for all workers."""
    for (source, name), pace in sorted(paces.items(), key=itemgetter(0)):
        operator = name.removeprefix(OPERATOR)
        if pace is None:
            DestinationPace.objects.filter(source=source, operator=operator).delete()
            continue
        DestinationPace.objects.update_or_create(
            source=source,
            operator=operator,
            defaults={
                "paused_until": pace.paused_until,
                "reason": pace.reason,
                "rate": pace.rate,
                "concurrency": pace.concurrency,
                "pauses": pace.pauses,
            },
        )
