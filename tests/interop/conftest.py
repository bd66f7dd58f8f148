from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .daemons import shared_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with shared_folder() as found:
        yield found
