"""What the queue's functions make of a row in each state: exactly what the table of transitions says.

Those of services are in `services/test_queue_states.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from postal_server.engine.lanes import Lanes, Limits
from postal_server.engine.lease import Lease
from postal_server.engine.queue import MESSAGES, WEBHOOKS, Queue
from postal_server.models import QueuedMessage, QueueSuspension, WebhookRequest, Worker
from postal_server.models.queue_state import NEVER_DUE, SUSPECT_CLAIMS, TRANSITIONS, QueueState
from postal_server.rules.selection import Selection
from postal_server.services.operations import queue as operations
from tests.fakes import NOW
from tests.queue_states import following

LATER, SOON = NOW + timedelta(hours=1), NOW + timedelta(minutes=1)
PART = Selection(destination="a.example")
# Columns for each state, with which its events happen: due, or as often claimed as it must be.
CLAIMED_BEFORE = (0, SUSPECT_CLAIMS - 1, SUSPECT_CLAIMS + 1)
COLUMNS: dict[QueueState, list[dict[str, Any]]] = {
    QueueState.READY: [{"claims": claims} for claims in CLAIMED_BEFORE],
    QueueState.DEFERRED: [{"claims": claims, "due_at": SOON} for claims in CLAIMED_BEFORE],
    QueueState.SUSPENDED: [{"claims": claims, "due_at": NEVER_DUE} for claims in CLAIMED_BEFORE],
    QueueState.CLAIMED: [{"claims": 1}],
    QueueState.SUSPECT: [{"claims": SUSPECT_CLAIMS}],
    QueueState.POISON: [{"claims": SUSPECT_CLAIMS + 1}],
}
Event = Callable[[Queue, int, list[int]], object]


def claim(queue: Queue, worker: int, ids: list[int]) -> object:
    return queue.claim(worker, Lanes(Limits(connections=5, held=100)), 10, NOW)


def expire(queue: Queue, worker: int, ids: list[int]) -> object:
    QueuedMessage.objects.update(expires_at=NOW)
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
    "release_unknown": lambda queue, worker, ids: queue.release_unknown(worker, ()),
    "mark_suspects": lambda queue, worker, ids: queue.mark_suspects(worker, ids),
    "clear_suspects": lambda queue, worker, ids: queue.clear_suspects(worker, ids),
    "reap_dead_workers": reap_dead_workers,
    "put_aside": put_aside,
    "make_ready": lambda queue, worker, ids: list(operations.make_ready()),
    "flush": lambda queue, worker, ids: list(operations.flush(PART)),
}
OF_SERVICES = {"store", "emit", "requeue", "resend", "remove", "keep_back"}
# What no worker asks for: only fresh rows are delayed, only suspects are marked, and cleared once marked.
NEVER_ASKED = {
    ("delay", QueueState.SUSPECT),
    ("delay", QueueState.POISON),
    ("mark_suspects", QueueState.CLAIMED),
    ("clear_suspects", QueueState.SUSPECT),
}
CASES = [(event, before) for event in EVENTS for before in QueueState if (event, before) not in NEVER_ASKED]


def test_every_event_is_tried() -> None:
    assert {each.event for each in TRANSITIONS} == EVENTS.keys() | OF_SERVICES | {"defer_followers"}
    assert not NEVER_ASKED & {(each.event, each.before) for each in TRANSITIONS}


@pytest.mark.parametrize(("event", "before"), CASES)
def test_rows_go_where_the_table_says(database, worker_id, enqueue, event, before):
    ids = [enqueue(**columns)[0] for columns in COLUMNS[before]]
    if before.is_claimed:
        QueuedMessage.objects.update(claimed_by=worker_id)
    assert {row.state for row in QueuedMessage.objects.all()} == {before}
    with transaction.atomic():
        EVENTS[event](Queue(MESSAGES), worker_id, ids)
    left = {row.pk: row.state for row in QueuedMessage.objects.all()}
    assert {left.get(pk) for pk in ids} == following(event, before)


# Webhook requests are never suspended.
@pytest.mark.parametrize("before", [state for state in QueueState if state is not QueueState.SUSPENDED])
def test_followers_go_where_the_table_says(database, worker_id, ask, before):
    first = ask(claims=1, claimed_by=worker_id)
    claimed_by = worker_id if before.is_claimed else None
    followers = [ask(claimed_by=claimed_by, **columns) for columns in COLUMNS[before]]
    with transaction.atomic():
        Queue(WEBHOOKS).defer(worker_id, [(first, LATER)])
    after = {row.state for row in WebhookRequest.objects.filter(pk__in=followers)}
    assert after == following("defer_followers", before)
