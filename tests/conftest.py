"""What all tests share."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> None:
    """Let the collector pass over what earlier modules left: tests that bound time would pay for it."""
    gc.collect()
    gc.freeze()
