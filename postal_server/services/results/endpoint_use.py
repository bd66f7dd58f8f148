"""Note which endpoints took mail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from postal_server.models import AddressEndpoint, HTTPEndpoint, SMTPEndpoint
from postal_server.rules.status import DeliveryStatus, EndpointType

from .batch import Batch
from .webhook import MARK_INTERVAL

MODELS: Mapping[EndpointType, Any] = {
    EndpointType.HTTP: HTTPEndpoint,
    EndpointType.SMTP: SMTPEndpoint,
    EndpointType.ADDRESS: AddressEndpoint,
}


def apply(batch: Batch) -> None:
    """At most once a minute, as all workers update these rows."""
    used: dict[str, set[int]] = defaultdict(set)
    for entry in batch.entries:
        if entry.message.endpoint_id is not None and entry.status is DeliveryStatus.SENT:
            used[entry.message.endpoint_type].add(entry.message.endpoint_id)
    for kind, ids in sorted(used.items()):
        unmarked = MODELS[EndpointType(kind)].objects.filter(pk__in=sorted(ids))
        unmarked.exclude(last_used_at__gt=batch.now - MARK_INTERVAL).update(last_used_at=batch.now)
