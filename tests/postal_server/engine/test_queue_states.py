"""What each function makes of a row in each state: exactly what the table of transitions says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from postal_server.engine.lanes import Lanes, Limits
from postal_server.engine.lease import Lease
from postal_server.engine.queue import MESSAGES, Queue
from postal_server.models import QueuedMessage, QueueSuspension, Worker
from postal_server.models.queue_state import NEVER_DUE, SUSPECT_CLAIMS, TRANSITIONS, WAITING, QueueState
from postal_server.rules.selection import Selection
from postal_server.services.operations import queue as operations
from tests.fakes import NOW

LATER, SOON = NOW + timedelta(hours=1), NOW + timedelta(minutes=1)
PART = Selection(destination="a.example")
# Columns for each state, with which its events happen: due, or as often claimed as it must be.
COLUMNS: dict[QueueState, list[dict[str, Any]]] = {
    QueueState.READY: [{"claims": claims} for claims in (0, SUSPECT_CLAIMS - 1, SUSPECT_CLAIMS + 1)],
    QueueState.DEFERRED: [{"due_at": SOON}],
    QueueState.SUSPENDED: [{"due_at": NEVER_DUE}],
    QueueState.CLAIMED: [{"claims": 1}],
    QueueState.SUSPECT: [{"claims": SUSPECT_CLAIMS}],
    QueueState.POISON: [{"claims": SUSPECT_CLAIMS + 1}],
}
Event = Callable[[Queue, int, list[int]], object]


def claim(queue: Queue, worker: int, ids: list[int]) -> object:
    return queue.claim(worker, Lanes(Limits(connections=5, held=100)), 10, NOW)


def expire(queue: Queue, worker: int, ids: list[int]) -> object:
    QueuedMessage.objects.update(expires_at=NOW)
    QueuedMessage.objects.filter(WAITING).update(claims=0)  # whatever they are, it fails
    return queue.take_expired(worker, NOW, 10)


def reap_dead_workers(queue: Queue, worker: int, ids: list[int]) -> object:
    Worker.objects.filter(pk=worker).delete()
    lease = Lease()
    lease.register(NOW)
    return lease.reap_dead_workers(0.0)


def put_aside(queue: Queue, worker: int, ids: list[int]) -> object:
    QueueSuspension.objects.create(destination=PART.destination)
    return list(operations.put_aside())


EVENTS: dict[str, Event] = {
    "claim": claim,
    "take_expired": expire,
    "promote": lambda queue, worker, ids: queue.promote(SOON, 10),
    "finish": lambda queue, worker, ids: queue.finish(worker, ids),
    "defer": lambda queue, worker, ids: queue.defer(worker, [(pk, LATER) for pk in ids]),
    "delay": lambda queue, worker, ids: queue.delay(worker, [(pk, LATER) for pk in ids]),
    "suspend": lambda queue, worker, ids: queue.suspend(worker, ids),
    "release": lambda queue, worker, ids: queue.release(worker, ids),
    "mark_suspects": lambda queue, worker, ids: queue.mark_suspects(worker, ids),
    "clear_suspects": lambda queue, worker, ids: queue.clear_suspects(worker, ids),
    "reap_dead_workers": reap_dead_workers,
    "put_aside": put_aside,
    "make_ready": lambda queue, worker, ids: list(operations.make_ready()),
    "flush": lambda queue, worker, ids: list(operations.flush(PART)),
}
ELSEWHERE = {"store", "requeue", "remove", "keep_back"}  # they have tests of their own, with whole messages
# They do the same to every row that a worker has; the table names what workers ask for.
OF_ANY_CLAIM = {"finish", "defer", "delay", "suspend", "release", "mark_suspects", "clear_suspects"}


def test_every_event_is_tried() -> None:
    assert {each.event for each in TRANSITIONS} == EVENTS.keys() | ELSEWHERE


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("before", QueueState, ids=lambda state: state.value)
def test_rows_go_where_the_table_says(database, worker_id, enqueue, event, before):
    ids = [enqueue(**columns)[0] for columns in COLUMNS[before]]
    if before.is_claimed:
        QueuedMessage.objects.update(claimed_by=worker_id)
    assert {row.state for row in QueuedMessage.objects.all()} == {before}
    with transaction.atomic():
        EVENTS[event](Queue(MESSAGES), worker_id, ids)
    left = {row.pk: row.state for row in QueuedMessage.objects.all()}
    after = {left.get(pk) for pk in ids}
    expected = {each.after for each in TRANSITIONS if (each.event, each.before) == (event, before)}
    if not expected and event in OF_ANY_CLAIM and before.is_claimed:
        return
    assert after == (expected or {before})
