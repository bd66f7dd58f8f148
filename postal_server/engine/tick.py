"""What a worker does in each tick of the journal: beat, record what finished, claim what it has room for."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from operator import itemgetter

from django.db import connection, transaction
from django.db.models import Q

from postal_server.models import Message, Site
from postal_server.rules.outcome import Outcome
from postal_server.rules.retry import LONGEST_NAMED_WAIT
from postal_server.rules.shaping import LONGEST_PAUSE, Pace
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results.failure_notice import GIVEN_UP
from postal_server.services.shared.work import Claimed, Decision, Recorded, Result

from . import clock, delivery_log, metrics
from .clock import WallClock
from .database import DATABASE_AWAY
from .lanes import Lanes
from .lease import OBSERVE_INTERVAL, YOUNG, YOUNG_INTERVAL, Lease
from .queue import MESSAGES, SUSPECT_CLAIMS, WEBHOOKS, Queue
from .shaping import Key, Row, Shaping

logger = logging.getLogger(__name__)

TICK_RESULTS = 500
TICK_CLAIMS = 200
TICK_PROMOTIONS = 500
TICK_EXPIRIES = 100
CHORES_INTERVAL = 1.0  # seconds between looks at what is due, what has expired, and what is paused
# So old may an outcome get before nothing more is sent: it bounds what is sent twice if we die now.
RECORD_WITHIN = 5.0
# What could not be recorded, for a bug of ours, is tried again after this.
AFTER_A_BUG = timedelta(minutes=5)

Done = Result | Decision
Record = Callable[[Sequence[Done], datetime], Recorded]
Sources = Callable[[datetime], Mapping[int, int | None]]
# Those of the claimed rows that an operator suspended, by their ids.
Suspended = Callable[[Sequence[Claimed]], Collection[int]]


class Beating:
    """Keeps the worker's lease, and ends those of the dead."""

    name = "lease"

    def __init__(self, lease: Lease, on_loss: Callable[[], None]) -> None:
        self._lease = lease
        self._on_loss = on_loss
        self._observed_at = float("-inf")
        self._started_at: float | None = None

    def take(self) -> Sequence[float]:
        now = clock.seconds()
        if self._started_at is None:
            self._started_at = now
        interval = YOUNG_INTERVAL if now - self._started_at < YOUNG else OBSERVE_INTERVAL
        is_due = self._lease.is_beat_due(now) or now - self._observed_at >= interval
        return [now] if is_due else []

    def write(self, items: Sequence[float], now: datetime) -> int:
        worker_id = self._lease.worker_id
        if worker_id is None or not self._lease.beat():
            worker_id = self._lease.register(now)
        if buried := self._lease.bury_the_dead(clock.seconds()):
            logger.warning("Freed what dead workers held: %s", buried)
            metrics.WORKERS_BURIED.inc(len(buried))
        return worker_id

    def committed(self, items: Sequence[float], written: int) -> None:
        is_lost = self._lease.worker_id not in (None, written)
        self._lease.take(written, items[0])
        self._observed_at = items[0]
        if is_lost:
            logger.error("This worker was declared dead; it goes on as worker %d", written)
            self._on_loss()

    def put_back(self, items: Sequence[float], *, in_doubt: bool) -> None:
        """The next tick beats again."""
        self._lease.give_up_new()

    def refused(self, item: float, error: Exception) -> None:
        logger.error("The worker cannot beat", exc_info=error)
        self._lease.give_up_new()
        self._observed_at = item  # not again at once


@dataclass
class Share:
    """What a worker holds of one kind of row, and how its results are recorded.

    `shaping` says how fast they are sent, null for rows that nobody slows down; `sources` are the ids of the
    source addresses that this worker sends from, and how many messages each may still send today.
    """

    queue: Queue
    lanes: Lanes
    record: Record
    suspended: Suspended
    shaping: Shaping | None = None
    sources: Sources = lambda now: {0: None}

    @property
    def name(self) -> str:
        return self.queue.kind.name


