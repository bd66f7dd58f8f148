from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from prometheus_client import REGISTRY

from postal_server.engine.row_decisions import Returned
from postal_server.models import DestinationPace, DestinationPause, QueuedMessage
from postal_server.models.queue_state import NEVER_DUE
from postal_server.services.shared.work import Claimed
from tests.fakes import NOW, claimed
from tests.postal_server.engine.conftest import LATER, TOO_FAST, answer, run


def test_claims_are_handed_over_and_held(claimer, stream, enqueue, claimed_batches):
    enqueue(3)
    run(claimer)
    [claims] = claimed_batches
    assert [row.id for row in claims.fresh] == [1, 2, 3]
    assert set(stream.lanes.held) == {1, 2, 3}


def test_suspended_rows_are_put_aside_and_the_claim_is_not_counted(claimer, stream, enqueue, claimed_batches):
    enqueue(30, destination="stop.example")
    run(claimer)
    assert not claimed_batches
    assert not stream.lanes.held
    aside = QueuedMessage.objects.filter(due_at=NEVER_DUE)
    assert set(aside.values_list("claims", "claimed_by", "attempts")) == {(0, None, 0)}
    assert aside.count() == 30
    assert run(claimer)  # there may be more behind them


@pytest.mark.parametrize(
    ("lost_claims", "where"), [(0, "fresh"), (1, "fresh"), (2, "suspects"), (3, "suspects"), (4, "poison")]
)
def test_rows_that_workers_died_with_are_suspects_and_poison_once_they_were_tried_alone(
    claimer, enqueue, claimed_batches, lost_claims, where
):
    enqueue(claims=lost_claims)
    run(claimer)
    [claims] = claimed_batches
    assert [row.id for row in getattr(claims, where)] == [1]


def test_nothing_is_claimed_without_the_lease(claimer, lease, enqueue):
    enqueue()
    lease.renewed(lease.worker_id, time.monotonic() - 41)
    assert run(claimer) == []


def test_a_stopped_worker_claims_nothing(claimer, enqueue):
    enqueue()
    claimer.is_stopped = True
    assert run(claimer) == []


def test_due_rows_come_back(claimer, enqueue, claimed_batches):
    enqueue(due_at=NOW)
    run(claimer)
    assert [row.id for row in claimed_batches[0].fresh] == [1]


def test_expired_rows_are_found_even_in_a_paused_lane(claimer, enqueue, claimed_batches):
    DestinationPause.objects.create(destination="a.example", paused_until=LATER)
    enqueue(expires_at=NOW)
    run(claimer)
    [claims] = claimed_batches
    assert [row.id for row in claims.expired] == [1]


def test_a_pause_that_another_worker_wrote_is_honoured(claimer, enqueue, claimed_batches):
    DestinationPause.objects.create(destination="a.example", paused_until=LATER)
    enqueue(5)
    run(claimer)
    assert claimed_batches == []


def test_after_a_doubtful_commit_unknown_rows_are_given_back(claimer, stream, enqueue, lease):
    enqueue(1, claimed_by=lease.worker_id)
    claimer.restore(claimer.collect(), in_doubt=True)
    run(claimer)
    assert set(stream.lanes.held) == {1}  # given back, and claimed again in the same tick


def test_without_rows_or_news_nothing_is_asked(claimer, database):
    run(claimer)
    run(claimer)
    if database == "sqlite":  # which tells when others have written
        assert claimer.collect() == []
    claimer.want()
    assert claimer.collect() != []


def test_only_pauses_that_last_are_counted(claimer):
    DestinationPause.objects.create(destination="a.example", paused_until=NOW - timedelta(seconds=1))
    DestinationPause.objects.create(destination="b.example", paused_until=LATER)
    run(claimer)
    assert REGISTRY.get_sample_value("postal_paused_destinations") == 1


class TestPaces:
    """How fast destinations are sent to, as all workers stream it."""

    def test_claims_leave_a_paused_destination_alone_and_then_probe_it(
        self, claimer, recorder, shaping, enqueue, claimed_batches
    ):
        enqueue(3)
        run(claimer)
        first, *others = claimed_batches[0].fresh
        recorder.add([answer(first, TOO_FAST), *map(Returned, others)])
        run(recorder)
        for now, count in ((NOW, 0), (NOW + timedelta(minutes=1), 1)):
            claimed_batches.clear()
            claimer.want()
            run(claimer, now)
            assert sum(len(claims.fresh) for claims in claimed_batches) == count

    def test_a_pace_that_a_person_deleted_is_forgotten(self, claimer, shaping, enqueue, claimed_batches):
        shaping.learn([answer(claimed_row("yahoo.com"), TOO_FAST)], NOW)
        enqueue(destination="yahoo.com")
        run(claimer)
        assert len(claimed_batches[0].fresh) == 1

    def test_a_pace_is_no_pause_of_a_lane(self, claimer, stream, shaping, enqueue):
        pace = {"concurrency": 1, "rate": 1, "pauses": 1}
        DestinationPace.objects.create(operator="b.example", paused_until=LATER, **pace)
        DestinationPause.objects.create(destination="a.example", paused_until=LATER)
        run(claimer)
        assert stream.lanes.pause("a.example").until == LATER
        assert stream.lanes.pause("b.example") is None

    def test_pauses_and_paces_are_read_in_one_statement(self, claimer, shaping):
        with CaptureQueriesContext(connection) as queries:
            run(claimer)
        reads = [query for query in queries if 'FROM "postal_server_destination' in query["sql"]]
        assert len(reads) == 1


def claimed_row(lane: str) -> Claimed:
    return claimed(99, lane=lane)


class TestSources:
    def test_each_source_has_its_turn(self, claimer, stream, enqueue, claimed_batches):
        stream.sources = lambda now: {0: None, 7: None}
        enqueue(2)
        enqueue(2, source_id=7, destination="b.example")
        enqueue(2, source_id=8, destination="c.example")
        for _ in range(3):
            claimer.want()
            run(claimer)
        assert [[row.source_id for row in claims.fresh] for claims in claimed_batches] == [[0, 0], [7, 7]]

    def test_one_that_sent_what_it_may_today_waits(self, claimer, stream, enqueue, claimed_batches):
        stream.sources = lambda now: {0: None, 7: 3}
        enqueue(5, source_id=7)
        for _ in range(2):
            claimer.want()
            run(claimer)
        assert [len(claims.fresh) for claims in claimed_batches] == [3]
