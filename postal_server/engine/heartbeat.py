"""The part of a tick that keeps this worker's lease, and ends the leases of dead workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from . import clock, metrics
from .lease import OBSERVE_INTERVAL, YOUNG, YOUNG_INTERVAL, Lease

logger = logging.getLogger(__name__)


class Heartbeat:
    """Keeps the worker's lease, and ends those of the dead."""

    name = "lease"

    def __init__(self, lease: Lease, on_loss: Callable[[], None]) -> None:
        self._lease = lease
        self._on_loss = on_loss
        self._observed_at = float("-inf")
        self._started_at: float | None = None

    def collect(self) -> Sequence[float]:
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
        if reaped := self._lease.reap_dead_workers(clock.seconds()):
            logger.warning("Freed what dead workers held: %s", reaped)
            metrics.WORKERS_REAPED.inc(len(reaped))
        return worker_id

    def committed(self, items: Sequence[float], written: int) -> None:
        is_lost = self._lease.worker_id not in (None, written)
        self._lease.renewed(written, items[0])
        self._observed_at = items[0]
        if is_lost:
            logger.error("This worker was declared dead; it goes on as worker %d", written)
            self._on_loss()

    def restore(self, items: Sequence[float], *, in_doubt: bool) -> None:
        """The next tick beats again."""
        self._lease.give_up_new()

    def reject(self, item: float, error: Exception) -> None:
        logger.error("The worker cannot beat", exc_info=error)
        self._lease.give_up_new()
        self._observed_at = item  # not again at once
