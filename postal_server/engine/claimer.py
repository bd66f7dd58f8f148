"""The part of a tick that claims rows for the pipeline, as many as there is room for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Value

from postal_server.models import DestinationPace, DestinationPause
from postal_server.models.queue_state import QueueState, state_of_claim
from postal_server.rules.retry import LONGEST_NAMED_WAIT
from postal_server.rules.shaping import LONGEST_PAUSE
from postal_server.services.shared.work import Claimed

from . import clock, metrics
from .clock import WallClock
from .lease import Lease
from .shaping import Row
from .work_stream import Claims, WorkStream

logger = logging.getLogger(__name__)

TICK_CLAIMS = 200
TICK_PROMOTIONS = 500
TICK_EXPIRIES = 100
CHORES_INTERVAL = 1.0  # seconds between looks at what is due, what has expired, and what is paused


class Claimer:
    """Claims rows for the pipeline whenever there is room, and makes rows ready that are due."""

    def __init__(self, stream: WorkStream, lease: Lease, hand_over: Callable[[Claims], None]) -> None:
        self.name = f"{stream.name} claimed"
        self._stream = stream
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
        """Note that rows may be ready, or that room may be free."""
        self._is_wanted = True

    def collect(self) -> Sequence[float]:
        now = clock.seconds()
        if self.is_stopped or not self._lease.is_held(now):
            return []
        chores_due = now - self._chores_at >= CHORES_INTERVAL
        if not self._is_wanted and not chores_due:
            self._is_wanted = self._others_wrote()
        return [now] if chores_due or (self._is_wanted and self._stream.lanes.space) else []

    def _others_wrote(self) -> bool:
        """Has another connection changed the database? SQLite can tell (in 3 us); elsewhere assume so."""
        if connection.vendor != "sqlite":
            return True
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            (version,) = cursor.fetchone()
        known, self._version = self._version, int(version)
        return self._version != known

    def write(self, items: Sequence[float], now: datetime) -> tuple[Claims, bool]:
        stream, worker_id = self._stream, self._lease.worker_id
        claims = Claims()
        is_more = False
        if worker_id is None or self._lease.is_new:
            return claims, False
        if self._is_doubtful:
            stream.queue.release_unknown(worker_id, stream.lanes.held)
        if items[0] - self._chores_at >= CHORES_INTERVAL:
            self._clock.look(now, items[0])
            is_more = stream.queue.promote(now, TICK_PROMOTIONS) == TICK_PROMOTIONS
            if self._clock.was_set_back:
                is_more |= self._bring_forward(now) == TICK_PROMOTIONS
            if not self._clock.is_doubtful(items[0]):
                claims.expired = stream.queue.take_expired(worker_id, now, TICK_EXPIRIES)
                is_more |= TICK_EXPIRIES == len(claims.expired) < stream.lanes.space
            self._read_back_offs(now)
        if limit := min(TICK_CLAIMS, stream.lanes.space):
            claimed = self._claim(worker_id, limit, now)
            # Mostly none: suspended rows are not ready. But a process may not have heard of a suspension yet
            # when it makes rows ready.
            claims.suspended = stream.services.suspended(claimed)
            stream.queue.suspend(worker_id, claims.suspended)
            self._sort(claims, [row for row in claimed if row.id not in claims.suspended])
        return claims, is_more

    def _claim(self, worker_id: int, limit: int, now: datetime) -> list[Claimed]:
        """Claim rows of the next source address that has any ready; `ANY_SOURCE` has its turn too."""
        stream = self._stream
        sources = stream.sources(now)
        self._has_seen_all = True
        turns = sorted(sources, key=lambda source: (source <= self._last_source, source))
        for source in turns:
            left = sources[source]
            room = limit if left is None else min(limit, left - stream.lanes.held_from(source))
            if room <= 0:
                continue
            if claimed := stream.queue.claim(worker_id, stream.lanes, room, now, source):
                self._last_source = source
                return claimed
            self._has_seen_all &= stream.queue.has_seen_all
        return []

    def _bring_forward(self, now: datetime) -> int:
        """Limit waits that were set while the clock was ahead; returns how many rows were brought forward."""
        latest = now + LONGEST_PAUSE
        for model in (DestinationPause, DestinationPace):
            model._default_manager.filter(paused_until__gt=latest).update(paused_until=latest)
        return self._stream.queue.bring_forward(now + LONGEST_NAMED_WAIT, TICK_PROMOTIONS)

    def _read_back_offs(self, now: datetime) -> None:
        """Load the pauses and paces of destinations that all workers share."""
        pauses, paces = _back_offs()
        self._stream.lanes.set_pauses(pauses)
        metrics.PAUSED.set(sum(until > now for until in pauses.values()))
        if self._stream.shaping:
            self._stream.shaping.load(paces)

    @staticmethod
    def _sort(claims: Claims, claimed: Sequence[Claimed]) -> None:
        for row in claimed:
            state = state_of_claim(row.claims)
            if state is QueueState.POISON:
                claims.poison.append(row)
            elif state is QueueState.SUSPECT:
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
        # Claim again until a claim that has seen all lanes finds nothing.
        self._is_wanted = bool(claimed or claims.suspended) or not self._has_seen_all
        self._stream.lanes.hold(claimed)
        metrics.IN_FLIGHT.labels(self._stream.name).set(len(self._stream.lanes.held))
        if claimed:
            self._hand_over(claims)

    def restore(self, items: Sequence[float], *, in_doubt: bool) -> None:
        """Keep nothing: the rows were not claimed, or if that is in doubt, the next claim gives them back."""
        self._is_doubtful = self._is_doubtful or in_doubt
        self._is_wanted = True

    def reject(self, item: float, error: Exception) -> None:
        logger.error("Nothing can be claimed from %s", self._stream.name, exc_info=error)
        metrics.WORKER_ERRORS.labels(type(error).__name__).inc()
        self._is_wanted = False
        self._chores_at = item


def _back_offs() -> tuple[dict[str, datetime], list[Row]]:
    """The pauses, by destination, and the paces that all workers share; one statement for both tables."""
    paces = DestinationPace.objects.values_list(
        Value("pace"), "operator", "paused_until", "source", "rate", "concurrency", "pauses", "reason"
    )
    pauses = DestinationPause.objects.values_list(
        Value("pause"), "destination", "paused_until", Value(""), Value(0.0), Value(0), Value(0), Value("")
    )
    paused, paced = {}, []
    for table, name, paused_until, source, rate, concurrency, count, reason in paces.union(pauses, all=True):
        if table == "pause":
            paused[name] = paused_until
        else:
            paced.append(Row(source, name, paused_until, rate, concurrency, count, reason))
    return paused, paced
