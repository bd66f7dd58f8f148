"""The wall clock is set while a worker runs: no mail is given up untried, and none waits for a year."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import transaction

from postal_server.engine import claimer
from postal_server.engine.claimer import Claimer
from postal_server.engine.clock import DOUBT, JUMP
from postal_server.engine.lanes import Lanes, Limits
from postal_server.engine.lease import Lease
from postal_server.engine.queue import MESSAGES, WEBHOOKS, Queue
from postal_server.engine.work_stream import Claims, WorkStream
from postal_server.models import DestinationPace, DestinationPause, QueuedMessage, WebhookRequest
from postal_server.models.queue_state import NEVER_DUE
from postal_server.rules import retry, shaping
from tests.fakes import NOW
from tests.postal_server.engine.conftest import FakeBatchServices

YEAR = timedelta(days=365)
SECOND = timedelta(seconds=1)


class Worker:
    """Claims with made-up clocks: `seconds` is the monotonic one, `wall` what the other says."""

    def __init__(self, worker_id: int, kind) -> None:
        self._lease = Lease()
        self._worker_id = worker_id
        self.claims: list[Claims] = []
        lanes = Lanes(Limits(connections=20, held=1000))
        stream = WorkStream(Queue(kind), lanes, FakeBatchServices())
        self._claiming = Claimer(stream, self._lease, self.claims.append)
        self.seconds = 1000.0
        self.wall = NOW

    def tick(self, *, seconds: float = 1.0, jump: timedelta = timedelta()) -> Claims:
        """The tick after so many seconds, in which the wall clock was set as well."""
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds) + jump
        self._lease.renewed(self._worker_id, self.seconds)
        self.claims.clear()
        with transaction.atomic():
            written = self._claiming.write([self.seconds], self.wall)
        self._claiming.committed([self.seconds], written)
        return self.claims[0] if self.claims else Claims()


@pytest.fixture
def worker(worker_id) -> Worker:
    worker = Worker(worker_id, MESSAGES)
    worker.tick()
    return worker


def expired(claims: Claims) -> list[int]:
    return [row.id for row in claims.expired]


def test_after_a_jump_forward_a_message_is_tried_before_it_is_given_up(worker, enqueue):
    enqueue(expires_at=NOW + timedelta(days=3))
    claims = worker.tick(jump=YEAR)
    assert ([row.id for row in claims.fresh], expired(claims)) == ([1], [])


def test_a_message_that_waits_for_its_next_attempt_has_it(worker, enqueue):
    enqueue(due_at=NOW + timedelta(hours=1), expires_at=NOW + timedelta(days=3))
    claims = worker.tick(jump=YEAR)
    assert ([row.id for row in claims.fresh], expired(claims)) == ([1], [])


def test_a_clock_that_stays_there_is_believed_in_the_end(worker, enqueue):
    DestinationPause.objects.create(destination="a.example", paused_until=NOW + 2 * YEAR)
    enqueue(expires_at=NOW + timedelta(days=3))
    assert expired(worker.tick(jump=YEAR)) == []
    assert expired(worker.tick(seconds=DOUBT - 1)) == []
    assert expired(worker.tick(seconds=2)) == [1]


@pytest.mark.parametrize("seconds", [JUMP - 1, -JUMP + 1])
def test_small_corrections_change_nothing(worker, enqueue, seconds):
    enqueue(expires_at=NOW - YEAR)
    enqueue(due_at=NOW + YEAR)
    assert expired(worker.tick(jump=timedelta(seconds=seconds))) == [1]
    assert due_times() == [NOW + YEAR]


def due_times(model=QueuedMessage) -> list[datetime]:
    return list(model.objects.exclude(due_at=None).order_by("pk").values_list("due_at", flat=True))


def test_after_a_jump_back_mail_waits_no_longer_than_it_may(worker, enqueue):
    soon = NOW - YEAR + timedelta(hours=5)
    for due_at in (NOW + timedelta(hours=1), soon, NEVER_DUE):
        enqueue(due_at=due_at)
    worker.tick(jump=-YEAR)
    assert due_times() == [worker.wall + retry.LONGEST_NAMED_WAIT, soon, NEVER_DUE]


def test_after_a_jump_back_webhooks_wait_no_longer_than_they_may(worker_id, ask):
    worker = Worker(worker_id, WEBHOOKS)
    worker.tick()
    ask(due_at=NOW + timedelta(hours=1))
    worker.tick(jump=-YEAR)
    assert due_times(WebhookRequest) == [worker.wall + retry.LONGEST_NAMED_WAIT]


def test_after_a_jump_back_pauses_are_no_longer_than_they_may_be(worker):
    soon = NOW - YEAR + timedelta(minutes=1)
    DestinationPause.objects.create(destination="far.example", paused_until=NOW + timedelta(minutes=10))
    DestinationPause.objects.create(destination="near.example", paused_until=soon)
    pace = {"concurrency": 1, "rate": 2.0, "pauses": 1}
    DestinationPace.objects.create(operator="far.example", paused_until=NOW, **pace)
    DestinationPace.objects.create(operator="open.example", paused_until=None, **pace)
    worker.tick(jump=-YEAR)
    latest = worker.wall + shaping.LONGEST_PAUSE
    pauses = dict(DestinationPause.objects.values_list("destination", "paused_until"))
    assert pauses == {"far.example": latest, "near.example": soon}
    paces = dict(DestinationPace.objects.values_list("operator", "paused_until"))
    assert paces == {"far.example": latest, "open.example": None}


def test_many_are_brought_forward_in_several_ticks(worker, enqueue, monkeypatch):
    monkeypatch.setattr(claimer, "TICK_PROMOTIONS", 2)
    enqueue(5, due_at=NOW)
    worker.tick(jump=-YEAR)
    assert due_times().count(NOW) == 3
    worker.tick(seconds=0.1)
    worker.tick(seconds=0.1)
    assert NOW not in due_times()


def test_what_was_set_back_while_no_worker_ran_is_noticed_by_the_next(worker_id, enqueue):
    enqueue(due_at=NOW + YEAR)
    worker = Worker(worker_id, MESSAGES)
    worker.tick()
    assert due_times() == [worker.wall + retry.LONGEST_NAMED_WAIT]


def test_a_tick_that_is_rolled_back_forgets_nothing(worker, enqueue):
    enqueue(due_at=NOW)
    with transaction.atomic():
        worker._claiming.write([worker.seconds + 1], NOW - YEAR)
        transaction.set_rollback(True)
    worker.tick(jump=-YEAR)
    assert due_times() == [worker.wall + retry.LONGEST_NAMED_WAIT]
