from __future__ import annotations

import pytest

from postal_server.web.unsent import GRACE_SECONDS, UnsentResponses


class Reader:
    """A client with so much of its answer unread."""

    def __init__(self, unsent_bytes: int) -> None:
        self.unsent_bytes = unsent_bytes
        self.is_cut_off = False

    def give_up(self) -> None:
        self.is_cut_off = True


def waiting(*sizes: int) -> tuple[UnsentResponses, list[Reader]]:
    """At time 0 there is room for 100 bytes, and these wait."""
    unsent, readers = UnsentResponses(100), [Reader(size) for size in sizes]
    for reader in readers:
        unsent.add(reader, 0.0)
    return unsent, readers


def test_who_reads_slowest_makes_room_for_another_answer():
    unsent, readers = waiting(40, 40, 20)
    for reader, left in zip(readers, (20, 39, 10), strict=True):
        reader.unsent_bytes = left
    last = Reader(60)
    unsent.add(last, GRACE_SECONDS)
    assert [each.is_cut_off for each in (*readers, last)] == [False, True, False, False]
    assert unsent.held_bytes == 90


@pytest.mark.parametrize("seconds", [0.0, GRACE_SECONDS - 0.1])
def test_who_has_just_begun_is_not_taken_for_slow(seconds):
    unsent, [old] = waiting(60)
    young = Reader(40)
    unsent.add(young, GRACE_SECONDS)
    old.unsent_bytes = 59
    unsent.add(Reader(10), GRACE_SECONDS + seconds)
    assert (old.is_cut_off, young.is_cut_off) == (True, False)


def test_where_all_have_just_begun_there_is_a_bound_as_well():
    unsent, readers = waiting(60, 60, 60)
    assert [each.is_cut_off for each in readers] == [True, True, False]
    assert unsent.held_bytes == 60


def test_one_answer_alone_may_be_of_any_size():
    _, [reader] = waiting(1000)
    assert not reader.is_cut_off


def test_what_was_read_or_is_gone_takes_no_room():
    unsent, [first, second] = waiting(50, 50)
    unsent.remove(first)
    unsent.remove(first)
    unsent.add(Reader(50), 0.0)
    assert not any(reader.is_cut_off for reader in (first, second))
