"""Fixtures that start a real mail server. Loaded in every project: nothing heavy until a fixture is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import MailServer, RunningServer


@pytest.fixture(scope="session")
def postal_server() -> Iterator[RunningServer]:
    """A mail server on free loopback ports, for the whole session. Needs the extra `server`."""
    from .testing import RunningServer  # noqa: PLC0415 - nothing heavy at import

    with RunningServer() as running:
        yield running


@pytest.fixture
def postal(postal_server: RunningServer) -> MailServer:
    """A mail server of its own for the test: keys, domain, outbox, webhook and route set-up."""
    return postal_server.add()
