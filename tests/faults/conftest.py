"""How long the tests run, on which databases, and the tables they print."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import postgresql
from tests.faults.stage import Stage

# What is acknowledged must be on the disk, as on a real server; `postgresql.OPTIONS` leaves that out.
OPTIONS = "-c listen_addresses='' -c max_connections=50"
TABLES: list[str] = []


@dataclass(frozen=True)
class Scale:
    """How much of each fault: little in the test suite, much by `make soak`, which sets the variables."""

    kills: int = int(os.environ.get("KILLS", "8"))
    seed: int = int(os.environ.get("SEED", "1"))
    seconds_away: float = float(os.environ.get("SECONDS_AWAY", "10"))
    soak_minutes: float = float(os.environ.get("MINUTES", "0"))
    is_soak: bool = "KILLS" in os.environ


@pytest.fixture(scope="session")
def scale() -> Scale:
    return Scale()


@pytest.fixture
def tabulate() -> Callable[..., None]:
    """Add a table of names and figures to what is printed at the end."""

    def add(title: str, figures: dict[str, Any]) -> None:
        rows = [f"| {name} | {value} |" for name, value in figures.items()]
        TABLES.append("\n".join([f"## {title}", "", "| | |", "| --- | ---: |", *rows]))

    return add


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for table in TABLES:
        terminalreporter.write_line(f"\n{table}\n")


def require_postgresql() -> None:
    if postgresql.binaries() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")


@pytest.fixture
def cluster() -> Iterator[postgresql.Cluster]:
    """A PostgreSQL of this test's own."""
    require_postgresql()
    with postgresql.cluster(OPTIONS) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request) -> str | None:
    """The URL of an empty PostgreSQL database, null for SQLite."""
    return request.getfixturevalue("cluster").url if request.param == "postgresql" else None


@pytest.fixture
def play(tmp_path: Path, scale: Scale) -> Iterator[Callable[..., Stage]]:
    """Set up a `Stage` with these arguments; it is cleared after the test."""
    with contextlib.ExitStack() as stack:

        def make(**arguments: Any) -> Stage:
            return stack.enter_context(Stage(tmp_path, quick=not scale.is_soak, **arguments))

        yield make
