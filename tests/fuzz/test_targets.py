"""Every target on its kept inputs and on some new ones. `make fuzz` tries many more."""

from __future__ import annotations

import pytest

from .search import search
from .targets import CORPUS, TARGETS

EXAMPLES = 20
LONG_EXAMPLES = 3
by_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())


@by_target
def test_kept_inputs_hold_what_is_promised(target):
    for data in target.inputs():
        target.run(data)


@by_target
def test_new_inputs_hold_what_is_promised(target):
    search(target, EXAMPLES)


@by_target
def test_long_inputs_hold_what_is_promised(target):
    search(target, LONG_EXAMPLES, is_long=True)


def test_every_kept_input_belongs_to_a_target():
    assert {folder.name for folder in CORPUS.iterdir()} <= TARGETS.keys()
