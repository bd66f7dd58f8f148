from __future__ import annotations

from concurrent.futures import Future

import pytest

from postal_server.engine.acceptance import MAX_PENDING_BYTES, MAX_WAIT, Acceptance, PendingSubmissions
from postal_server.errors import Busy
from tests.postal_server.engine.conftest import FakeStore, submission


def test_a_full_inbox_is_busy_but_one_large_message_always_fits(database):
    box = Acceptance(FakeStore())
    box.check_room(MAX_PENDING_BYTES * 2)
    large = submission(raw=b"x" * (MAX_PENDING_BYTES - 10))
    box.add(PendingSubmissions([large], Future()))
    box.check_room(10)
    with pytest.raises(Busy):
        box.check_room(11)


def test_a_queue_that_will_take_too_long_is_busy(database):
    box = Acceptance(FakeStore())
    box._seconds_per_cost = 1.0
    box.check_room()
    box._cost = int(MAX_WAIT) + 1
    with pytest.raises(Busy) as refusal:
        box.check_room()
    assert refusal.value.retry_after > 0


def test_a_commit_that_takes_too_long_is_busy_though_nothing_waits_behind_it(database):
    box = Acceptance(FakeStore())
    box.add(PendingSubmissions([submission()], Future()))
    taken = box.collect()
    box.check_room()
    taken[0].at -= MAX_WAIT + 1
    with pytest.raises(Busy):
        box.check_room()
    box.restore(taken, in_doubt=False)
    box.check_room()


class Impatient(Future):
    """The promise to a thread that gives up as soon as it is not kept."""

    def done(self) -> bool:
        was_done = super().done()
        self.cancel()
        return was_done


def test_a_caller_that_gives_up_just_as_it_is_refused_costs_no_other_its_answer(database):
    acceptance = Acceptance(lambda batch, now: [[]] * len(batch))
    cancelled, one, two = Future(), Impatient(), Future()
    for promise in (cancelled, one, two):
        acceptance.add(PendingSubmissions([submission()], promise))
    for pending in acceptance._waiting:
        pending.at -= MAX_WAIT + 1
    cancelled.cancel()
    acceptance.restore([], in_doubt=False)
    assert isinstance(two.exception(0), Busy)
    assert acceptance.waiting == acceptance._bytes == 0
