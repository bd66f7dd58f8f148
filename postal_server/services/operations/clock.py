"""Let tests skip waiting: bring forward what waits for its time."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from postal_server.models import QueuedMessage, WebhookRequest
from postal_server.models.queue_state import QueueState


def advance(server_id: int, by: timedelta) -> int:
    """Bring a server's deferred attempts forward by `by`, and say how many there are.

    The retry schedule itself is untouched: what was due in five minutes is due in four after a minute.
    Suspended mail stays suspended.
    """
    deferred = 0
    for model in (QueuedMessage, WebhookRequest):
        rows = model.objects.filter(QueueState.DEFERRED.rows, server_id=server_id)
        deferred += rows.update(due_at=F("due_at") - by)
    return deferred
