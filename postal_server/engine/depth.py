"""The depth of the queues, as gauges of a worker's metrics."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta, timezone

from django.db.models import Count, Min, Q

from postal_server.models import DestinationPause, WebhookRequest
from postal_server.models.queue_state import QueueState
from postal_server.rules.retry import WEBHOOK_LIFETIME

from . import metrics
from .database import DATABASE_AWAY, checked_connection
from .queue import MESSAGES, WEBHOOKS, Kind

logger = logging.getLogger(__name__)

AGES = (60, 300, 3600, 21_600, 86_400)  # seconds
MEASURED_FOR = 10.0  # seconds for which a measurement is valid


class Depth:
    """Measures at most every ten seconds; `lifetime` is that of messages.

    All counts use an index, so that a million rows cost a fraction of a second. Ages are computed from
    `expires_at`, which is indexed too; the age of a message that a person released counts from its release.
    """

    def __init__(self, lifetime: timedelta) -> None:
        self._lifetimes = {MESSAGES.name: lifetime, WEBHOOKS.name: WEBHOOK_LIFETIME}
        self._measured_at = float("-inf")
        self._lock = threading.Lock()

    def measure(self) -> None:
        """Set the gauges, for any thread. While the database is away they keep their values.

        If another thread is measuring, return at once: the last values are good enough.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._measured_at < MEASURED_FOR:
                return
            try:
                with checked_connection():
                    self._measure(datetime.now(timezone.utc))
            except DATABASE_AWAY as error:
                logger.warning("The queues cannot be measured (%s)", error)
            self._measured_at = time.monotonic()
        finally:
            self._lock.release()

    def _measure(self, now: datetime) -> None:
        for kind in (MESSAGES, WEBHOOKS):
            self._measure_kind(kind, now)
        waiting = WebhookRequest.objects.order_by().values("webhook_id").distinct().count()
        pauses = DestinationPause.objects.filter(paused_until__gt=now)
        paused = pauses.filter(destination__startswith=WEBHOOKS.prefix).count()
        metrics.WEBHOOK_LANES.labels("waiting").set(waiting)
        metrics.WEBHOOK_LANES.labels("paused").set(paused)

    def _measure_kind(self, kind: Kind, now: datetime) -> None:
        rows = kind.model._default_manager.order_by()
        born = now + self._lifetimes[kind.name]  # when a row that is made now would expire
        older = {
            f"older_{age}": Count("pk", filter=Q(expires_at__lt=born - timedelta(seconds=age)))
            for age in AGES
        }
        counted = rows.aggregate(all=Count("pk"), oldest=Min("expires_at"), **older)
        states = {
            "deferred": rows.filter(QueueState.DEFERRED.rows).count(),
            "suspended": rows.filter(QueueState.SUSPENDED.rows).count(),
            "in flight": rows.filter(QueueState.CLAIMED.rows).count(),
        }
        states["ready"] = max(0, counted["all"] - sum(states.values()))
        for state, count in states.items():
            metrics.QUEUED.labels(kind.name, state).set(count)
        for age in AGES:
            metrics.QUEUED_OLDER.labels(kind.name, str(age)).set(counted[f"older_{age}"])
        oldest = counted["oldest"]
        metrics.OLDEST.labels(kind.name).set(max(0.0, (born - oldest).total_seconds()) if oldest else 0)
