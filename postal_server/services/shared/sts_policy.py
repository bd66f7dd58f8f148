"""Store the MTA-STS policies that workers have fetched."""

from __future__ import annotations

from datetime import datetime

from postal_server.models import StsPolicy

from .work import KeptPolicy

MOST = 10_000  # as many as a worker remembers


def load(now: datetime) -> list[KeptPolicy]:
    """The policies that have not expired, the latest first."""
    rows = StsPolicy.objects.filter(expires_at__gt=now).order_by("-fetched_at")[:MOST]
    return [KeptPolicy(row.domain, row.record_id, row.text, row.fetched_at, row.expires_at) for row in rows]


def save(policy: KeptPolicy, now: datetime) -> None:
    """Store the policy in place of the domain's former one, and delete those that have expired."""
    StsPolicy.objects.update_or_create(
        domain=policy.domain,
        defaults={
            "record_id": policy.record_id,
            "text": policy.text,
            "fetched_at": policy.fetched_at,
            "expires_at": policy.expires_at,
        },
    )
    StsPolicy.objects.filter(expires_at__lte=now).delete()
