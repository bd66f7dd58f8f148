"""A tick that fails loses nothing: neither results, nor what they taught, nor anybody's answer."""

from __future__ import annotations

import time
from concurrent.futures import Future
from datetime import datetime, timedelta, timezone

import pytest
from django.db.utils import OperationalError

from postal_server.engine import journal as journals
from postal_server.engine import metrics
from postal_server.engine.acceptance import Acceptance, PendingSubmissions
from postal_server.engine.claimer import TICK_EXPIRIES, Claimer
from postal_server.engine.heartbeat import Heartbeat
from postal_server.engine.journal import Journal
from postal_server.engine.lanes import FAILURES_UNTIL_PAUSE, Lanes, Limits
from postal_server.engine.lease import HELD_FOR, Lease
from postal_server.engine.queue import MESSAGES, Queue
from postal_server.engine.recorder import ResultRecorder
from postal_server.engine.row_decisions import SuspectMarked
from postal_server.engine.shaping import Shaping
from postal_server.engine.work_stream import WorkStream
from postal_server.models import DestinationPace, DestinationPause, Message, QueuedMessage, Worker
from postal_server.rules.outcome import Outcome
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Accepted, Recorded, Result
from tests.fakes import NOW
from tests.postal_server.engine.conftest import FakeBatchServices

ACCEPTED = Accepted(b"x", (), mail_from=None, subject=None, message_id=None)
TOMORROW = datetime.now(timezone.utc) + timedelta(days=1)


class Failing:
    """A part that raises in its first ticks."""

    name = "failing"

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.items = ["item"]

    def collect(self):
        items, self.items = self.items, []
        return items

    def write(self, items, now) -> None:
        if self.errors:
            raise self.errors.pop(0)

    def committed(self, items, written) -> None:
        pass

    def restore(self, items, *, in_doubt) -> None:
        self.items = list(items)

    def reject(self, item, error) -> None:
        pass


def record(done, now) -> Recorded:
    """Finish what was sent, defer the rest."""
    recorded = Recorded()
    for item in done:
        if item.outcome.status is DeliveryStatus.SENT:
            recorded.finished.append(item.claimed.id)
        else:
            recorded.deferred.append((item.claimed.id, NOW))
    return recorded


@pytest.fixture
def stream(database) -> WorkStream:
    return WorkStream(
        Queue(MESSAGES), Lanes(Limits(connections=20, held=1000)), FakeBatchServices(record=record)
    )


@pytest.fixture
def lease(worker_id) -> Lease:
    lease = Lease()
    lease.renewed(worker_id, time.monotonic())
    return lease


@pytest.fixture
def recorder(stream, lease) -> ResultRecorder:
    return ResultRecorder(stream, lease, wake=lambda: None)


@pytest.fixture
def claim(stream, lease, enqueue):
    """Queue messages and claim them."""

    def claimed(count: int):
        batches = []
        enqueue(count, expires_at=TOMORROW)
        journal([Claimer(stream, lease, batches.append)])._next_tick()
        return [row for batch in batches for row in batch.fresh]

    return claimed


def journal(parts) -> Journal:
    """A journal whose ticks a test runs itself."""
    journal = Journal(Acceptance(lambda batch, now: []))
    journal.parts = parts
    journal._write_lock = journals.write_lock()
    return journal


def sent(claimed, status=DeliveryStatus.SENT, seconds: float | None = 0.1) -> Result:
    return Result(claimed, Outcome(status, "details", seconds=seconds))


AWAY = OperationalError("gone")


@pytest.mark.parametrize("errors", [[ValueError("a bug")], [AWAY], [AWAY] * 3])
def test_results_are_recorded_though_another_part_fails(claim, recorder, stream, monkeypatch, errors):
    monkeypatch.setattr(journals, "BACK_OFF", (0.0, 0.0))
    [row] = claim(1)
    recorder.add([sent(row)])
    ticks = journal([recorder, Failing(*errors)])
    for _ in errors:
        ticks._next_tick()
    ticks._next_tick()
    assert not QueuedMessage.objects.exists()
    assert not stream.lanes.held
    assert recorder.is_timely(float("inf"))


def broken_record(done, now) -> Recorded:
    raise ZeroDivisionError


