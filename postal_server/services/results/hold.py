"""Note why messages are held and until when, and tell of holds that ended. Source: contract 6.6, Q40."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from postal_server.conf import Config
from postal_server.rules.hold import HoldEnd
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Decision, Effect
from postal_server.wire import our_events

from .batch import Batch


@dataclass(frozen=True)
class HoldEnded(Effect):
    """The message was held, and is not sent."""

    by: HoldEnd


def apply(batch: Batch) -> None:
    """Set reason and expiry on the messages that are held, for events; `message_update` writes them.

    The event tells of mail that is not sent: what is released has the events of its next attempt.
    """
    for entry in batch.entries:
        if entry.status is DeliveryStatus.HELD and isinstance(entry.result, Decision):
            reason = entry.result.hold_reason
            entry.message.hold_reason = reason.value if reason else ""
            entry.message.hold_expires_at = batch.now + lasts(batch.config, entry.message.hold_reason)
    for entry, ended in batch.carrying(HoldEnded):
        payload = partial(
            our_events.hold_cancelled_payload, hold_reason=entry.message.hold_reason, by=ended.by.value
        )
        batch.emit(our_events.HOLD_CANCELLED, entry.message, payload=payload)


def lasts(config: Config, reason: str) -> timedelta:
    """How long a hold for this reason lasts."""
    days = dict(config.hold.expiry).get(reason, config.postal.default_maximum_hold_expiry_days)
    return timedelta(days=days)
