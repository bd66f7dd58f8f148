"""Tell that a host which has taken a message is still trying to pass it on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from postal_server.models import Delivery
from postal_server.rules.classification import NOBODY_KNOWS, Classification
from postal_server.rules.status import DeliveryStatus
from postal_server.wire import webhook as wire

from . import classification
from .batch import Batch
from .report import Reported

DETAILS = "We've received a notice that this e-mail is delayed. See <msg:{id}> for details."


@dataclass(frozen=True)
class Delayed(Reported):
    """A message is delayed on its way behind the host that took it."""

    classification: Classification = NOBODY_KNOWS


def apply(batch: Batch) -> None:
    """Emit the event, for webhooks that get what Postal lacks. The message stays as it is."""
    for entry, reported, original in batch.news_of(Delayed):
        delivery = Delivery(
            message_id=original.id,
            status=DeliveryStatus.DEFERRED.value,
            details=DETAILS.format(id=entry.message.id),
            created_at=batch.now,
        )
        classification.note(delivery, reported.classification, reported.part.diagnostic)
        payload = partial(wire.delivery_payload, delivery=delivery)
        batch.emit(wire.DELAYED, original, payload=payload, is_beyond_postal=True)
