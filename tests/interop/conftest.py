from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from postal_server.testing import MailServer, RunningServer

from .daemons import shared_folder

T = TypeVar("T")


@pytest.fixture
def pair(installed: tuple[RunningServer, T]) -> tuple[MailServer, T]:
    """A mail server of our own, and the daemon that it is `installed` with, as the module says."""
    ours, daemon = installed
    return ours.add(), daemon


@pytest.fixture
def folder() -> Iterator[Path]:
    with shared_folder() as found:
        yield found
