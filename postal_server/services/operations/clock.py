"""Let tests skip waiting: bring forward what waits for its time."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from postal_server.models import QueuedMessage, WebhookRequest


def advance(server_id: int, by: timedelta) -> int:
    """Bring a server's waiting attempts forward by `by`, and say how many there are.

    The retry schedule itself is untouched: what was due in five minutes is due in four after a minute.
    """
    waiting = 0
    for model in (QueuedMessage, WebhookRequest):
        rows = model.objects.filter(server_id=server_id, due_at__isnull=False)
        waiting += rows.update(due_at=F("due_at") - by)
    return waiting
