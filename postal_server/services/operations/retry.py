"""Send failed mail again whose failure was not its own: the day a blocklist lets us go, say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, Max, Min, OuterRef, Q

from postal_server.models import Delivery, Message, QueuedMessage
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.selection import Selection
from postal_server.rules.status import DeliveryStatus, Scope

from . import held
from .context import OperationContext

STEP = 5000  # deliveries looked through at a time
# Deliveries are numbered in the order of their times, but for those that several workers write at once.
OUT_OF_ORDER = timedelta(hours=1)
FAILED = (DeliveryStatus.FAILED.value, DeliveryStatus.BOUNCED.value)


@dataclass(frozen=True)
class Failures:
    """Outgoing mail that failed for good since a time, and whose last failure is of this class.

    `part` is as for the queue; `operator` is whose mail hosts refused it, as a registered domain, or empty.
    """

    failure_class: FailureClass
    since: datetime
    part: Selection
    operator: str = ""


@dataclass(frozen=True)
class Found:
    """The messages that a step has found: those that can be sent, and how many have lost their texts."""

    ids: list[int]
    purged: int


def find(failures: Failures) -> Iterator[Found]:
    """Step by step, without those that wait in the queue already. No index is needed for what is rare."""
    ends = Delivery.objects.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["last"] is not None:
        for start in range(_first(failures.since, ends["first"], ends["last"]), ends["last"] + 1, STEP):
            yield _found(failures, Q(pk__gte=start, pk__lt=start + STEP))


def send_again(failures: Failures, context: OperationContext) -> Iterator[int]:
    """Queue them with new attempts and a new lifetime; how many each step has.

    Unlike a person's release it passes no check: who is suppressed by now is.
    """
    for found in find(failures):
        yield from held.requeue(found.ids, context, is_manual=False)


def _first(since: datetime, lowest: int, highest: int) -> int:
    """The number from which on deliveries may be as young as this, by halving: times have no index."""
    low, high = lowest, highest + 1
    while low < high:
        middle = (low + high) // 2
        rows = Delivery.objects.filter(pk__gte=middle).order_by("pk")
        at = rows.values_list("created_at", flat=True).first()
        if at is None or at >= since - OUT_OF_ORDER:
            high = middle
        else:
            low = middle + 1
    return low


def _found(failures: Failures, step: Q) -> Found:
    of_message = Delivery.objects.filter(message_id=OuterRef("message_id"), status__in=FAILED)
    last_failures = Delivery.objects.filter(
        step,
        ~Exists(of_message.filter(pk__gt=OuterRef("pk"))),
        failure_class=failures.failure_class.value,
        status__in=FAILED,
        created_at__gte=failures.since,
    )
    if failures.operator:
        last_failures = last_failures.filter(operator=failures.operator)
    messages = Message.objects.filter(
        ~Exists(QueuedMessage.objects.filter(pk=OuterRef("pk"))),
        pk__in=list(last_failures.values_list("message_id", flat=True)),
        scope=Scope.OUTGOING.value,
        status__in=FAILED,
    )
    part = failures.part
    if part.server_id is not None:
        messages = messages.filter(server_id=part.server_id)
    if part.destination:
        messages = messages.filter(rcpt_to__iendswith=f"@{part.destination}")
    if part.tag:
        messages = messages.filter(tag=part.tag)
    rows = list(messages.order_by("pk").values_list("pk", "body_id"))
    ids = [pk for pk, body_id in rows if body_id is not None]
    return Found(ids, len(rows) - len(ids))
