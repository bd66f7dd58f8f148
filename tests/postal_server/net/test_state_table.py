from __future__ import annotations

import copy
import pickle

import pytest

from postal_server.net.state_table import ImpossibleTransition, TableKey, next_state
from postal_server.smtpd import connection_state as smtp
from postal_server.web import connection_state as http
from tests.each import each


class Lamp(TableKey):
    ON = "on"
    OFF = "off"


class Switch(TableKey):
    PRESSED = "pressed"
    PULLED = "pulled"


TRANSITIONS = {(Lamp.ON, Switch.PRESSED): Lamp.OFF, (Lamp.OFF, Switch.PRESSED): Lamp.ON}


def test_the_table_says_what_follows():
    assert next_state(TRANSITIONS, Lamp.ON, Switch.PRESSED) is Lamp.OFF


def test_what_is_not_in_the_table_is_impossible():
    with pytest.raises(ImpossibleTransition, match="PULLED while OFF"):
        next_state(TRANSITIONS, Lamp.OFF, Switch.PULLED)


class Colour(TableKey):
    RED = "red"
    BLUE = "blue"


def test_members_are_keys():
    table = {Colour.RED: 1, Colour.BLUE: 2}
    assert table[Colour("red")] == table[Colour["RED"]] == table[pickle.loads(pickle.dumps(Colour.RED))] == 1
    assert table[copy.deepcopy(Colour.BLUE)] == 2


@each("keys", [Colour, http.State, http.Event, smtp.State, smtp.Event, smtp.Phase])
def test_their_hash_is_not_python(keys):
    assert keys.__hash__ is object.__hash__
