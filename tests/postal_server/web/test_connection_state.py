"""The states of an HTTP connection: the table leaves nothing open, and no connection can hang in it."""

from __future__ import annotations

from itertools import product

import pytest

from postal_server.net.state_table import ImpossibleTransition, next_state
from postal_server.web.connection_state import IMPOSSIBLE, TRANSITIONS, Event, State
from tests.each import each

PAIRS = list(product(State, Event))


def reachable(start: State) -> set[State]:
    found, new = set(), {start}
    while new:
        found |= new
        new = {after for (before, _), after in TRANSITIONS.items() if before in new} - found
    return found


@each("state, event", PAIRS)
def test_every_event_leads_somewhere_or_is_impossible(state, event):
    is_impossible = event in IMPOSSIBLE[state]
    assert ((state, event) in TRANSITIONS) is not is_impossible
    if is_impossible:
        with pytest.raises(ImpossibleTransition, match=f"{event.name} while {state.name}"):
            next_state(TRANSITIONS, state, event)
    else:
        assert next_state(TRANSITIONS, state, event) is TRANSITIONS[state, event]


def test_every_state_is_reached_and_every_event_used():
    assert reachable(State.IDLE) == set(State)
    assert {event for _, event in TRANSITIONS} == set(Event)


@each("state", State, ids=lambda state: state.name)
def test_every_state_leads_to_the_end(state):
    assert State.CLOSED in reachable(state)


@each("state", [s for s in State if s is not State.CLOSED], ids=lambda s: s.name)
def test_a_connection_that_is_lost_comes_to_its_end(state):
    assert TRANSITIONS[state, Event.LOST] in (State.CLOSED, State.ABANDONED)
