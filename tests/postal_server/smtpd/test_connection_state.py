from __future__ import annotations

from itertools import product

import pytest

from postal_server.net.state_table import ImpossibleTransition, next_state
from postal_server.smtpd.commands import VERBS
from postal_server.smtpd.connection_state import (
    IMPOSSIBLE,
    PHASE_EVENTS,
    PHASES,
    TRANSITIONS,
    Event,
    Phase,
    State,
)
from postal_server.smtpd.protocol import SmtpProtocol
from postal_server.smtpd.replies import Answer
from tests.each import each


def test_every_phase_has_an_answer_to_every_verb():
    assert set(PHASES) == set(Phase)
    for phase, row in PHASES.items():
        assert set(row) == {*PHASE_EVENTS}, phase
        assert {*VERBS, ""} <= set(row), phase


def test_every_verb_has_a_command():
    assert set(SmtpProtocol._COMMANDS) == {*VERBS, ""}


def test_every_state_has_a_reader():
    assert set(SmtpProtocol.readers) == set(State)


@each("state, event", list(product(State, Event)))
def test_every_event_leads_somewhere_or_is_impossible(state, event):
    is_impossible = event in IMPOSSIBLE[state]
    assert ((state, event) in TRANSITIONS) is not is_impossible
    if is_impossible:
        with pytest.raises(ImpossibleTransition, match=f"{event.name} while {state.name}"):
            next_state(TRANSITIONS, state, event)
    else:
        assert next_state(TRANSITIONS, state, event) is TRANSITIONS[state, event]


def test_every_event_moves_some_state():
    assert {event for _, event in TRANSITIONS} == set(Event)


@each("state", State)
def test_every_state_can_be_reached_and_can_end(state):
    first = {State.PROXY, State.COMMAND}
    reached = first | set(TRANSITIONS.values())
    assert state in reached
    assert TRANSITIONS[state, Event.CLOSED] is State.CLOSING


@each("phase", Phase)
def test_every_phase_can_be_reached_and_left(phase):
    following = {other for row in PHASES.values() for other in row.values() if isinstance(other, Phase)}
    assert phase in following
    assert PHASES[phase]["RSET"] is Phase.READY


@each("phase", Phase)
def test_a_command_out_of_order_is_an_error_of_the_client(phase):
    answers = [answer for answer in PHASES[phase].values() if isinstance(answer, Answer)]
    assert all(answer.reply.is_permanent and answer.label for answer in answers)


@each("phase", Phase)
def test_message_text_needs_a_recipient(phase):
    has_recipient = phase in (Phase.RCPT, Phase.CHUNKS)
    assert isinstance(PHASES[phase]["BDAT"], Phase) is has_recipient
    assert isinstance(PHASES[phase]["DATA"], Phase) is (phase is Phase.RCPT)
