"""What is known of destinations, and when it is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from postal_server.models import Site

KEPT = timedelta(days=7)  # without a change: no pause lasts so long, and no pace that mail goes at


def prune(now: datetime) -> None:
    """Forget destinations of which nothing new was learned for a week. Runs each night."""
    Site.objects.filter(changed_at__lt=now - KEPT).delete()
