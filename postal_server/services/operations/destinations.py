"""What is known of destinations, and when it is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from postal_server.models import DestinationPace, DestinationPause

KEPT = timedelta(days=7)  # without a change: no pause lasts so long, and no pace that mail goes at


def prune(now: datetime) -> None:
    """Forget destinations of which nothing new was learned for a week. Runs each night."""
    for model in (DestinationPause, DestinationPace):
        model._default_manager.filter(changed_at__lt=now - KEPT).delete()
