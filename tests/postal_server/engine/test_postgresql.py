"""The queue on PostgreSQL too: the same tests, in a process of their own.

`tox -e postgresql`, which `.ci/run` runs, has those of the whole engine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connections

from tests import postgresql

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
ROOT = Path(__file__).resolve().parents[3]


def test_the_queue_behaves_the_same_on_postgresql():
    if connections["default"].vendor == "postgresql":
        pytest.skip("these are the tests on PostgreSQL")
    if postgresql.binaries() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    words = [
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-m",
        "not postgresql",
        str(Path(__file__).with_name("test_queue.py")),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE": "postgresql"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
