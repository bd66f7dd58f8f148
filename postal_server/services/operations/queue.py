"""An operator's hands on the queue: look at it, suspend and resume parts of it, try now, remove.

What takes long is a generator of how many messages each step has dealt with. Each step is a transaction of
its own, so that no other writer waits long for the database, and the caller may stop after any step. Mail
that comes in meanwhile is left out, and what a worker holds is left alone.

Suspended mail is accepted as ever and waits with the due time `NEVER_DUE`, out of the way of claims. Mail
that becomes ready all the same (because a process had not heard of it, or at its next attempt) is put aside
by the worker that claims it. Its lifetime goes on: what expires meanwhile fails.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet, Sum

from postal_server.models import (
    Delivery,
    DestinationPause,
    Message,
    QueuedMessage,
    QueueSuspension,
    ScheduledTask,
)
from postal_server.models.queue_state import NEVER_DUE, WAITING, QueueState, state_of
from postal_server.rules.selection import Selection, takes_any
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.rows import Transaction
from postal_server.services.shared.work import Claimed

from . import held
from .context import OperationContext

STEP = 500  # messages a transaction
TASK = "queue_suspensions"  # the scheduled task that calls `keep_suspensions`
# So long after a change every process has heard of it: their directories are half a second old at most.
KNOWN_AFTER = timedelta(seconds=3)
SHOWN = 100  # destinations of a list

Rows = QuerySet[QueuedMessage]


def rows(selection: Selection) -> Rows:
    """The queue rows of a part."""
    found = QueuedMessage.objects.order_by()
    if selection.server_id is not None:
        found = found.filter(server_id=selection.server_id)
    if selection.destination:
        found = found.filter(destination=selection.destination)
    if selection.tag:
        found = found.filter(Exists(Message.objects.filter(pk=OuterRef("pk"), tag=selection.tag)))
    return found


def ready(selection: Selection) -> Rows:
    return rows(selection).filter(QueueState.READY.rows)


def deferred(selection: Selection) -> Rows:
    """Rows that wait for their next attempt."""
    return rows(selection).filter(QueueState.DEFERRED.rows)


def waiting(selection: Selection) -> Rows:
    """Rows that no worker holds."""
    return rows(selection).filter(WAITING)


# Looking


@dataclass(frozen=True)
class Waiting:
    """What waits for one destination. `next_try` is None where some of it is ready, or all is suspended."""

    destination: str
    messages: int
    size_bytes: int
    oldest_at: datetime
    over_an_hour: int
    over_a_day: int
    suspended: int
    in_flight: int
    next_try: datetime | None
    paused_until: datetime | None
    last_answer: str


def overview(selection: Selection, now: datetime, limit: int = SHOWN) -> list[Waiting]:
    """The destinations with the oldest mail, oldest first. Reads the whole part of the queue once."""
    summed = list(
        rows(selection)
        .values("destination")
        .annotate(
            messages=Count("pk"),
            bytes=Sum("size_bytes"),
            oldest_at=Min("created_at"),
            over_an_hour=Count("pk", filter=Q(created_at__lt=now - timedelta(hours=1))),
            over_a_day=Count("pk", filter=Q(created_at__lt=now - timedelta(days=1))),
            suspended=Count("pk", filter=QueueState.SUSPENDED.rows),
            in_flight=Count("pk", filter=QueueState.CLAIMED.rows),
            deferred=Count("pk", filter=QueueState.DEFERRED.rows),
            next_try=Min("due_at", filter=QueueState.DEFERRED.rows),
            tried=Max("pk", filter=Q(attempts__gt=0)),
        )
        .order_by("oldest_at")[:limit]
    )
    pauses = _pauses({row["destination"] for row in summed})
    answers = _answers({row["tried"] for row in summed if row["tried"]})
    return [
        Waiting(
            destination=row["destination"],
            messages=row["messages"],
            size_bytes=row["bytes"],
            oldest_at=row["oldest_at"],
            over_an_hour=row["over_an_hour"],
            over_a_day=row["over_a_day"],
            suspended=row["suspended"],
            in_flight=row["in_flight"],
            next_try=row["next_try"] if row["deferred"] + row["suspended"] == row["messages"] else None,
            paused_until=pauses.get(row["destination"]),
            last_answer=answers.get(row["tried"], ""),
        )
        for row in summed
    ]


def _pauses(destinations: Collection[str]) -> dict[str, datetime]:
    paused = DestinationPause.objects.filter(destination__in=destinations)
    return dict(paused.values_list("destination", "paused_until"))


def _answers(message_ids: Collection[int]) -> dict[int, str]:
    """What each message's last attempt came to."""
    attempts = Delivery.objects.filter(message_id__in=message_ids).order_by("pk")
    return {
        message_id: output or details
        for message_id, output, details in attempts.values_list("message_id", "output", "details")
    }


# Suspending


def suspend(selection: Selection, reason: str = "") -> bool:
    """Let this part of the queue wait. Is that new? `keep_suspensions` moves what is ready now."""
    if _exactly(selection).exists():
        return False
    QueueSuspension.objects.create(
        server_id=selection.server_id,
        destination=selection.destination,
        tag=selection.tag,
        reason=reason,
    )
    return True


