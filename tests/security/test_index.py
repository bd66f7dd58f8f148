"""The index of security cases says the truth: its tests exist, and its guards stand where it says."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Any

from .index import CASES, Guard

ROOT = Path(__file__).resolve().parents[2]
GUARDS = {f"{name}: {guard.code}": guard for name, case in CASES.items() for guard in case.guards}


def test_every_case_has_its_tests_and_a_guard():
    missing = [name for name, case in CASES.items() if not case.guards]
    missing += [f"{name}: {test}" for name, case in CASES.items() for test in case.tests if not exists(test)]
    assert not missing


def exists(test: str) -> bool:
    """Is there such a function, or such a method of a class?"""
    path, *names = test.split("::")
    found: Any = parsed(path)
    for name in names:
        nodes = [node for node in found.body if getattr(node, "name", None) == name]
        if len(nodes) != 1:
            return False
        [found] = nodes
    return True


def test_each_guard_stands_once_and_can_be_taken_away():
    assert not [name for name, guard in GUARDS.items() if not can_be_taken_away(guard)]


def can_be_taken_away(guard: Guard) -> bool:
    text = (ROOT / guard.path).read_text("utf-8")
    if guard.count(text) != 1:
        return False
    without = guard.removed_from(text)
    return is_python(without) and without != text


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


@functools.lru_cache
def parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"))