@dataclass(frozen=True)
class Accused:
    """A suspect that is to be prepared alone. `told` hears once whether that is durable, and it may be."""

    claimed: Claimed
    told: Callable[[bool], object]


@dataclass(frozen=True)
class Cleared:
    """A suspect that was prepared without harm."""

    claimed: Claimed


@dataclass(frozen=True)
class Returned:
    """A row that is given back untried."""

    claimed: Claimed


@dataclass(frozen=True)
class Delayed:
    """A row that is given back untried until a time, because its destination is sent to slowly."""

    claimed: Claimed
    due_at: datetime


Item = Done | Accused | Cleared | Returned | Delayed
Timed = tuple[float, Item]  # when it was known, what


class Recording:
    """Records results and ends the claims on their rows. Never loses one while the database is away."""

    def __init__(self, share: Share, lease: Lease, wake: Callable[[], None]) -> None:
        self.name = f"{share.name} recorded"
        self._share = share
        self._lease = lease
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: deque[Timed] = deque()
        self._writing_since: float | None = None
        self._released: list[Claimed] = []  # by this tick: claims in the same tick use their room
        self.on_take: list[Callable[[], None]] = []  # whose claims this tick makes room or work for

    def add(self, done: Sequence[Item]) -> None:
        """Record these with the next tick. For any thread."""
        now = clock.seconds()
        with self._lock:
            self._waiting.extend((now, item) for item in done)
        self._wake()

    def is_timely(self, now: float) -> bool:
        """Are results recorded soon enough to send more?"""
        with self._lock:
            waiting = self._waiting[0][0] if self._waiting else None
        since = self._writing_since if self._writing_since is not None else waiting
        return since is None or now - since < RECORD_WITHIN

    def is_empty(self) -> bool:
        with self._lock:
            return not self._waiting and self._writing_since is None

    def take(self) -> Sequence[Timed]:
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(TICK_RESULTS, len(self._waiting)))]
        if taken:
            self._writing_since = taken[0][0]
            for want in self.on_take:
                want()
        return taken

    def write(self, items: Sequence[Timed], now: datetime) -> list[Item]:
        """Write those whose rows are still ours; the result names them."""
        queue, worker_id = self._share.queue, self._lease.worker_id
        self._take_back()
        # After a lost lease the same row may be ours again, by another claim that is still under way.
        known = [item for _, item in items if self._share.lanes.holds(item.claimed)]
        self._released = [item.claimed for item in known if not isinstance(item, (Accused, Cleared))]
        self._share.lanes.release(self._released)
        if self._share.shaping:
            self._share.shaping.ended(self._released)
        held = queue.still_held(worker_id, [item.claimed.id for item in known])
        ours = [item for item in known if item.claimed.id in held]
        if worker_id is None or not ours:
            return []
        done = [item for item in ours if isinstance(item, (Result, Decision))]
        if done:
            recorded = self._share.record(done, now)
            queue.finish(worker_id, recorded.finished)
            queue.defer(worker_id, recorded.deferred)
            metrics.NOTICES_WITHHELD.inc(recorded.withheld_notices)
            self._note(done, now)
        queue.accuse(worker_id, [item.claimed.id for item in ours if isinstance(item, Accused)])
        queue.clear(worker_id, [item.claimed.id for item in ours if isinstance(item, Cleared)])
        if returned := [item.claimed.id for item in ours if isinstance(item, Returned)]:
            queue.release(worker_id, returned)
        queue.delay(worker_id, [(item.claimed.id, item.due_at) for item in ours if isinstance(item, Delayed)])
        return ours

    def _note(self, done: Sequence[Done], now: datetime) -> None:
        """Pause the lanes of destinations that cannot be reached, and take up those that can."""
        lanes = self._share.lanes
        tried = [
            item
            for item in done
            if isinstance(item, Result) and item.outcome.status is not DeliveryStatus.ERROR
        ]
        if self._share.shaping:
            _store(self._share.shaping.learn(tried, now))
        changed = {}
        for item in tried:
            lane, outcome = item.claimed.lane, item.outcome
            if wait := _asked_wait(item):
                is_changed = lanes.leave_alone(lane, wait, now)
            else:
                is_changed = lanes.note(lane, was_reached=_was_reached(outcome), now=now)
            if is_changed:
                changed[lane] = (outcome.output or outcome.details)[:250]
        for lane in sorted(changed):  # all workers in one order: none waits for another that waits for it
            pause = lanes.pause(lane)
            Site.objects.update_or_create(
                source="",
                destination=lane,
                defaults={
                    "paused_until": pause.until if pause else None,
                    "reason": changed[lane] if pause else "",
                },
            )

    def committed(self, items: Sequence[Timed], written: list[Item]) -> None:
        self._writing_since = None
        self._released = []
        self._share.lanes.settle()
        if self._share.shaping:
            self._share.shaping.settle()
        accused = {id(item) for item in written if isinstance(item, Accused)}
        for item in written:
            if isinstance(item, (Result, Decision)):
                metrics.count(self._share.name, item)
                delivery_log.write(self._share.name, item)
        for _, item in items:
            if isinstance(item, Accused):
                with contextlib.suppress(RuntimeError):  # the loop has ended that it was for
                    item.told(id(item) in accused)

    def put_back(self, items: Sequence[Timed], *, in_doubt: bool) -> None:
        """Keep them. Should they be recorded after all, the rows are not ours any more: no harm is done."""
        with self._lock:
            self._waiting.extendleft(reversed(items))
        self._take_back()
        self._writing_since = None

    def _take_back(self) -> None:
        """What a tick changed in memory before it failed: the same items are written again."""
        self._share.lanes.hold(self._released)
        self._released = []
        self._share.lanes.unlearn()
        if self._share.shaping:
            self._share.shaping.unlearn()

    def refused(self, item: Timed, error: Exception) -> None:
        """A bug: the row goes back to the queue without a record of this attempt, unless it was sent."""
        claimed = item[1].claimed
        logger.error("The result of %s %d cannot be recorded", self._share.name, claimed.id, exc_info=error)
        metrics.WORKER_ERRORS.labels(type(error).__name__).inc()
        self._take_back()
        try:
            if self._lease.worker_id is not None:
                self._end_unrecorded(self._lease.worker_id, item[1])
        except DATABASE_AWAY:
            self.put_back([item], in_doubt=False)
            return
        self._writing_since = None
        self._share.lanes.release([claimed])
        if isinstance(item[1], Accused):
            item[1].told(False)

    def _end_unrecorded(self, worker_id: int, item: Item) -> None:
        queue, claimed, now = self._share.queue, item.claimed, datetime.now(timezone.utc)
        if not (isinstance(item, Result) and item.outcome.status is DeliveryStatus.SENT):
            queue.defer(worker_id, [(claimed.id, now + AFTER_A_BUG)])
            return
        with transaction.atomic():
            queue.finish(worker_id, [claimed.id])
            if queue.kind is MESSAGES:
                sent = Message.objects.filter(pk=claimed.id)
                sent.update(status=DeliveryStatus.SENT.value, last_attempt_at=now)


