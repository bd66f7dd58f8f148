"""What the benchmarks say of their own figures."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks import compare, rows
from benchmarks.compare import Comparison
from benchmarks.report import Row
from benchmarks.sink import Sink


def test_a_child_that_ends_meanwhile_costs_no_measurement(monkeypatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    monkeypatch.setattr(rows, "family", lambda pid: [pid, ended.pid])
    assert rows.processor_seconds([os.getpid()]) > 0


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


def test_what_is_compared_is_each_pair_by_itself() -> None:
    # Both sides became slower together: that is the machine, and no pair says otherwise.
    found = Comparison(before=[100.0, 200.0, 400.0], after=[102.0, 204.0, 408.0])
    assert found.ratios == [1.02, 1.02, 1.02]
    assert found.is_within_bound
    assert not Comparison(before=[100.0, 100.0], after=[104.0, 104.0]).is_within_bound


@pytest.mark.slow
def test_a_revision_is_compared_with_itself() -> None:
    if not (compare.ROOT / ".git").exists():
        pytest.skip("the project's history is not here")
    words = ["compare", "HEAD", "acceptance", "--pairs", "1", "--messages", "50"]
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=compare.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode in (0, 1), told.stderr  # so few messages say nothing about the cost
    assert "| SMTP accept |" in told.stdout
    assert "| API accept |" in told.stdout


def test_two_benchmarks_at_a_time_are_refused() -> None:
    with Sink(hosts=1), pytest.raises(OSError, match="another benchmark runs"):
        Sink(hosts=1)
