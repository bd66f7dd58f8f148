"""Two machines, one with PostgreSQL; the other is cut off while its worker is busy."""

from __future__ import annotations

import time

import pytest

from tests import postgresql
from tests.faults import namespace
from tests.faults.conftest import require_postgresql
from tests.faults.stage import wait_until
from tests.interop.daemons import shared_folder

RATE = 40.0
SECONDS_OF_LOAD = {False: 2.0, True: 6.0}  # in the test suite, in a soak
# Seconds from the cut until what the worker held is delivered by the other: quick leases, real ones. With
# quick ones it takes 15 s on a quiet machine, and twice that where other tests run.
FREE_WITHIN = {False: 60.0, True: 60.0}


@pytest.fixture
def machines():
    with namespace.two_machines() as both:
        yield both


@pytest.fixture
def shared(machines):
    """The URL of a PostgreSQL on the first machine, for both."""
    require_postgresql()
    first, _ = machines
    with shared_folder() as folder:
        server = postgresql.Cluster(folder, f"-c listen_addresses={first.address} -c max_connections=50")
        with (folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {namespace.NETWORK} trust\n")
        with first.entered():
            server.start()
        server.create_database()  # by its Unix socket, which namespaces share
        yield f"postgresql://postal@{first.address}/postal"
        server.stop()


def test_a_machine_that_is_cut_off_loses_and_holds_up_nothing(machines, shared, play, scale, tabulate):
    first, second = machines
    with first.entered():
        stage = play(database=shared, address=first.address)
        stage.start("web", "smtp", "worker-1")
    with second.entered():
        stage.start("worker-2")
    with first.entered():
        stage.submit(rate=RATE)
        time.sleep(SECONDS_OF_LOAD[scale.is_soak])
        away = stage.processes["worker-2"].pid
        wait_until(lambda: bool(stage.held_by(away)), 10, "the second machine's worker is busy", every=0.01)
        second.cut()
        cut_at = time.monotonic()
        held = stage.held_by(away)
        stage.in_flight.update(held)
        time.sleep(SECONDS_OF_LOAD[scale.is_soak])
        stage.end_load()
        left = cut_at + FREE_WITHIN[scale.is_soak] - time.monotonic()
        wait_until(
            lambda: not stage.missing() and not stage.queued(), left, f"not stuck: {len(held)} were held"
        )
        complete = time.monotonic() - cut_at
        second.join()
        before = len(stage.acknowledged())
        stage.submit(rate=RATE, first=1_000_000)
        wait_until(lambda: bool(stage.held_by(away)), 60, "the second machine's worker is back", every=0.01)
        stage.end_load()
        wait_until(lambda: not stage.missing() and not stage.unheard(), 60, "all is delivered")
        twice = stage.twice()
        tabulate(
            "Two machines, one of them cut off",
            {
                "acknowledged before the end of the cut": before,
                "lost": len(stage.missing()),
                "held by the worker that was cut off": len(held),
                "delivered twice": sum(twice.values()),
                "all there, seconds after the cut": f"{complete:.0f}",
            },
        )
        assert {who: copies for who, copies in twice.items() if copies > stage.in_flight[who]} == {}
