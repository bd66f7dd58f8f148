from __future__ import annotations

import time

from django.db import transaction

from postal_server.engine.heartbeat import Heartbeat
from postal_server.engine.lease import Lease
from postal_server.models import Worker
from tests.postal_server.engine.conftest import run


def test_a_worker_registers_beats_and_learns_that_it_was_buried(database):
    lease, losses = Lease(), []
    heartbeat = Heartbeat(lease, on_loss=lambda: losses.append(1))
    run(heartbeat)
    first = lease.worker_id
    assert lease.is_held(time.monotonic())
    assert heartbeat.collect() == []  # not due yet
    Worker.objects.all().delete()
    lease.renewed(first, time.monotonic() - 15)
    run(heartbeat)
    assert losses == [1]
    assert lease.worker_id not in (None, first)
    with transaction.atomic():
        lease.end()
