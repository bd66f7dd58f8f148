from __future__ import annotations

import time
from datetime import timedelta

import pytest

from postal_server.engine import outcome
from postal_server.engine.claimer import Claimer
from postal_server.engine.lanes import FAILURES_UNTIL_PAUSE
from postal_server.engine.ports import HttpResult
from postal_server.engine.recorder import RECORD_WITHIN
from postal_server.engine.row_decisions import Delayed, Returned, SuspectCleared, SuspectMarked
from postal_server.engine.shaping import Shaping
from postal_server.models import DestinationPace, DestinationPause, QueuedMessage
from postal_server.rules.outcome import Outcome
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Decision, Result
from tests.fakes import NOW, post
from tests.postal_server.engine.conftest import LATER, TOO_FAST, answer, run, sent


def test_results_are_recorded_and_rows_finished(claimer, recorder, stream, enqueue, claimed_batches):
    enqueue(3)
    run(claimer)
    one, two, three = claimed_batches[0].fresh
    decision = Decision(three, DeliveryStatus.HELD, "because")
    recorder.add([sent(one), sent(two, DeliveryStatus.DEFERRED), decision])
    run(recorder)
    assert stream.services.record.seen == [1, 2, 3]
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
    assert stream.services.record.seen == [2]
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
    assert stream.services.record.seen == []


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
    answers: list[bool] = []
    first, second = claimed_batches[0].suspects
    recorder.add([SuspectMarked(row, answers.append) for row in (first, second)])
    recorder.add([SuspectCleared(first)])
    run(recorder)
    assert answers == [True, True]
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
    answers: list[bool] = []
    recorder.add([SuspectMarked(claimed_batches[0].suspects[0], answers.append)])
    [item] = recorder.collect()
    recorder.reject(item, ValueError("a bug"))
    assert answers == [False]
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
    assert stream.services.record.seen == [1]


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
    pause = DestinationPause.objects.get()
    assert (pause.destination, pause.paused_until) == ("a.example", NOW + timedelta(seconds=30))
    assert QueuedMessage.objects.filter(attempts=0).count() == 100 - FAILURES_UNTIL_PAUSE


def test_pauses_are_written_in_the_order_of_their_destinations(claimer, recorder, enqueue, claimed_batches):
    for destination in ("c.example", "a.example", "b.example"):
        enqueue(FAILURES_UNTIL_PAUSE, destination=destination)
    run(claimer)
    rows = sorted(claimed_batches[0].fresh, key=lambda row: row.id)
    recorder.add([sent(row, DeliveryStatus.DEFERRED, seconds=None) for row in rows])
    run(recorder)
    written = DestinationPause.objects.order_by("pk").values_list("destination", flat=True)
    assert list(written) == ["a.example", "b.example", "c.example"]


def test_a_probe_that_gets_through_lifts_the_pause(claimer, recorder, enqueue, claimed_batches):
    DestinationPause.objects.create(destination="a.example", paused_until=NOW)
    enqueue(10)
    run(claimer)
    [probe] = claimed_batches[0].fresh
    recorder.add([sent(probe)])
    run(recorder)
    assert not DestinationPause.objects.exists()


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
    pause = DestinationPause.objects.get()
    assert (pause.destination, pause.paused_until) == ("http:7", NOW + timedelta(seconds=30))


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
    assert DestinationPause.objects.get().paused_until == NOW + timedelta(minutes=2)


def test_a_mail_host_that_names_a_wait_means_that_one_mail(claimer, recorder, enqueue, claimed_batches):
    enqueue(3)
    run(claimer)
    greylisted = Outcome(
        DeliveryStatus.DEFERRED, "x", code=450, seconds=0.1, retry_after=timedelta(minutes=5)
    )
    recorder.add([Result(claimed_batches[0].fresh[0], greylisted)])
    run(recorder)
    assert not DestinationPause.objects.exists()


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
    assert not DestinationPause.objects.exists()


class TestPaces:
    """How fast destinations are sent to, as all workers stream it."""

    def test_a_pace_is_written_and_read_again(
        self, claimer, recorder, stream, lease, shaping, enqueue, claimed_batches
    ):
        enqueue()
        run(claimer)
        recorder.add([answer(claimed_batches[0].fresh[0], TOO_FAST)])
        run(recorder)
        pace = DestinationPace.objects.get()
        assert (pace.source, pace.operator) == ("", "yahoodns.net")
        assert (pace.concurrency, pace.pauses, pace.reason) == (10, 1, TOO_FAST)
        assert pace.paused_until == NOW + timedelta(minutes=1)

        learned = dict(shaping._paces)
        stream.shaping = another = Shaping(20, None)
        run(Claimer(stream, lease, claimed_batches.append))
        assert another._paces == learned

    def test_an_operator_in_order_again_is_forgotten(
        self, claimer, recorder, shaping, enqueue, claimed_batches
    ):
        DestinationPace.objects.create(operator="yahoodns.net", concurrency=19, rate=10, pauses=1)
        enqueue(30)
        run(claimer)
        fresh = claimed_batches[0].fresh
        recorder.add([answer(claimed, "250 OK") for claimed in fresh])
        run(recorder)
        assert not DestinationPace.objects.exists()

    def test_a_message_put_off_waits_untried(self, claimer, recorder, enqueue, claimed_batches):
        enqueue()
        run(claimer)
        recorder.add([Delayed(claimed_batches[0].fresh[0], LATER)])
        run(recorder)
        row = QueuedMessage.objects.get()
        assert (row.due_at, row.claimed_by, row.claims, row.attempts) == (LATER, None, 0, 0)
