"""What the benchmarks say of their own figures."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks import rows
from benchmarks.report import Row


def test_a_child_that_ends_meanwhile_costs_no_measurement(monkeypatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    monkeypatch.setattr(rows, "family", lambda pid: [pid, ended.pid])
    assert rows._seconds([os.getpid()]) > 0


def test_a_process_that_has_ended_has_no_children() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert rows.family(ended.pid) == [ended.pid]


def test_the_column_says_what_its_values_are() -> None:
    runs, quartiles = Row("a", "b"), Row("a", "b", each="quartiles")
    for row in (runs, quartiles):
        row.add("x", 1.0)
    assert "messages/s, median | runs |" in runs.markdown()
    assert "messages/s, median | quartiles |" in quartiles.markdown()
