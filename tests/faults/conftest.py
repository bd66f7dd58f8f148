"""How long the tests run, on which databases, and the tables they print."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import postgresql
from tests.faults.stage import Stage
from tests.interop.daemons import missing

# What is acknowledged must be on the disk, as on a real server; `postgresql.OPTIONS` leaves that out.
OPTIONS = "-c listen_addresses='' -c max_connections=50"
TABLES: list[str] = []
DATABASES = itertools.count(1)


@dataclass(frozen=True)
class Scale:
    """How much of each fault: little in the test suite, much by `make soak`, which sets the variables."""

    kills: int = int(os.environ.get("KILLS", "4"))
    seed: int = int(os.environ.get("SEED", "1"))
    seconds_away: float = float(os.environ.get("SECONDS_AWAY", "7"))
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
        missing("PostgreSQL is not installed")


@pytest.fixture
def cluster() -> Iterator[postgresql.Cluster]:
    """A PostgreSQL of this test's own."""
    require_postgresql()
    with postgresql.cluster(OPTIONS) as server:
        yield server


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[postgresql.Cluster]:
    """A PostgreSQL for all tests that leave it running."""
    require_postgresql()
    with postgresql.cluster(OPTIONS) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request) -> str | None:
    """The URL of an empty PostgreSQL database, null for SQLite."""
    if request.param == "sqlite":
        return None
    server: postgresql.Cluster = request.getfixturevalue("shared_cluster")
    name = f"test{next(DATABASES)}"
    server.create_database(name)
    return server.url_of(name)


@pytest.fixture
def play(tmp_path: Path, scale: Scale) -> Iterator[Callable[..., Stage]]:
    """Set up a `Stage` with these arguments; it is cleared after the test."""
    with contextlib.ExitStack() as stack:

        def make(**arguments: Any) -> Stage:
            return stack.enter_context(Stage(tmp_path, quick=not scale.is_soak, **arguments))

        yield make
