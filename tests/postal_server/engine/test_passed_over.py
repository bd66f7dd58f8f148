"""Mail behind much that cannot go now is found, and soon."""

from __future__ import annotations

import time

import pytest

from postal_server.engine.claimer import Claimer
from postal_server.engine.lanes import Lanes, Limits, Pause
from postal_server.engine.lease import Lease
from postal_server.engine.queue import LANES_A_SERVER, MESSAGES, SERVERS_A_CLAIM, Queue
from postal_server.engine.work_stream import WorkStream
from postal_server.models import DestinationPause
from tests.postal_server.engine.conftest import LATER, FakeBatchServices, run


@pytest.fixture
def claims() -> list:
    return []


@pytest.fixture
def claimer(worker_id, claims) -> Claimer:
    lease = Lease()
    lease.renewed(worker_id, time.monotonic())
    stream = WorkStream(Queue(MESSAGES), Lanes(Limits(connections=20, held=1000)), FakeBatchServices())
    return Claimer(stream, lease, claims.append)


def found(claims) -> list[str]:
    return [row.lane for batch in claims for row in batch.fresh]


def claim_until_idle(claimer, database) -> None:
    """Claim as a worker does that hears of nothing new, without the chores of each second."""
    if database != "sqlite":
        claimer._others_wrote = lambda: False
    claimer._chores_at = time.monotonic() + 100
    for _ in range(20):
        run(claimer)


@pytest.fixture
def paused(claimer) -> Claimer:
    """Once its first claim has told it that nobody answers at `dead.example`."""
    DestinationPause.objects.create(destination="dead.example", paused_until=LATER)
    run(claimer)
    return claimer


def test_a_dead_destination_of_many_servers_delays_no_other_mail(paused, claims, enqueue, database):
    for server in range(1, 6 * SERVERS_A_CLAIM):
        enqueue(server=server, destination="dead.example")
    enqueue(server=6 * SERVERS_A_CLAIM, destination="alive.example")
    paused.want()
    claim_until_idle(paused, database)
    assert found(claims) == ["alive.example"]


def test_dead_destinations_of_one_server_delay_no_other_mail(claimer, claims, enqueue, database):
    run(claimer)
    lanes = claimer._stream.lanes
    for number in range(3 * LANES_A_SERVER):
        enqueue(destination=f"dead{number:03}.example")
        lanes._pauses[f"dead{number:03}.example"] = Pause(LATER)
    enqueue(destination="zoo.example")
    claimer.want()
    claim_until_idle(claimer, database)
    assert found(claims) == ["zoo.example"]


def test_few_that_cannot_be_sent_are_looked_at_once(paused, enqueue, database):
    for server in range(1, SERVERS_A_CLAIM):
        enqueue(server=server, destination="dead.example")
    paused.want()
    claim_until_idle(paused, database)
    assert not paused.collect()
