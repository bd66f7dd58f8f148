from __future__ import annotations

from datetime import timedelta

import pytest

from postal_server.engine.lanes import (
    FAILURES_UNTIL_PAUSE,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Lanes,
    Limits,
    Pause,
)
from tests.fakes import NOW, claimed

LANE = "dest.example"


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(Limits(connections=5, held=100, held_bytes=10_000))


def fail(lanes: Lanes, times: int, now=NOW) -> list[bool]:
    return [lanes.note(LANE, was_reached=False, now=now) for _ in range(times)]


@pytest.mark.parametrize(
    ("held", "bulk", "room"),
    [(0, False, 10), (4, False, 6), (12, False, 0), (0, True, 5), (4, True, 1), (5, True, 0)],
)
def test_room(lanes, held, bulk, room):
    lanes.hold(claimed(n, lane=LANE, size_bytes=1) for n in range(held))
    assert lanes.room(LANE, NOW, bulk=bulk) == room
    assert lanes.room("other.example", NOW) == 10


def test_space_is_what_may_still_be_held(lanes):
    rows = [claimed(n, size_bytes=100) for n in range(30)]
    lanes.hold(rows)
    assert lanes.space == 70
    lanes.release(rows[:10])
    assert lanes.space == 80
    lanes.release_all()
    assert (lanes.space, lanes.held_bytes, list(lanes.held)) == (100, 0, [])


def test_bulk_mail_has_three_eighths_of_the_space(lanes):
    rows = [claimed(n, size_bytes=1, is_bulk=True) for n in range(30)]
    lanes.hold([*rows, claimed(99, size_bytes=1)])
    assert (lanes.bulk_space, lanes.space) == (7, 69)
    lanes.release(rows[:10])
    assert lanes.bulk_space == 17


def test_bulk_mail_has_three_eighths_of_the_bytes(lanes):
    lanes.hold([claimed(1, size_bytes=3750, is_bulk=True)])
    assert lanes.bulk_space == 0
    assert lanes.space == 99


def test_the_same_row_is_held_once_and_released_once(lanes):
    row = claimed(1, size_bytes=10)
    lanes.hold([row, row])
    lanes.release([row, row, claimed(99)])
    assert lanes.held_bytes == 0
    assert lanes.room(LANE, NOW) == 10


def test_an_earlier_claim_of_a_row_does_not_release_the_later_one(lanes):
    earlier, later = claimed(1), claimed(1)
    lanes.hold([earlier])
    lanes.release_all()
    lanes.hold([later])
    lanes.release([earlier])
    assert lanes.holds(later)
    assert not lanes.holds(earlier)


def test_no_space_without_bytes(lanes):
    lanes.hold([claimed(1, size_bytes=10_000)])
    assert lanes.space == 0


@pytest.mark.parametrize(
    ("held_bytes", "sizes", "fitting"),
    [
        (0, [4000, 4000, 4000], 2),
        (0, [10_000], 1),
        (0, [50_000, 1], 1),
        (1, [50_000], 0),
        (9000, [1000, 1], 1),
        (0, [], 0),
    ],
)
def test_within_budget(lanes, held_bytes, sizes, fitting):
    if held_bytes:
        lanes.hold([claimed(1, size_bytes=held_bytes)])
    assert lanes.within_budget(sizes) == fitting


def test_a_destination_is_paused_after_many_failures_in_a_row(lanes):
    assert fail(lanes, FAILURES_UNTIL_PAUSE) == [False] * (FAILURES_UNTIL_PAUSE - 1) + [True]
    assert lanes.pause(LANE) == Pause(NOW + FIRST_PAUSE)
    assert lanes.room(LANE, NOW) == 0


def test_one_success_between_failures_starts_the_count_again(lanes):
    fail(lanes, FAILURES_UNTIL_PAUSE - 1)
    assert lanes.note(LANE, was_reached=True, now=NOW) is False
    assert not any(fail(lanes, FAILURES_UNTIL_PAUSE - 1))


def test_late_failures_during_a_pause_change_nothing(lanes):
    fail(lanes, FAILURES_UNTIL_PAUSE)
    assert not any(fail(lanes, 5))


def test_each_failed_probe_doubles_the_pause_up_to_a_limit(lanes):
    fail(lanes, FAILURES_UNTIL_PAUSE)
    lengths = []
    for _ in range(7):
        now = lanes.pause(LANE).until
        assert lanes.room(LANE, now) == 1
        assert fail(lanes, 1, now) == [True]
        lengths.append(lanes.pause(LANE).length)
    assert lengths[:2] == [FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert lengths[-1] == LONGEST_PAUSE


def test_a_successful_probe_ends_the_pause(lanes):
    fail(lanes, FAILURES_UNTIL_PAUSE)
    assert lanes.note(LANE, was_reached=True, now=NOW) is True
    assert lanes.pause(LANE) is None
    assert lanes.room(LANE, NOW) == 10


def test_shared_pauses_replace_our_own_but_keep_what_is_known_of_their_length(lanes):
    fail(lanes, FAILURES_UNTIL_PAUSE)
    until = lanes.pause(LANE).until
    fail(lanes, 1, until)
    known = lanes.pause(LANE)
    lanes.set_pauses({LANE: known.until, "other.example": NOW + timedelta(minutes=1)})
    assert lanes.pause(LANE) == known
    assert lanes.room("other.example", NOW) == 0
    lanes.set_pauses({})
    assert lanes.room(LANE, NOW) == 10


def test_a_wait_that_was_asked_for_is_bounded_and_not_made_shorter(lanes):
    assert lanes.leave_alone(LANE, timedelta(days=30), NOW)
    assert lanes.pause(LANE).until == NOW + timedelta(hours=1)
    assert not lanes.leave_alone(LANE, timedelta(minutes=1), NOW)
    assert not lanes.note(LANE, was_reached=True, now=NOW)
    assert lanes.room(LANE, NOW) == 0
    after = NOW + timedelta(hours=1)
    assert lanes.room(LANE, after) == 1
    assert lanes.note(LANE, was_reached=True, now=after)
    assert lanes.pause(LANE) is None