@dataclass
class Claims:
    """What a tick claimed. `poison` and `expired` are not to be tried; `suspects` one at a time.

    `suspended` are the ids of rows that were given back, to wait until they are resumed.
    """

    fresh: list[Claimed] = field(default_factory=list)
    suspects: list[Claimed] = field(default_factory=list)
    poison: list[Claimed] = field(default_factory=list)
    expired: list[Claimed] = field(default_factory=list)
    suspended: Collection[int] = ()


class Claiming:
    """Claims rows for the pipeline whenever there is room, and brings back what is due."""

    def __init__(self, share: Share, lease: Lease, hand_over: Callable[[Claims], None]) -> None:
        self.name = f"{share.name} claimed"
        self._share = share
        self._lease = lease
        self._hand_over = hand_over
        self._is_wanted = True  # is there reason to believe that something is ready?
        self._is_doubtful = False
        self._chores_at = float("-inf")
        self._clock = WallClock()
        self._version: int | None = None
        self._last_source = -1
        self._has_seen_all = True  # did the last claim look at all that is ready?
        self.is_stopped = False

    def want(self) -> None:
        """Rows may be ready, or room may be free."""
        self._is_wanted = True

    def take(self) -> Sequence[float]:
        now = clock.seconds()
        if self.is_stopped or not self._lease.is_held(now):
            return []
        chores_due = now - self._chores_at >= CHORES_INTERVAL
        if not self._is_wanted and not chores_due:
            self._is_wanted = self._others_wrote()
        return [now] if chores_due or (self._is_wanted and self._share.lanes.space) else []

    def _others_wrote(self) -> bool:
        """Has another connection changed the database? SQLite knows (3 us); elsewhere it may always be."""
        if connection.vendor != "sqlite":
            return True
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            (version,) = cursor.fetchone()
        known, self._version = self._version, int(version)
        return self._version != known

    def write(self, items: Sequence[float], now: datetime) -> tuple[Claims, bool]:
        share, worker_id = self._share, self._lease.worker_id
        claims = Claims()
        is_more = False
        if worker_id is None or self._lease.is_new:
            return claims, False
        if self._is_doubtful:
            share.queue.release_unknown(worker_id, share.lanes.held)
        if items[0] - self._chores_at >= CHORES_INTERVAL:
            self._clock.look(now, items[0])
            is_more = share.queue.promote(now, TICK_PROMOTIONS) == TICK_PROMOTIONS
            if self._clock.was_set_back:
                is_more |= self._bring_forward(now) == TICK_PROMOTIONS
            if not self._clock.is_doubtful(items[0]):
                claims.expired = share.queue.take_expired(worker_id, now, TICK_EXPIRIES)
                is_more |= TICK_EXPIRIES == len(claims.expired) < share.lanes.space
            self._read_sites(now)
        if limit := min(TICK_CLAIMS, share.lanes.space):
            claimed = self._claim(worker_id, limit, now)
            # Mostly none: they are kept out of the way of claims. But whoever makes rows ready may not know.
            claims.suspended = share.suspended(claimed)
            share.queue.suspend(worker_id, claims.suspended)
            self._sort(claims, [row for row in claimed if row.id not in claims.suspended])
        return claims, is_more

    def _claim(self, worker_id: int, limit: int, now: datetime) -> list[Claimed]:
        """Rows of the next source address that has any ready; those bound to none have their turn too."""
        share = self._share
        sources = share.sources(now)
        self._has_seen_all = True
        turns = sorted(sources, key=lambda source: (source <= self._last_source, source))
        for source in turns:
            left = sources[source]
            room = limit if left is None else min(limit, left - share.lanes.held_from(source))
            if room <= 0:
                continue
            if claimed := share.queue.claim(worker_id, share.lanes, room, now, source):
                self._last_source = source
                return claimed
            self._has_seen_all &= share.queue.has_seen_all
        return []

    def _bring_forward(self, now: datetime) -> int:
        """Let nothing wait longer than it could if the clock had always been right; how many rows did."""
        latest = now + LONGEST_PAUSE
        Site.objects.filter(paused_until__gt=latest).update(paused_until=latest)
        return self._share.queue.bring_forward(now + LONGEST_NAMED_WAIT, TICK_PROMOTIONS)

    def _read_sites(self, now: datetime) -> None:
        """Take over what all workers know: who cannot be reached, and who wants us to go slower."""
        known = Site.objects.filter(Q(paused_until__isnull=False) | Q(concurrency__isnull=False))
        sites = list(known)
        pauses = {
            site.destination: site.paused_until
            for site in sites
            if site.paused_until and site.concurrency is None
        }
        self._share.lanes.set_pauses(pauses)
        metrics.PAUSED.set(sum(until > now for until in pauses.values()))
        if self._share.shaping:
            self._share.shaping.load(_row(site) for site in sites if site.concurrency is not None)

    @staticmethod
    def _sort(claims: Claims, claimed: Sequence[Claimed]) -> None:
        for row in claimed:
            if row.claims > SUSPECT_CLAIMS:
                claims.poison.append(row)
            elif row.claims == SUSPECT_CLAIMS:
                claims.suspects.append(row)
            else:
                claims.fresh.append(row)

    def committed(self, items: Sequence[float], written: tuple[Claims, bool]) -> None:
        claims, is_more = written
        self._is_doubtful = False
        if items[0] - self._chores_at >= CHORES_INTERVAL and not is_more:
            self._chores_at = items[0]
            self._clock.was_set_back = False
        claimed = [*claims.fresh, *claims.suspects, *claims.poison, *claims.expired]
        # Until a claim finds nothing: not in the lanes that it saw, nor in any behind them.
        self._is_wanted = bool(claimed or claims.suspended) or not self._has_seen_all
        self._share.lanes.hold(claimed)
        metrics.IN_FLIGHT.labels(self._share.name).set(len(self._share.lanes.held))
        if claimed:
            self._hand_over(claims)

    def put_back(self, items: Sequence[float], *, in_doubt: bool) -> None:
        """Nothing is kept: the rows were not claimed; or nobody knows, and the next claim gives them back."""
        self._is_doubtful = self._is_doubtful or in_doubt
        self._is_wanted = True

    def refused(self, item: float, error: Exception) -> None:
        logger.error("Nothing can be claimed from %s", self._share.name, exc_info=error)
        metrics.WORKER_ERRORS.labels(type(error).__name__).inc()
        self._is_wanted = False
        self._chores_at = item


