"""SIGKILL of any process at any moment: nothing acknowledged is lost, and little is delivered twice."""

from __future__ import annotations

import random
import time
from collections import Counter

from tests.faults.stage import Stage, wait_until

PROCESSES = ("web", "smtp", "worker-1", "worker-2")
SECONDS_BETWEEN = 3.0  # at most, from when mail moves again to the next kill
SECONDS_DOWN = 0.5  # at most, from kill to restart
# So many messages are taken and delivered between two kills, however slow the machine is.
PROGRESS = 20
PROGRESS_WITHIN = 60.0  # seconds
DELIVERED_WITHIN = 120.0  # seconds after the last kill
TOLD_WITHIN = 300.0  # the same for webhooks, of which a slow machine has many waiting by then
RATE = 60.0  # messages a second


def wait_for_progress(stage: Stage) -> None:
    """Wait until some more mail was taken, and some delivered."""
    taken, delivered = len(stage.acknowledged()), len(stage.arrivals())
    wait_until(
        lambda: (
            len(stage.acknowledged()) >= taken + PROGRESS and len(stage.arrivals()) >= delivered + PROGRESS
        ),
        PROGRESS_WITHIN,
        "mail moves",
    )


def kill_at_random(stage: Stage, kills: int, seed: int) -> Counter[str]:
    """Kill processes and start them again; how often each was killed. They may well still be starting."""
    chance = random.Random(seed)
    killed: Counter[str] = Counter()
    for _ in range(kills):
        wait_for_progress(stage)
        time.sleep(chance.uniform(0, SECONDS_BETWEEN))
        name = chance.choice(PROCESSES)
        stage.kill(name)
        killed[name] += 1
        time.sleep(chance.uniform(0, SECONDS_DOWN))
        stage.begin(name)
    return killed


def test_nothing_acknowledged_is_lost_by_kills(database, play, scale, tabulate):
    stage = play(database=database)
    stage.start(*PROCESSES)
    started = time.monotonic()
    stage.submit(rate=RATE)
    killed = kill_at_random(stage, scale.kills, scale.seed)
    last_kill = time.monotonic()
    stage.end_load()
    acknowledged = stage.acknowledged()
    while stage.missing() and time.monotonic() < last_kill + DELIVERED_WITHIN:
        time.sleep(0.2)
    delivered = time.monotonic() - last_kill
    while stage.queued() and time.monotonic() < last_kill + TOLD_WITHIN:
        time.sleep(0.2)
    told = time.monotonic() - last_kill
    lost, unheard, twice = stage.missing(), stage.unheard(), stage.twice()
    events = stage.events()
    refusals = stage.refusals()
    tabulate(
        f"Kills on {'PostgreSQL' if database else 'SQLite'}, seed {scale.seed}",
        {
            "kills": f"{sum(killed.values())} ({', '.join(f'{n} {killed[n]}' for n in PROCESSES)})",
            "acknowledged": f"{len(acknowledged)} {dict(Counter(acknowledged.values()))}",
            "refused": sum(bool(text) for _, text in refusals),
            "connections that broke before the answer": sum(not text for _, text in refusals),
            "delivered": len(acknowledged) - len(lost),
            "lost": len(lost),
            "delivered twice": sum(twice.values()),
            "in flight at the kills (bound of the above)": sum(stage.in_flight.values()),
            "webhooks arrived": sum(len(uuids) for uuids in events.values()),
            "of these more than once": sum(n > 1 for uuids in events.values() for n in uuids.values()),
            "messages without webhook": len(unheard),
            "all delivered, seconds after the last kill": f"{delivered:.0f}",
            "all webhooks told, seconds after it": f"{told:.0f}",
            "seconds": f"{time.monotonic() - started:.0f}",
        },
    )
    assert not lost
    assert not unheard
    # A message may arrive again for each kill of a worker that held it, and for nothing else.
    assert {who: copies for who, copies in twice.items() if copies > stage.in_flight[who]} == {}
    assert all(len(uuids) == 1 for uuids in events.values()), "one attempt was recorded: one event"
    assert all(len(ids) == 1 for ids in stage.message_ids().values()), "copies bear the same Message-ID"
    assert stage.queued() == 0


def test_a_worker_that_dies_again_and_again_makes_no_message_suspect_for_good(play):
    """Each time with all of them claimed, before it could try one: a mail that kills is not among them."""
    stage = play()
    stage.start("web", "worker")
    stage.flag("pause", True)
    stage.submit(rate=100, kinds=("api",))
    wait_until(lambda: len(stage.acknowledged()) >= 30, 30, "mail is taken")
    stage.end_load()
    for _ in range(5):
        worker = stage.processes["worker"].pid
        wait_until(lambda pid=worker: bool(stage.held_by(pid)), 30, "the worker has claimed", every=0.002)
        stage.kill("worker")
        stage.begin("worker")
    stage.flag("pause", False)
    wait_until(lambda: not stage.missing(), 30, "all is delivered, nothing held")
