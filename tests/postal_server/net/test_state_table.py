from __future__ import annotations

import pytest

from postal_server.net.state_table import ImpossibleTransition, next_state
from postal_server.net.table_key import TableKey


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
