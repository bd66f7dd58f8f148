"""A line of log for each message and each attempt: at level INFO where one did not succeed, else at DEBUG.

Lines name messages by their numbers. Addresses and replies are stored with the message, not here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from postal_server.rules.label import reason
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Accepted, Decision, Result, Stored

logger = logging.getLogger("postal_server.deliveries")

NAMES = {"messages": "message", "webhooks": "webhook request"}
GOOD = {DeliveryStatus.SENT, DeliveryStatus.PROCESSED, DeliveryStatus.BOUNCED}


def write_accepted(submissions: Sequence[Accepted], stored: Sequence[Stored]) -> None:
    """Log messages that are durable; `stored` are those of all submissions, in order."""
    if not logger.isEnabledFor(logging.DEBUG):
        return
    new = [(message, len(accepted.raw)) for accepted in submissions for message in accepted.messages]
    for (message, size), each in zip(new, stored, strict=True):
        fields = {"message_id": each.id, "server_id": message.server_id, "size": size}
        logger.debug("message %d: accepted (%d bytes)", each.id, size, extra={"fields": fields})


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
    why = f"{fields['reason']} {fields['code'] or ''}".strip() if "reason" in fields else "decided"
    logger.log(
        level, "%s %d: %s for %s (%s)", name, claimed.id, status.value, claimed.lane, why,
        extra={"fields": fields},
    )  # fmt: skip
