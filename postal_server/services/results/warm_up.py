"""Count what new source addresses have sent. Source: contract 6.9."""

from __future__ import annotations

from postal_server.services.shared import ip_pool
from postal_server.services.shared.work import Result

from .batch import Batch


def apply(batch: Batch) -> None:
    """Messages count for which a connection was made, whatever was answered."""
    if batch.config.postal.use_ip_pools:
        sent = (r for r in batch.results if isinstance(r, Result) and r.outcome.seconds is not None)
        ip_pool.count((result.claimed.source_id for result in sent), batch.directory, batch.now)