def test_a_result_that_was_refused_does_not_come_back_as_held(claim, stream, lease, monkeypatch):
    one, two = claim(2)
    stream.services.record = broken_record
    recorder = ResultRecorder(stream, lease, wake=lambda: None)
    recorder.add([sent(one, DeliveryStatus.DEFERRED)])
    journal([recorder])._next_tick()
    recorder.restore([], in_doubt=False)
    assert list(stream.lanes.held) == [two.id]


def test_mail_that_was_sent_is_not_sent_again_because_that_cannot_be_recorded(claim, stream, lease):
    one, two = claim(2)
    Message.objects.create(
        id=one.id, server_id=1, scope="outgoing", status="Pending", size_bytes=1, created_at=NOW
    )
    stream.services.record = broken_record
    recorder = ResultRecorder(stream, lease, wake=lambda: None)
    recorder.add([sent(one), sent(two, DeliveryStatus.DEFERRED)])
    journal([recorder])._next_tick()
    assert Message.objects.get().status == DeliveryStatus.SENT.value
    row = QueuedMessage.objects.get()
    assert (row.pk, row.claimed_by, row.attempts) == (two.id, None, 1)
    assert not stream.lanes.held


def test_nothing_is_claimed_while_the_machine_was_asleep_longer_than_the_lease(claim, stream, lease, enqueue):
    claimer = Claimer(stream, lease, lambda claims: None)
    assert claimer.collect()
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) + HELD_FOR
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "clock_gettime", lambda clock: asleep)
        assert not claimer.collect()


def test_a_worker_that_was_buried_claims_nothing_in_the_tick_in_which_it_learns_so(stream, lease, enqueue):
    handed_over = []
    enqueue(3, expires_at=TOMORROW)
    Worker.objects.all().delete()
    ticks = journal([Heartbeat(lease, stream.lanes.release_all), Claimer(stream, lease, handed_over.append)])
    ticks._next_tick()
    assert handed_over == []
    assert not QueuedMessage.objects.exclude(claimed_by=None).exists()
    ticks._next_tick()
    assert len(handed_over) == 1
    assert set(QueuedMessage.objects.values_list("claimed_by", flat=True)) == {lease.worker_id}


class Breaking(Failing):
    """A part whose callbacks raise."""

    def committed(self, items, written) -> None:
        raise RuntimeError("Event loop is closed")

    def restore(self, items, *, in_doubt) -> None:
        raise RuntimeError("a bug")

    def reject(self, item, error) -> None:
        raise RuntimeError("a bug")


