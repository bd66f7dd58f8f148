"""SIGKILL of any process at any moment: nothing acknowledged is lost, and little is delivered twice."""

from __future__ import annotations

import random
import time
from collections import Counter

from postal_server.models.queue_state import SUSPECT_CLAIMS
from tests.faults.conftest import Scale
from tests.faults.load import API, INCOMING, SMTP
from tests.faults.stage import Stage, wait_until

PROCESSES = ("web", "smtp", "worker-1", "worker-2")
# At most, from when mail moves again to the next kill: in the test suite, in a soak.
SECONDS_BETWEEN = {False: 1.0, True: 3.0}
SECONDS_DOWN = 0.5  # at most, from kill to restart
# So many messages are taken and delivered between two kills, however slow the machine is.
PROGRESS = 20
PROGRESS_WITHIN = 60.0  # seconds
DELIVERED_WITHIN = 120.0  # seconds after the last kill
SENT_WITHIN = 300.0  # the same for webhooks, of which a slow machine has many waiting by then
RATE = 60.0  # messages a second
# After so many kills of a soak a worker stays dead, so that on PostgreSQL its lease expires.
EXPIRY_EVERY = 25
EXPIRED_WITHIN = 65.0  # seconds
DEATHS = SUSPECT_CLAIMS + 1


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


def victims(kills: int, chance: random.Random) -> list[str]:
    """Whom to kill: rounds of all processes, each in an order of its own."""
    rounds = -(-kills // len(PROCESSES))
    return [name for _ in range(rounds) for name in chance.sample(PROCESSES, len(PROCESSES))][:kills]


def kill_at_random(stage: Stage, scale: Scale) -> Counter[str]:
    """Kill processes and start them again; how often each was killed. They may well still be starting."""
    chance = random.Random(scale.seed)
    killed: Counter[str] = Counter()
    for number, victim in enumerate(victims(scale.kills, chance), 1):
        is_expiry = scale.is_soak and number % EXPIRY_EVERY == 0
        name = "worker-1" if is_expiry else victim
        wait_for_progress(stage)
        time.sleep(chance.uniform(0, SECONDS_BETWEEN[scale.is_soak]))
        dead = stage.processes[name].pid
        stage.kill(name)
        killed[name] += 1
        if is_expiry:
            wait_until(
                lambda pid=dead: not stage.is_worker(pid), EXPIRED_WITHIN, "what the dead worker held is free"
            )
        time.sleep(chance.uniform(0, SECONDS_DOWN))
        stage.begin(name)
    return killed


def test_nothing_acknowledged_is_lost_by_kills(database, play, scale, tabulate):
    stage = play(database=database)
    stage.start(*PROCESSES)
    started = time.monotonic()
    stage.submit(rate=RATE)
    killed = kill_at_random(stage, scale)
    last_kill = time.monotonic()
    stage.end_load()
    acknowledged = stage.acknowledged()
    while stage.missing() and time.monotonic() < last_kill + DELIVERED_WITHIN:
        time.sleep(0.2)
    delivered = time.monotonic() - last_kill
    lost = stage.missing()  # now: what comes later, while webhooks are awaited, came too late
    while stage.queued() and time.monotonic() < last_kill + SENT_WITHIN:
        time.sleep(0.2)
    sent_after = time.monotonic() - last_kill
    unheard, twice = stage.unheard(), stage.twice()
    events = stage.events()
    message_ids = stage.message_ids()
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
            "all webhooks sent, seconds after it": f"{sent_after:.0f}",
            "seconds": f"{time.monotonic() - started:.0f}",
        },
    )
    assert set(killed) == set(PROCESSES)
    assert set(acknowledged.values()) == {API, SMTP, INCOMING}
    assert not lost
    assert not unheard
    # A message may arrive again for each kill of a worker that held it, and for nothing else.
    assert {who: copies for who, copies in twice.items() if copies > stage.in_flight[who]} == {}
    assert all(len(uuids) == 1 for uuids in events.values()), "one attempt was recorded: one event"
    assert all(len(ids) == 1 for ids in message_ids.values()), "copies bear the same Message-ID"
    assert {who for who, ids in message_ids.items() if "" in ids} == set(), "each bears one"
    assert stage.queued() == 0


def test_a_worker_that_dies_again_and_again_makes_no_message_suspect_for_good(play):
    """Each time with all of them claimed, before it could try one: a mail that kills is not among them."""
    stage = play()
    stage.start("web", "worker")
    stage.flag("pause", True)
    stage.submit(rate=100, kinds=("api",))
    wait_until(lambda: len(stage.acknowledged()) >= 30, 30, "mail is taken")
    stage.end_load()
    accused = set()  # what a worker was just trying alone, for it was claimed too often: rightly held
    for _ in range(DEATHS):
        worker = stage.processes["worker"]
        wait_until(lambda pid=worker.pid: bool(stage.held_by(pid)), 30, "the worker has claimed", every=0.002)
        worker.freeze()
        alone = stage.held_by(worker.pid, least_claims=SUSPECT_CLAIMS + 1)
        assert len(alone) <= 1
        accused.update(alone)
        stage.kill("worker")
        stage.begin("worker")
    stage.flag("pause", False)
    wait_until(lambda: stage.missing() <= accused and not stage.queued(), 30, "all is delivered")
    found = dict(stage.query("SELECT rcpt_to, status FROM postal_server_message"))
    assert {who for who, status in found.items() if status != "Sent"} <= accused, "nothing else is held"
    assert set(found.values()) <= {"Sent", "Held"}
