"""A line of log for each attempt: at level INFO where it did not succeed, at DEBUG where it did.

Lines name messages by their numbers. Addresses and what was said are with the message, not here.
"""

from __future__ import annotations

import logging

from postal_server.rules.label import reason
from postal_server.rules.status import DeliveryStatus
from postal_server.services.work import Decision, Result

logger = logging.getLogger("postal_server.deliveries")

NAMES = {"messages": "message", "webhooks": "webhook request"}
GOOD = {DeliveryStatus.SENT, DeliveryStatus.PROCESSED, DeliveryStatus.BOUNCED}


def write(kind: str, result: Result | Decision) -> None:
    """Log a result that is durable."""
    status = result.outcome.status if isinstance(result, Result) else result.status
    level = logging.DEBUG if status in GOOD else logging.INFO
    if not logger.isEnabledFor(level):
        return
    claimed = result.claimed
    name = NAMES[kind]
    fields = {
        f"{name.replace(' ', '_')}_id": claimed.id,
        "server_id": claimed.server_id,
        "lane": claimed.lane,
        "status": status.value,
        "attempt": claimed.attempts + 1,
    }
    if isinstance(result, Result):
        outcome = result.outcome
        fields |= {
            "reason": reason(outcome),
            "code": outcome.code,
            "seconds": None if outcome.seconds is None else round(outcome.seconds, 3),
            "log_id": outcome.log_id,
        }
    told = f"{fields['reason']} {fields['code'] or ''}".strip() if "reason" in fields else "decided"
    logger.log(
        level, "%s %d: %s for %s (%s)", name, claimed.id, status.value, claimed.lane, told,
        extra={"fields": fields},
    )  # fmt: skip
