"""Record that messages have bounced, according to a report that came in. Source: contract 7.1."""

from __future__ import annotations

from dataclasses import dataclass

from postal_server.models import Message
from postal_server.rules.classification import Classification
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.rows import update_each
from postal_server.services.shared.work import Effect
from postal_server.wire import webhook as wire

from .batch import Batch
from .suppression import Failure, note_failures

LINKED = "This has been detected as a bounce message for <msg:{id}>."
BOUNCED = "We've received a bounce message for this e-mail. See <msg:{id}> for details."


@dataclass(frozen=True)
class Bounced(Effect):
    """An outgoing message has bounced, according to the report that carries this.

    `is_hard`: its recipient cannot be reached at all.
    """

    message_id: int
    is_hard: bool = False


def apply(batch: Batch) -> None:
    """Give each message that bounced a delivery and its status, and emit the event.

    Hard bounces suppress the recipient; in Postal no report does (contract Q22).
    """
    reports = batch.carrying(Bounced)
    if not reports:
        return
    originals = Message.objects.defer("prefix").in_bulk([bounced.message_id for _, bounced in reports])
    hard: list[Failure] = []
    links: dict[int, tuple[int]] = {}
    linked: set[int] = set()  # reports with a delivery that links to a message: their own links to the first
    for entry, bounced in reports:
        report = entry.message
        if report.id in linked:
            batch.add_delivery(report.id, entry.status, LINKED.format(id=bounced.message_id))
        linked.add(report.id)
        original = originals.get(bounced.message_id)
        if original is None:
            continue
        links[report.id] = (original.id,)
        if bounced.is_hard:
            hard.append(_failure(original))
        batch.add_delivery(original.id, DeliveryStatus.BOUNCED, BOUNCED.format(id=report.id))
        batch.set_status(original.id, DeliveryStatus.BOUNCED)
        batch.emit(wire.BOUNCED, original, report, payload=wire.bounce_payload)
    note_failures(hard, batch)
    update_each(Message, ("bounce_for_id",), links)


def _failure(original: Message) -> Failure:
    found = Classification(FailureClass.BAD_ADDRESS, True, "report", "")
    return Failure(original.server_id, original.rcpt_to or "", original.id, found, is_strong=True)
