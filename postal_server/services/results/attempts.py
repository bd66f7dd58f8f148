"""What earlier attempts of messages were answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postal_server.models import Delivery
from postal_server.rules.classification import Classification
from postal_server.rules.failure_class import FailureClass, Stage
from postal_server.rules.status import DeliveryStatus


@dataclass(frozen=True)
class LastAnswer:
    """The reply code and the text of a deferral, as a whole, and its class; None where it has none."""

    code: int | None
    text: str
    classification: Classification | None = None


def last_answers(message_ids: Sequence[int]) -> dict[int, LastAnswer]:
    """Each message's last deferral. One query, none for no message."""
    if not message_ids:
        return {}
    rows = Delivery.objects.filter(message_id__in=message_ids, status=DeliveryStatus.DEFERRED.value)
    return {row.message_id: _answer(row) for row in rows.order_by("id")}


def _answer(row: Delivery) -> LastAnswer:
    text = row.diagnostic or row.output or ""
    if not row.failure_class:
        return LastAnswer(row.code, text)
    name, stage = FailureClass(row.failure_class), Stage(row.stage) if row.stage else None
    return LastAnswer(row.code, text, Classification(name, row.is_sure, row.rule, row.operator, stage))
