"""What the benchmarks say of their own figures."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import compare, rows
from benchmarks.compare import Comparison, Scale
from benchmarks.report import Row
from benchmarks.sink import Sink


def require_history() -> None:
    if not (compare.ROOT / ".git").exists():
        pytest.skip("the project's history is not here")


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


def test_the_sides_are_measured_in_turns_that_alternate() -> None:
    measured: list[Path] = []

    @contextlib.contextmanager
    def stage(tree: Path, sink: Sink, scale: Scale) -> Iterator[compare.Measure]:
        def measure() -> compare.Costs:
            measured.append(tree)
            return {"x": float(len(measured))}

        yield measure

    older = Path("older")
    found = compare.compare(stage, older, Scale(pairs=2))
    assert measured == [older, compare.ROOT, compare.ROOT, older]
    assert found == {"x": Comparison(before=[1.0, 4.0], after=[2.0, 3.0])}


def test_the_files_of_a_revision_are_there_for_a_while() -> None:
    require_history()
    with compare.tree_of("HEAD") as tree:
        assert (tree / "postal_server" / "cli.py").exists()
    assert not tree.exists()


def test_two_benchmarks_at_a_time_are_refused() -> None:
    with Sink(hosts=1), pytest.raises(OSError, match="another benchmark runs"):
        Sink(hosts=1)