def _was_reached(outcome: Outcome) -> bool:
    """Did anybody answer? A post that nobody took has a negative code, and the time that it waited."""
    if outcome.code is not None and outcome.code < 0:
        return False
    return outcome.seconds is not None or outcome.status is not DeliveryStatus.DEFERRED


def _asked_wait(result: Result) -> timedelta | None:
    """How long a receiver of posts asks to be left alone. A mail host that names a wait means one mail."""
    is_post = result.claimed.lane.startswith(("http:", WEBHOOKS.prefix))
    return result.outcome.retry_after if is_post and result.outcome.code in (429, 503) else None


def _store(paces: Mapping[Key, Pace | None]) -> None:
    """Let all workers know how fast destinations are sent to."""
    for (source, destination), pace in sorted(paces.items(), key=itemgetter(0)):
        if pace is None:
            Site.objects.filter(source=source, destination=destination).delete()
            continue
        Site.objects.update_or_create(
            source=source,
            destination=destination,
            defaults={
                "paused_until": pace.paused_until,
                "reason": pace.reason,
                "rate": pace.rate,
                "concurrency": pace.concurrency,
                "pauses": pace.pauses,
            },
        )


def _row(site: Site) -> Row:
    return Row(
        site.source,
        site.destination,
        site.paused_until,
        site.rate or 0.0,
        site.concurrency or 1,
        site.pauses,
        site.reason,
    )


def verdict(claimed: Claimed, kind: str) -> Decision:
    """What becomes of poison: held for a person to look at, or, with nobody to release it, failed."""
    metrics.POISON.labels(kind).inc()
    return Decision(
        claimed,
        DeliveryStatus.HELD if kind == "messages" else DeliveryStatus.FAILED,
        "Held because workers stopped while they processed this message."
        if kind == "messages"
        else "Workers stopped while they processed this request.",
    )


def expiry(claimed: Claimed, kind: str) -> Decision:
    """What becomes of a row whose lifetime is over. Whoever sent us the mail is told."""
    is_message = kind == "messages"
    return Decision(
        claimed,
        DeliveryStatus.FAILED,
        f"The maximum lifetime of this {'message' if is_message else 'request'} has been reached.",
        effects=(GIVEN_UP,) if is_message else (),
    )