class Remembering(Failing):
    """A part that remembers its callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    def committed(self, items, written) -> None:
        self.called.append("committed")

    def restore(self, items, *, in_doubt) -> None:
        self.called.append("put back")

    def reject(self, item, error) -> None:
        self.called.append("refused")


@pytest.mark.parametrize(
    ("errors", "called"),
    [([], ["committed"]), ([AWAY], ["put back"]), ([ValueError("a bug")] * 2, ["committed"])],
    ids=["committed", "put_back", "refused"],
)
def test_a_callback_that_fails_is_no_reason_to_write_again(database, monkeypatch, errors, called):
    monkeypatch.setattr(journals, "BACK_OFF", (0.0, 0.0))
    other = Remembering()
    ticks = journal([Breaking(*errors), other])
    ticks._next_tick()
    ticks._next_tick()
    assert other.called == called


def test_a_part_that_cannot_be_asked_costs_no_other_its_items(database, monkeypatch):
    monkeypatch.setattr(journals, "BACK_OFF", (0.0, 0.0))
    first, second = Remembering(), Remembering()
    broken = Failing()
    broken.collect = lambda: 1 / 0
    journal([first, broken, second])._next_tick()
    assert first.called == second.called == ["committed"]


class EndingLoop:
    """An event loop that is closed as soon as somebody has asked."""

    def is_closed(self) -> bool:
        return False

    def call_soon_threadsafe(self, *args) -> None:
        raise RuntimeError("Event loop is closed")


def test_mail_for_a_loop_that_has_ended_is_stored_once(database):
    batches = []
    acceptance = Acceptance(lambda batch, now: batches.append(batch) or [[]] * len(batch))
    acceptance.add(PendingSubmissions([ACCEPTED], Future(), EndingLoop()))
    promise: Future = Future()
    acceptance.add(PendingSubmissions([ACCEPTED], promise))
    journal([acceptance])._next_tick()
    assert len(batches) == 1
    assert promise.result(0) == []


def test_a_commit_in_doubt_is_a_problem_until_the_database_answers(database, monkeypatch):
    monkeypatch.setattr(journals, "BACK_OFF", (0.0, 0.0))
    ticks = journal([Breaking()])
    monkeypatch.setattr(ticks._thread, "is_alive", lambda: True)
    monkeypatch.setattr(ticks, "_commit", lambda batch: raise_(journals.CommitInDoubt()))
    ticks._next_tick()
    assert ticks.problem()
    ticks._next_tick()
    assert not ticks.problem()


def raise_(error: Exception) -> None:
    raise error


def test_what_a_failed_tick_learned_is_published_by_the_next(claim, recorder, stream, monkeypatch):
    monkeypatch.setattr(journals, "BACK_OFF", (0.0, 0.0))
    rows = claim(FAILURES_UNTIL_PAUSE)
    recorder.add([sent(row, DeliveryStatus.DEFERRED, seconds=None) for row in rows])
    ticks = journal([recorder, Failing(AWAY, AWAY)])
    ticks._next_tick()
    assert stream.lanes.pause("a.example") is None
    ticks._next_tick()
    ticks._next_tick()
    [pause] = DestinationPause.objects.all()
    assert pause.paused_until == stream.lanes.pause("a.example").until


def test_failures_in_a_tick_that_failed_are_counted_once(claim, recorder, stream, monkeypatch):
    monkeypatch.setattr(journals, "BACK_OFF", (0.0, 0.0))
    rows = claim(FAILURES_UNTIL_PAUSE - 1)
    recorder.add([sent(row, DeliveryStatus.DEFERRED, seconds=None) for row in rows])
    ticks = journal([recorder, Failing(AWAY)])
    for _ in range(2):
        ticks._next_tick()
    assert not DestinationPause.objects.exists()


def test_a_host_that_finds_us_too_fast_in_a_tick_that_failed_is_sent_to_slowly(
    claim, recorder, stream, monkeypatch
):
    monkeypatch.setattr(journals, "BACK_OFF", (0.0, 0.0))
    stream.shaping = Shaping(20, None)
    [row] = claim(1)
    slower = Outcome(
        DeliveryStatus.DEFERRED, "x", "421-4.7.28 rate", seconds=1.0, code=421, host="mx.a.example"
    )
    recorder.add([Result(row, slower)])
    ticks = journal([recorder, Failing(AWAY)])
    ticks._next_tick()
    assert not stream.shaping._paces
    ticks._next_tick()
    assert DestinationPace.objects.get().operator == "a.example"
    assert stream.shaping._paces


def test_results_of_rows_that_are_not_ours_are_not_counted(claim, recorder, monkeypatch):
    counted, answers = [], []
    monkeypatch.setattr(metrics, "count", lambda kind, item: counted.append(item.claimed.id))
    mine, lost, suspect, ours = claim(4)
    QueuedMessage.objects.filter(pk__in=[lost.id, suspect.id]).update(claimed_by=None)
    recorder.add([sent(mine), sent(lost), SuspectMarked(suspect, answers.append)])
    recorder.add([SuspectMarked(ours, lambda answer: answers.append(f"ours: {answer}"))])
    journal([recorder])._next_tick()
    assert counted == [mine.id]
    assert answers == [False, "ours: True"]


def test_all_that_has_expired_is_ended_soon(stream, lease, enqueue):
    handed_over = []
    claimer = Claimer(stream, lease, handed_over.append)
    enqueue(3 * TICK_EXPIRIES, expires_at=NOW, due_at=TOMORROW)
    ticks = journal([claimer])
    for _ in range(4):
        ticks._next_tick()
    assert sum(len(claims.expired) for claims in handed_over) == 3 * TICK_EXPIRIES


def test_no_more_that_has_expired_is_taken_at_once_than_may_be_held(stream, lease, enqueue):
    stream.lanes.limits = Limits(connections=20, held=150)
    handed_over = []
    enqueue(3 * TICK_EXPIRIES, expires_at=NOW, due_at=TOMORROW)
    ticks = journal([Claimer(stream, lease, handed_over.append)])
    for _ in range(4):
        ticks._next_tick()
    assert sum(len(claims.expired) for claims in handed_over) == 2 * TICK_EXPIRIES
