from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for daemons that give up root's rights: pytest's own are closed to them."""
    found = Path(tempfile.mkdtemp(prefix="interop-"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found, ignore_errors=True)
