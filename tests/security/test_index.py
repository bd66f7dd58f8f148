"""The index of security cases says the truth: its tests exist, and its guards stand where it says."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

from .index import CASES

ROOT = Path(__file__).resolve().parents[2]
GUARDS = {f"{name}: {guard.code}": guard for name, case in CASES.items() for guard in case.guards}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_case_has_its_tests_and_a_guard(case):
    assert case.guards
    for test in case.tests:
        path, *names = test.split("::")
        found = parsed(path)
        for name in names:
            [found] = [node for node in found.body if getattr(node, "name", None) == name]


@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS.keys())
def test_guard_stands_once_and_can_be_taken_away(guard):
    text = (ROOT / guard.path).read_text("utf-8")
    assert guard.count(text) == 1
    without = guard.removed_from(text)
    ast.parse(without)
    assert without != text


@functools.lru_cache
def parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"))
