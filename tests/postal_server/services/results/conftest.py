"""Recording, and the events of it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from postal_server.models import WebhookRequest
from postal_server.services.results import record as results
from tests.postal_server.services.conftest import NOW

LATER = NOW + timedelta(seconds=2)


@pytest.fixture
def record(world, config):
    """Records at LATER; the directory is that of the call."""

    def call(*items):
        return results.record(items, world.directory(), config, LATER)

    return call


def events(name):
    """The payloads of these events."""
    return [json.loads(bytes(row.body))["payload"] for row in WebhookRequest.objects.filter(event=name)]
