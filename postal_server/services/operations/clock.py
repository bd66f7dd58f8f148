"""Let tests skip waiting: move what waits for its time, or grows older, as if time had passed."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from postal_server.models import FailureEvidence, QueuedMessage, Suppression, WebhookRequest
from postal_server.models.queue_state import QueueState


def advance(server_id: int, by: timedelta) -> int:
    """Let `by` pass for a server's queue and suppression list; how many deferred attempts there are.

    The retry schedule itself is untouched: what was due in five minutes is due in four after a minute.
    Suspended mail stays suspended.
    """
    deferred = 0
    for model in (QueuedMessage, WebhookRequest):
        rows = model.objects.filter(QueueState.DEFERRED.rows, server_id=server_id)
        deferred += rows.update(due_at=F("due_at") - by, expires_at=F("expires_at") - by)
    FailureEvidence.objects.filter(server_id=server_id).update(created_at=F("created_at") - by)
    times = {name: F(name) - by for name in ("created_at", "keep_until", "ended_at")}
    Suppression.objects.filter(server_id=server_id).update(**times)
    return deferred
