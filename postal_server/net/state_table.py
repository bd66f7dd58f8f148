"""Tables of states: by state and event, the state that follows; looked up for each request or command."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar


class TableKey(enum.Enum):
    """States and events. Members hash as objects do: Enum's own hash is slow Python."""

    __hash__ = object.__hash__


StateT = TypeVar("StateT", bound=TableKey)
EventT = TypeVar("EventT", bound=TableKey)


class ImpossibleTransition(Exception):
    """A bug: an event that cannot happen in this state."""


def next_state(transitions: Mapping[tuple[StateT, EventT], StateT], state: StateT, event: EventT) -> StateT:
    """The state after `event`. Raises `ImpossibleTransition`."""
    try:
        return transitions[state, event]
    except KeyError:
        raise ImpossibleTransition(f"{event.name} while {state.name}") from None