def resume(selection: Selection) -> bool:
    """End the suspension of exactly this part. Was there one? `keep_suspensions` makes its mail ready."""
    found = _exactly(selection).first()
    if found is None:
        return False
    found.delete()
    return True


def _exactly(selection: Selection) -> QuerySet[QueueSuspension]:
    of_all = QueueSuspension.objects.filter(destination=selection.destination, tag=selection.tag)
    if selection.server_id is None:
        return of_all.filter(server=None)
    return of_all.filter(server_id=selection.server_id)


def put_aside_already(selection: Selection) -> Rows:
    """Rows that wait until they are resumed."""
    return rows(selection).filter(QueueState.SUSPENDED.rows)


def make_ready(write_transaction: Transaction = transaction.atomic) -> Iterator[int]:
    """Make ready what is suspended no longer."""
    suspensions = _suspensions()
    for ids in _steps(QueuedMessage.objects.filter(QueueState.SUSPENDED.rows)):
        changed = 0
        if free := _outside(ids, suspensions):
            with write_transaction():
                changed = _set_due(free, None, QueueState.SUSPENDED)
        yield changed


def put_aside(write_transaction: Transaction = transaction.atomic) -> Iterator[int]:
    """Put aside what is ready but suspended."""
    for selection in _suspensions():
        for ids in _steps(ready(selection)):
            with write_transaction():
                changed = _set_due(ids, NEVER_DUE, QueueState.READY)
            yield changed


def apply_suspensions(write_transaction: Transaction = transaction.atomic) -> Iterator[int]:
    """Both."""
    yield from make_ready(write_transaction)
    yield from put_aside(write_transaction)


def keep_suspensions(write_transaction: Transaction) -> None:
    """Both, to the end: runs each hour, and after each change, for processes that heard of it late."""
    for _ in apply_suspensions(write_transaction):
        pass


def _suspensions() -> list[Selection]:
    parts = QueueSuspension.objects.values_list("server_id", "destination", "tag")
    return [Selection(server, destination, tag) for server, destination, tag in parts]


def request_suspensions(now: datetime) -> None:
    """Have a worker apply the suspensions as soon as every process knows them."""
    ScheduledTask.objects.filter(name=TASK).update(due_at=now + KNOWN_AFTER)


def suspended(claimed: Sequence[Claimed], directory: Directory) -> set[int]:
    """Those of the claimed messages that are to wait; one query where a suspension names a tag."""
    suspensions = directory.suspensions
    if not suspensions or not claimed:
        return set()
    tags = _tags([claim.id for claim in claimed]) if any(each.tag for each in suspensions) else {}
    return {
        claim.id
        for claim in claimed
        if takes_any(suspensions, claim.server_id, claim.lane, tags.get(claim.id))
    }


def _outside(ids: Sequence[int], suspensions: Sequence[Selection]) -> list[int]:
    """Those of the messages that belong to no suspended part."""
    tags = _tags(ids) if any(selection.tag for selection in suspensions) else {}
    found = QueuedMessage.objects.filter(pk__in=ids).values_list("pk", "server_id", "destination")
    return [
        pk
        for pk, server_id, destination in found
        if not takes_any(suspensions, server_id, destination, tags.get(pk))
    ]


def _tags(ids: Sequence[int]) -> dict[int, str | None]:
    return dict(Message.objects.filter(pk__in=ids).values_list("pk", "tag"))


# Trying now, and removing


def flush(selection: Selection, write_transaction: Transaction = transaction.atomic) -> Iterator[int]:
    """Make what waits for its next attempt ready, and take up the destinations that are paused.

    Suspended mail stays suspended.
    """
    destinations = set(rows(selection).values_list("destination", flat=True).distinct())
    paused = DestinationPause.objects.all()
    for pause in paused.filter(destination__in=destinations) if len(destinations) < STEP else paused:
        if pause.destination in destinations:
            paused.filter(pk=pause.pk).delete()
    for ids in _steps(deferred(selection)):
        with write_transaction():
            changed = _set_due(ids, None, QueueState.DEFERRED)
        yield changed


def purge(selection: Selection, context: OperationContext) -> Iterator[int]:
    """Fail what waits, suspended mail included; webhooks report it."""
    for ids in _steps(waiting(selection)):
        yield from held.remove(ids, context)


def _set_due(ids: Sequence[int], due_at: datetime | None, state: QueueState) -> int:
    """Change the due time of those rows that are still in this state.

    They are looked up by their ids alone: with more conditions SQLite walks over all that is ready, or
    suspended, for each step.
    """
    found = QueuedMessage.objects.filter(pk__in=ids).select_for_update()
    chosen = [
        pk
        for pk, due, worker in found.values_list("pk", "due_at", "claimed_by")
        if state_of(due, worker) is state
    ]
    return QueuedMessage.objects.filter(pk__in=chosen).update(due_at=due_at)


def _steps(found: Rows) -> Iterator[list[int]]:
    """The ids of `found` in steps; those only that are there when the first step begins.

    All are read at once (8 MB for a million): no index has both what is looked for and the order of steps.
    """
    ids = array("q", found.values_list("pk", flat=True).iterator())
    for start in range(0, len(ids), STEP):
        yield ids[start : start + STEP].tolist()
