from __future__ import annotations

import pytest

from postal_server.engine.undoable import Undoable


@pytest.fixture
def values() -> Undoable[str, int]:
    values: Undoable[str, int] = Undoable()
    values["kept"] = 1
    values["removed"] = 2
    values.settle()
    return values


def change(values: Undoable[str, int]) -> None:
    values["kept"] = 10
    values["kept"] = 11
    values["new"] = 12
    del values["removed"]
    values.pop("unknown", None)


def test_changes_count_at_once(values):
    change(values)
    assert values == {"kept": 11, "new": 12}


def test_changes_are_taken_back_to_what_was_last_durable(values):
    change(values)
    values.undo()
    assert values == {"kept": 1, "removed": 2}


def test_what_is_durable_is_not_taken_back(values):
    change(values)
    values.settle()
    values.undo()
    assert values == {"kept": 11, "new": 12}


def test_what_came_and_went_leaves_nothing(values):
    values["new"] = 3
    del values["new"]
    values.undo()
    assert values == {"kept": 1, "removed": 2}


def test_what_others_recorded_replaces_all_and_is_not_taken_back(values):
    values.replace({"theirs": 7})
    values.undo()
    assert values == {"theirs": 7}


def test_undoing_once_is_enough(values):
    values["kept"] = 5
    values.undo()
    values["kept"] = 6
    values.settle()
    values.undo()
    assert values["kept"] == 6
