"""The comparison of two revisions as a whole. Its parts are tested in `test_benchmarks.py`."""

from __future__ import annotations

import subprocess
import sys

from benchmarks import compare

from .test_benchmarks import require_history


def test_a_revision_is_compared_with_itself() -> None:
    require_history()
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
