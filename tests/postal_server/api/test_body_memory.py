"""Many large bodies at a time."""

from __future__ import annotations

import pytest

from postal_server.api.body_memory import BodyMemoryBudget
from postal_server.errors import Busy


def test_bodies_share_the_room() -> None:
    room = BodyMemoryBudget(100)
    with room.take(60), room.take(40), pytest.raises(Busy), room.take(1):
        pass
    with room.take(100):
        pass


def test_one_body_alone_always_has_room() -> None:
    room = BodyMemoryBudget(100)
    with room.take(1000), pytest.raises(Busy), room.take(1):
        pass


def test_room_is_given_back_after_a_failure() -> None:
    room = BodyMemoryBudget(100)
    with pytest.raises(KeyError), room.take(100):
        raise KeyError
    with room.take(100):
        pass
