from __future__ import annotations

from postal_server.net.memory_budget import MemoryBudget


class Peer:
    def __init__(self, is_known: bool = False, may_give_way: bool = True) -> None:
        self.is_known = is_known
        self.may_give_way = may_give_way
        self.gave_way = False

    def give_way(self) -> None:
        self.gave_way = True


def test_what_is_held_is_counted_once_and_released():
    room, peer = MemoryBudget(100, 50), Peer()
    assert room.hold(peer, 20)
    assert room.hold(peer, 30)
    assert (room.held, room.held_by_strangers) == (30, 30)
    peer.is_known = True  # it was counted as a stranger, and goes as one
    room.release(peer)
    room.release(peer)
    assert (room.held, room.held_by_strangers) == (0, 0)


def test_strangers_have_less_room():
    room = MemoryBudget(100, 50)
    assert room.hold(Peer(), 30)
    assert not room.hold(Peer(), 21)
    assert room.hold(Peer(is_known=True), 70)
    assert not room.hold(Peer(is_known=True), 35)
    assert (room.held, room.held_by_strangers) == (100, 30)


def test_who_has_no_room_holds_nothing():
    room, peer = MemoryBudget(100, 50), Peer()
    assert room.hold(Peer(), 30)
    assert room.hold(peer, 20)
    assert not room.hold(peer, 25)
    assert room.held == 30


def test_who_is_alone_always_has_room():
    room = MemoryBudget(100, 50)
    assert room.hold(Peer(), 500)
    assert not room.hold(Peer(is_known=True), 300)
    assert MemoryBudget(100, 50).hold(Peer(is_known=True), 500)


def test_the_largest_gives_way_to_one_of_less_than_half_its_size():
    room, large, small = MemoryBudget(1000, 100), Peer(), Peer()
    assert room.hold(small, 35)
    assert room.hold(large, 61)
    assert not room.hold(Peer(), 31)
    assert not large.gave_way
    assert room.hold(Peer(), 30)
    assert (large.gave_way, small.gave_way, room.held) == (True, False, 65)


def test_no_authenticated_client_gives_way_to_another():
    room, known, stranger = MemoryBudget(100, 100), Peer(is_known=True), Peer()
    assert room.hold(known, 60)
    assert room.hold(stranger, 40)
    assert not room.hold(Peer(), 20)
    assert room.hold(Peer(is_known=True), 19)
    assert (known.gave_way, stranger.gave_way) == (True, False)


def test_a_message_that_is_being_stored_does_not_give_way():
    room, storing = MemoryBudget(100, 100), Peer(may_give_way=False)
    assert room.hold(storing, 100)
    assert not room.hold(Peer(), 10)
    assert not storing.gave_way
