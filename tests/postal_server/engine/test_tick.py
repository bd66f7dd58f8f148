from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import transaction
from prometheus_client import REGISTRY

from postal_server.engine import outcome
from postal_server.engine.claimer import Claimer, _row
from postal_server.engine.heartbeat import Heartbeat
from postal_server.engine.lanes import FAILURES_UNTIL_PAUSE, Lanes, Limits
from postal_server.engine.lease import Lease
from postal_server.engine.ports import HttpResult
from postal_server.engine.queue import MESSAGES, Queue
from postal_server.engine.recorder import RECORD_WITHIN, ResultRecorder
from postal_server.engine.row_decisions import Delayed, Returned, SuspectCleared, SuspectMarked
from postal_server.engine.shaping import Shaping
from postal_server.engine.work_stream import WorkStream
from postal_server.models import QueuedMessage, Site, Worker
from postal_server.models.queue_state import NEVER_DUE
from postal_server.rules.outcome import Outcome
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Claimed, Decision, Recorded, Result
from tests.fakes import NOW, claimed, post
from tests.postal_server.engine.conftest import FakeHandlers

LATER = NOW + timedelta(minutes=5)


class Records:
    """A service's `record`: finishes what was sent or decided, defers the rest until `LATER`."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, done, now) -> Recorded:
        recorded = Recorded()
        for item in done:
            self.seen.append(item.claimed.id)
            status = item.outcome.status if isinstance(item, Result) else item.status
            if status.is_final:
                recorded.finished.append(item.claimed.id)
            else:
                recorded.deferred.append((item.claimed.id, LATER))
        return recorded


@pytest.fixture
def lease(database, worker_id) -> Lease:
    lease = Lease()
    lease.renewed(worker_id, time.monotonic())
    return lease


@pytest.fixture
def stream(database) -> WorkStream:
    lanes = Lanes(Limits(connections=20, held=1000))
    return WorkStream(Queue(MESSAGES), lanes, FakeHandlers(record=Records(), suspended=suspended))


def suspended(claimed) -> set[int]:
    return {row.id for row in claimed if row.lane == "stop.example"}


@pytest.fixture
def recorder(stream, lease) -> ResultRecorder:
    return ResultRecorder(stream, lease, wake=lambda: None)


@pytest.fixture
def claimed_batches() -> list:
    return []


@pytest.fixture
def claimer(stream, lease, claimed_batches) -> Claimer:
    return Claimer(stream, lease, claimed_batches.append)


def run(part, now=NOW):
    """One tick of one part, as the journal runs it."""
    items = part.collect()
    if items:
        with transaction.atomic():
            written = part.write(items, now)
        part.committed(items, written)
    return items


def sent(claimed, status=DeliveryStatus.SENT, seconds=0.1) -> Result:
    return Result(claimed, Outcome(status, "details", seconds=seconds))


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
    Site.objects.create(destination="a.example", paused_until=LATER)
    enqueue(expires_at=NOW)
    run(claimer)
    [claims] = claimed_batches
    assert [row.id for row in claims.expired] == [1]


def test_a_pause_that_another_worker_wrote_is_honoured(claimer, enqueue, claimed_batches):
    Site.objects.create(destination="a.example", paused_until=LATER)
    enqueue(5)
    run(claimer)
    assert claimed_batches == []


def test_after_a_doubtful_commit_rows_nobody_knows_of_are_given_back(claimer, stream, enqueue, lease):
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


def test_results_are_recorded_and_rows_finished(claimer, recorder, stream, enqueue, claimed_batches):
    enqueue(3)
    run(claimer)
    one, two, three = claimed_batches[0].fresh
    decision = Decision(three, DeliveryStatus.HELD, "because")
    recorder.add([sent(one), sent(two, DeliveryStatus.DEFERRED), decision])
    run(recorder)
    assert stream.handlers.record.seen == [1, 2, 3]
    row = QueuedMessage.objects.get()
    assert (row.pk, row.due_at, row.attempts) == (2, LATER, 1)
    assert list(stream.lanes.held) == []
    assert recorder.is_timely(float("inf"))


def test_a_result_whose_row_was_taken_from_us_is_dropped(claimer, recorder, stream, enqueue, claimed_batches):
    enqueue(2)
    run(claimer)
    QueuedMessage.objects.filter(pk=1).update(claimed_by=12345)
    recorder.add([sent(row) for row in claimed_batches[0].fresh])
    run(recorder)
    assert stream.handlers.record.seen == [2]
    assert QueuedMessage.objects.get().claimed_by == 12345


def test_a_late_result_of_a_lost_claim_does_not_end_the_new_one(
    claimer, recorder, stream, enqueue, claimed_batches, lease
):
    enqueue(1)
    run(claimer)
    [lost] = claimed_batches[0].fresh
    stream.lanes.release_all()
    QueuedMessage.objects.update(claimed_by=None)
    claimer.want()
    run(claimer)
    recorder.add([Returned(lost), sent(lost)])
    run(recorder)
    assert QueuedMessage.objects.get().claimed_by == lease.worker_id
    assert stream.handlers.record.seen == []


def test_returned_rows_are_ready_again(claimer, recorder, enqueue, claimed_batches):
    enqueue(1)
    run(claimer)
    recorder.add([Returned(claimed_batches[0].fresh[0])])
    run(recorder)
    row = QueuedMessage.objects.get()
    assert (row.claimed_by, row.claims, row.attempts) == (None, 0, 0)


def test_an_accused_suspect_is_poison_unless_it_is_cleared(
    claimer, recorder, stream, enqueue, claimed_batches, lease
):
    enqueue(2, claims=2)
    run(claimer)
    told: list[bool] = []
    first, second = claimed_batches[0].suspects
    recorder.add([SuspectMarked(row, told.append) for row in (first, second)])
    recorder.add([SuspectCleared(first)])
    run(recorder)
    assert told == [True, True]
    assert set(stream.lanes.held) == {1, 2}
    QueuedMessage.objects.update(claimed_by=None)  # as if the worker had died
    stream.lanes.release_all()
    claimer.want()
    run(claimer)
    assert [row.id for row in claimed_batches[1].fresh] == [1]
    assert [row.id for row in claimed_batches[1].poison] == [2]


def test_a_suspect_that_cannot_be_accused_is_not_tried(claimer, recorder, stream, enqueue, claimed_batches):
    enqueue(claims=2)
    run(claimer)
    told: list[bool] = []
    recorder.add([SuspectMarked(claimed_batches[0].suspects[0], told.append)])
    [item] = recorder.collect()
    recorder.reject(item, ValueError("a bug"))
    assert told == [False]
    assert not stream.lanes.held


def test_cleared_suspects_stay_claimed(claimer, recorder, stream, enqueue, claimed_batches, lease):
    enqueue(claims=2)
    run(claimer)
    recorder.add([SuspectCleared(claimed_batches[0].suspects[0])])
    run(recorder)
    row = QueuedMessage.objects.get()
    assert (row.claimed_by, row.claims) == (lease.worker_id, 0)
    assert set(stream.lanes.held) == {1}


def test_results_wait_while_the_database_is_away(claimer, recorder, stream, enqueue, claimed_batches):
    enqueue(1)
    run(claimer)
    recorder.add([sent(claimed_batches[0].fresh[0])])
    recorder.restore(recorder.collect(), in_doubt=False)
    assert not recorder.is_timely(float("inf"))
    run(recorder)
    assert not QueuedMessage.objects.exists()


def test_recording_twice_after_a_doubtful_commit_does_nothing_twice(
    claimer, recorder, stream, enqueue, claimed_batches
):
    enqueue(1)
    run(claimer)
    recorder.add([sent(claimed_batches[0].fresh[0])])
    items = run(recorder)
    recorder.restore(items, in_doubt=True)
    run(recorder)
    assert stream.handlers.record.seen == [1]


def test_results_that_wait_too_long_shut_the_gate(recorder, claimer, enqueue, claimed_batches):
    enqueue(1)
    run(claimer)
    recorder.add([sent(claimed_batches[0].fresh[0])])
    now = time.monotonic()
    assert recorder.is_timely(now + RECORD_WITHIN - 1)
    assert not recorder.is_timely(now + RECORD_WITHIN + 1)
    items = recorder.collect()  # being written counts as waiting
    assert not recorder.is_timely(now + RECORD_WITHIN + 1)
    recorder.restore(items, in_doubt=False)
    run(recorder)
    assert recorder.is_timely(now + 1000)


def test_a_result_that_cannot_be_recorded_goes_back_to_the_queue(
    claimer, recorder, stream, enqueue, claimed_batches
):
    enqueue(1)
    run(claimer)
    recorder.add([sent(claimed_batches[0].fresh[0], DeliveryStatus.DEFERRED)])
    [item] = recorder.collect()
    recorder.reject(item, ZeroDivisionError())
    row = QueuedMessage.objects.get()
    assert (row.claimed_by, row.attempts) == (None, 1)
    assert row.due_at is not None
    assert list(stream.lanes.held) == []


def test_an_unreachable_destination_is_paused_for_all_workers_and_its_mail_left_alone(
    claimer, recorder, enqueue, claimed_batches
):
    enqueue(100)
    run(claimer)
    rows = claimed_batches[0].fresh
    unreached = [sent(row, DeliveryStatus.DEFERRED, seconds=None) for row in rows[:FAILURES_UNTIL_PAUSE]]
    recorder.add(unreached)
    run(recorder)
    site = Site.objects.get()
    assert (site.destination, site.paused_until) == ("a.example", NOW + timedelta(seconds=30))
    assert QueuedMessage.objects.filter(attempts=0).count() == 100 - FAILURES_UNTIL_PAUSE


def test_pauses_are_written_in_the_order_of_their_destinations(claimer, recorder, enqueue, claimed_batches):
    for destination in ("c.example", "a.example", "b.example"):
        enqueue(FAILURES_UNTIL_PAUSE, destination=destination)
    run(claimer)
    rows = sorted(claimed_batches[0].fresh, key=lambda row: row.id)
    recorder.add([sent(row, DeliveryStatus.DEFERRED, seconds=None) for row in rows])
    run(recorder)
    written = Site.objects.order_by("pk").values_list("destination", flat=True)
    assert list(written) == ["a.example", "b.example", "c.example"]


def test_a_probe_that_gets_through_lifts_the_pause(claimer, recorder, enqueue, claimed_batches):
    Site.objects.create(destination="a.example", paused_until=NOW)
    enqueue(10)
    run(claimer)
    [probe] = claimed_batches[0].fresh
    recorder.add([sent(probe)])
    run(recorder)
    assert Site.objects.get().paused_until is None


def test_only_pauses_that_last_are_counted(claimer):
    Site.objects.create(destination="a.example", paused_until=NOW - timedelta(seconds=1))
    Site.objects.create(destination="b.example", paused_until=LATER)
    run(claimer)
    assert REGISTRY.get_sample_value("postal_paused_destinations") == 1


def posted(claimed, result: HttpResult) -> Result:
    return Result(claimed, outcome.of_post(post("https://hooks.example/"), result))


@pytest.mark.parametrize("status", [-1, -2, -3])
def test_a_receiver_of_posts_that_does_not_answer_is_paused_too(
    claimer, recorder, enqueue, claimed_batches, status
):
    enqueue(30, destination="http:7")
    run(claimer)
    rows = claimed_batches[0].fresh[:FAILURES_UNTIL_PAUSE]
    recorder.add([posted(row, HttpResult(status, b"no", seconds=5.0)) for row in rows])
    run(recorder)
    site = Site.objects.get()
    assert (site.destination, site.paused_until) == ("http:7", NOW + timedelta(seconds=30))


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_of_posts_that_asks_for_a_wait_is_left_alone_for_as_long(
    claimer, recorder, enqueue, claimed_batches, status
):
    enqueue(30, destination="http:7")
    run(claimer)
    one, *others = claimed_batches[0].fresh
    recorder.add([posted(one, HttpResult(status, b"slowly", retry_after=120, seconds=0.1))])
    recorder.add([posted(row, HttpResult(200, seconds=0.1)) for row in others[:3]])  # sent before that
    run(recorder)
    assert Site.objects.get().paused_until == NOW + timedelta(minutes=2)


def test_a_mail_host_that_names_a_wait_means_that_one_mail(claimer, recorder, enqueue, claimed_batches):
    enqueue(3)
    run(claimer)
    greylisted = Outcome(
        DeliveryStatus.DEFERRED, "x", code=450, seconds=0.1, retry_after=timedelta(minutes=5)
    )
    recorder.add([Result(claimed_batches[0].fresh[0], greylisted)])
    run(recorder)
    assert not Site.objects.exists()


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        (DeliveryStatus.DEFERRED, 0.2),  # it answered
        (DeliveryStatus.FAILED, None),  # there is no such domain
        (DeliveryStatus.ERROR, None),  # our own mistake
    ],
)
def test_only_silence_pauses_a_destination(claimer, recorder, enqueue, claimed_batches, status, seconds):
    enqueue(20)
    run(claimer)
    recorder.add([sent(row, status, seconds) for row in claimed_batches[0].fresh])
    run(recorder)
    assert not Site.objects.exists()


def test_a_worker_registers_beats_and_learns_that_it_was_buried(database):
    lease, losses = Lease(), []
    heartbeat = Heartbeat(lease, on_loss=lambda: losses.append(1))
    run(heartbeat)
    first = lease.worker_id
    assert lease.is_held(time.monotonic())
    assert heartbeat.collect() == []  # not due yet
    Worker.objects.all().delete()
    lease.renewed(first, time.monotonic() - 15)
    run(heartbeat)
    assert losses == [1]
    assert lease.worker_id not in (None, first)
    with transaction.atomic():
        lease.end()


class TestPaces:
    """How fast destinations are sent to, as all workers stream it."""

    TOO_FAST = "421 4.7.0 [TSS04] Messages temporarily deferred"

    @pytest.fixture
    def shaping(self, stream) -> Shaping:
        async def find_operator(lane: str) -> str:
            return "yahoodns.net"

        stream.shaping = Shaping(20, find_operator, address_of=lambda number: "192.0.2.7" if number else "")
        stream.lanes.shape = stream.shaping.room
        return stream.shaping

    def answer(self, claimed, output: str) -> Result:
        status = DeliveryStatus.SENT if output.startswith("250") else DeliveryStatus.DEFERRED
        code = int(output[:3])
        return Result(
            claimed,
            Outcome(status, "x", output=output, code=code, seconds=0.1, host="mta5.am0.yahoodns.net"),
        )

    def test_a_pace_is_written_and_read_again(
        self, claimer, recorder, stream, shaping, enqueue, claimed_batches
    ):
        enqueue()
        run(claimer)
        recorder.add([self.answer(claimed_batches[0].fresh[0], self.TOO_FAST)])
        run(recorder)
        site = Site.objects.get()
        assert (site.source, site.destination) == ("", "mx:yahoodns.net")
        assert (site.concurrency, site.pauses, site.reason) == (10, 1, self.TOO_FAST)
        assert site.paused_until == NOW + timedelta(minutes=1)

        another = Shaping(20, None)
        another.load([_row(site)])
        assert another._paces == shaping._paces

    def test_claims_leave_a_paused_destination_alone_and_then_probe_it(
        self, claimer, recorder, shaping, enqueue, claimed_batches
    ):
        enqueue(3)
        run(claimer)
        first, *others = claimed_batches[0].fresh
        recorder.add([self.answer(first, self.TOO_FAST), *map(Returned, others)])
        run(recorder)
        for now, count in ((NOW, 0), (NOW + timedelta(minutes=1), 1)):
            claimed_batches.clear()
            claimer.want()
            run(claimer, now)
            assert sum(len(claims.fresh) for claims in claimed_batches) == count

    def test_a_site_in_order_again_is_forgotten(self, claimer, recorder, shaping, enqueue, claimed_batches):
        Site.objects.create(destination="mx:yahoodns.net", concurrency=19, rate=10, pauses=1)
        enqueue(30)
        run(claimer)
        fresh = claimed_batches[0].fresh
        recorder.add([self.answer(claimed, "250 OK") for claimed in fresh])
        run(recorder)
        assert not Site.objects.exists()

    def test_a_site_that_an_operator_deleted_is_forgotten(self, claimer, shaping, enqueue, claimed_batches):
        shaping.learn([self.answer(claimed_row("yahoo.com"), self.TOO_FAST)], NOW)
        enqueue(destination="yahoo.com")
        run(claimer)
        assert len(claimed_batches[0].fresh) == 1

    def test_a_pace_is_no_pause_of_a_lane(self, claimer, stream, shaping, enqueue):
        Site.objects.create(destination="mx:a.example", concurrency=1, rate=1, paused_until=LATER)
        Site.objects.create(destination="a.example", paused_until=LATER)
        run(claimer)
        assert stream.lanes.pause("a.example").until == LATER
        assert stream.lanes.pause("mx:a.example") is None

    def test_a_message_put_off_waits_untried(self, claimer, recorder, enqueue, claimed_batches):
        enqueue()
        run(claimer)
        recorder.add([Delayed(claimed_batches[0].fresh[0], LATER)])
        run(recorder)
        row = QueuedMessage.objects.get()
        assert (row.due_at, row.claimed_by, row.claims, row.attempts) == (LATER, None, 0, 0)


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
