"""Record that messages have bounced, according to a report that came in. Source: contract 7.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from postal_server.models import Delivery, Message
from postal_server.rules.classification import NOBODY_KNOWS, Classification
from postal_server.rules.status import DeliveryStatus
from postal_server.wire import webhook as wire
from postal_server.wire.classification import classification_hash, suppressed_hash

from . import classification
from .batch import Batch
from .report import Reported
from .suppression import Failure, note_failures

BOUNCED = "We've received a bounce message for this e-mail. See <msg:{id}> for details."


@dataclass(frozen=True)
class Bounced(Reported):
    """A message could not be delivered behind the host that took it."""

    classification: Classification = NOBODY_KNOWS


def apply(batch: Batch) -> None:
    """Give each message that bounced a delivery and its status, emit the event, and note the failure.

    In Postal no report suppresses (contract Q22).
    """
    failed = batch.confirmed_of(Bounced)
    for entry, bounced, original in batch.news_of(Bounced):
        failed.append((bounced, original))
        details = BOUNCED.format(id=entry.message.id)
        delivery = batch.add_delivery(original.id, DeliveryStatus.BOUNCED, details)
        batch.set_status(original.id, DeliveryStatus.BOUNCED)
        classification.note(delivery, bounced.classification, bounced.part.diagnostic)
        payload = partial(_payload, batch=batch, bounced=bounced, delivery=delivery)
        batch.emit(wire.BOUNCED, original, entry.message, payload=payload)
    note_failures([_failure(bounced, original, batch) for bounced, original in failed], batch)


def _failure(bounced: Bounced, original: Message, batch: Batch) -> Failure:
    domain = batch.directory.domains.get(original.domain_id or 0)
    return Failure(
        original.server_id,
        original.rcpt_to or "",
        original.id,
        bounced.classification,
        is_strong=bounced.is_strong,
        is_forwarded=bounced.is_forwarded,
        text=bounced.part.diagnostic or "",
        code=bounced.part.status or "",
        sending_domain=domain.name if domain else "",
        stream=original.stream,
    )


def _payload(
    original: Message,
    token: str,
    report: Message,
    report_token: str,
    *,
    batch: Batch,
    bounced: Bounced,
    delivery: Delivery,
) -> Mapping[str, Any]:
    """Of `MessageBounced`. The report's own status stands where its diagnostic has none."""
    found = classification_hash(delivery, suppressed_hash(batch.suppressed.get(original.id)))
    if found is not None and bounced.part.status:
        found["enhanced_status"] = bounced.part.status
    return wire.bounce_payload(original, token, report, report_token, classification=found, reported=bounced)
