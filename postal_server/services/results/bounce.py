"""Record that mail of ours has bounced: a report came in that says so. Source: contract 7.1."""

from __future__ import annotations

from dataclasses import dataclass

from postal_server.models import Message
from postal_server.rules import suppression as rules
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.rows import update_each
from postal_server.services.shared.work import Effect
from postal_server.wire import webhook as wire

from . import suppression
from .batch import Batch

LINKED = "This has been detected as a bounce message for <msg:{id}>."
BOUNCED = "We've received a bounce message for this e-mail. See <msg:{id}> for details."


@dataclass(frozen=True)
class Bounced(Effect):
    """An outgoing message has bounced, says the report that carries this; for good if `is_hard`."""

    message_id: int
    is_hard: bool = False


def apply(batch: Batch) -> None:
    """Each message that has bounced gets a delivery and the status, and its server's webhooks are told.

    Postal lets nobody off for a report (Q22); one that says the address is no good is worth a rest.
    """
    reports = batch.carrying(Bounced)
    if not reports:
        return
    originals = Message.objects.defer("prefix").in_bulk([bounced.message_id for _, bounced in reports])
    hard: dict[suppression.Recipient, str] = {}
    links: dict[int, tuple[int]] = {}
    named: set[int] = set()  # reports with a delivery that names a message: their own names the first
    for entry, bounced in reports:
        report = entry.message
        if report.id in named:
            batch.add_delivery(report.id, entry.status, LINKED.format(id=bounced.message_id))
        named.add(report.id)
        original = originals.get(bounced.message_id)
        if original is None:
            continue
        links[report.id] = (original.id,)
        if bounced.is_hard:
            hard[original.server_id, original.rcpt_to or ""] = rules.BOUNCED
        batch.add_delivery(original.id, DeliveryStatus.BOUNCED, BOUNCED.format(id=report.id))
        batch.set_status(original.id, DeliveryStatus.BOUNCED)
        batch.tell(wire.BOUNCED, original, report, payload=wire.bounce_payload)
    suppression.add(hard, batch.config, batch.now)
    update_each(Message, ("bounce_for_id",), links)
