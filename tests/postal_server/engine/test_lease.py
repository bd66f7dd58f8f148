from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap

import pytest
from django.db import transaction

from postal_server.engine import clock
from postal_server.engine.database import beside, sqlite_path
from postal_server.engine.heartbeat import Heartbeat
from postal_server.engine.lease import (
    BEAT_INTERVAL,
    DEAD_AFTER,
    HELD_FOR,
    OBSERVE_INTERVAL,
    Lease,
    Observer,
    ProcessLock,
    longest,
)
from postal_server.models import QueuedMessage, ScheduledTask, WebhookRequest, Worker
from tests.each import each
from tests.fakes import NOW


def watch(observer: Observer, until: float, beats, start: float = 0.0) -> list[tuple[float, int]]:
    """Observe at the usual interval; `beats` gives each worker's beat at a time. When each was found dead."""
    found, now = [], start
    while now <= until:
        found += [(now, worker) for worker in observer.observe(beats(now), now)]
        now += OBSERVE_INTERVAL
    return found


def test_a_worker_that_beats_is_never_dead():
    assert watch(Observer(), 3600, lambda now: {1: int(now // BEAT_INTERVAL)}) == []


def test_a_dead_worker_is_found_within_a_minute_of_its_last_beat():
    died_at = 101.0
    found = watch(Observer(), 200, lambda now: {1: int(min(now, died_at) // BEAT_INTERVAL)})
    last_beat = 100.0
    assert last_beat + DEAD_AFTER <= found[0][0] <= last_beat + 60


def test_a_slow_worker_that_beats_every_forty_seconds_lives():
    assert watch(Observer(), 3600, lambda now: {1: int(now // 40)}) == []


def test_no_worker_is_dead_after_a_time_when_none_could_look():
    observer = Observer()
    watch(observer, 20, lambda now: {1: 7})
    away = 20 + 300
    assert observer.observe({1: 7}, away) == []
    found = watch(observer, away + 100, lambda now: {1: 7}, start=away + OBSERVE_INTERVAL)
    assert found[0][0] >= away + DEAD_AFTER


def test_observers_that_die_hand_on_what_they_saw():
    """A crash loop: nobody lives to watch for 45 seconds, and each has a monotonic clock of its own."""
    seen, watched = {}, 0.0
    for start in range(0, 10_000_000, 1_000_000):
        observer = Observer()
        for now in (start, start + 5.0, start + 8.0):
            if observer.observe({1: 7}, now, seen):
                assert watched + now - start >= DEAD_AFTER
                return
            seen = observer.seen
        watched += 8.0
    pytest.fail("the dead worker is never found")


@each("seed", range(20))
def test_observers_that_watch_together_do_not_count_the_same_seconds_twice(seed):
    """Three at a time, each of which may die at any moment; the next knows what all of them saw."""
    chance = random.Random(seed)
    observers = [Observer() for _ in range(3)]
    now = 0.0
    while True:
        seen = longest({1: 7}, [observer.seen for observer in observers])
        number = chance.randrange(3)
        if chance.random() < 0.2:
            observers[number] = Observer()
        if observers[number].observe({1: 7}, now, seen):
            assert now >= DEAD_AFTER
            return
        now += chance.uniform(0, 2)


def test_what_was_seen_of_an_earlier_beat_is_not_handed_on():
    assert Observer().observe({1: 8}, 0.0, {1: (7, DEAD_AFTER)}) == []
    assert Observer().observe({1: 7}, 0.0, {1: (7, DEAD_AFTER)}) == [1]


def test_a_worker_that_could_not_look_for_a_while_forgets_what_it_saw_before():
    observer = Observer()
    watch(observer, 20, lambda now: {1: 7})
    assert observer.observe({1: 7}, 20 + 300, {1: (7, DEAD_AFTER - 1)}) == []
    assert observer.observe({1: 7}, 20 + 305, {1: (7, DEAD_AFTER - 1)}) == []
    assert observer.seen == {1: (7, 5.0)}


def test_the_lease_ends_for_its_holder_before_others_may_take_the_rows():
    assert HELD_FOR + 5 <= DEAD_AFTER


def test_a_lease_is_held_for_forty_seconds_after_its_beat(database):
    lease = Lease()
    assert not lease.is_held(0.0)
    lease.renewed(1, 100.0)
    assert lease.is_held(139.9)
    assert not lease.is_held(140.0)
    assert lease.is_beat_due(110.0)


@pytest.fixture
def registered(database) -> Lease:
    lease = Lease()
    with transaction.atomic():
        worker_id = lease.register(NOW)
    lease.renewed(worker_id, 0.0)
    return lease


def test_a_beat_shows_that_the_worker_lives(registered):
    assert registered.beat()
    assert Worker.objects.get().beat == 1


def test_a_worker_that_was_declared_dead_learns_it_at_its_next_beat(registered):
    Worker.objects.all().delete()
    assert not registered.beat()


def test_the_dead_are_buried_and_what_they_held_is_free(registered, enqueue, ask):
    dead = Worker.objects.create(host="there", pid=1, started_at=NOW).pk
    enqueue(claimed_by=dead, claims=1)
    enqueue(claimed_by=registered.worker_id)
    ask(claimed_by=dead)
    ScheduledTask.objects.create(name="x", due_at=NOW, claimed_by=dead)
    now = 0.0
    buried: list[int] = []
    while not buried:
        with transaction.atomic():
            registered.beat()
            buried = registered.reap_dead_workers(now)
        now += OBSERVE_INTERVAL
    assert buried == [dead]
    assert set(Worker.objects.values_list("pk", flat=True)) == {registered.worker_id}
    assert list(QueuedMessage.objects.order_by("pk").values_list("claimed_by", "claims")) == [
        (None, 1),
        (registered.worker_id, 0),
    ]
    assert WebhookRequest.objects.get().claimed_by is None
    assert ScheduledTask.objects.get().claimed_by is None


def test_what_a_dead_worker_claimed_in_its_last_moment_is_free(registered, enqueue):
    enqueue(claimed_by=registered.worker_id + 1000)
    with transaction.atomic():
        registered.reap_dead_workers(0.0)
    assert QueuedMessage.objects.get().claimed_by is None


def test_workers_that_live_for_seconds_bury_the_dead_before_them(database, enqueue):
    dead = Worker.objects.create(host="there", pid=1, started_at=NOW).pk
    enqueue(claimed_by=dead)
    lives, died_at = [], 0.0
    for number in range(1, 30):
        lease = Lease()
        lives.append(lease)  # their locks stay: on SQLite they would tell
        start = number * 1000.0
        with transaction.atomic():
            lease.renewed(lease.register(NOW), start)
        for now in (start, start + 2.0, start + 4.0):
            with transaction.atomic():
                lease.beat()
                buried = lease.reap_dead_workers(now)
            if dead in buried:
                assert QueuedMessage.objects.get().claimed_by is None
                assert died_at + now - start >= DEAD_AFTER
                return
        died_at += 4.0
    pytest.fail("the rows of the dead are never free")


def test_a_worker_looks_often_while_it_is_young_so_that_one_that_dies_soon_has_seen_something(monkeypatch):
    monkeypatch.setattr(clock, "seconds", lambda: now)
    lease = Lease()
    heartbeat = Heartbeat(lease, lambda: None)
    looked = []
    for now in range(100, 130):
        if items := heartbeat.collect():
            looked.append(now)
            heartbeat.committed(items, 1)
    assert looked == [*range(100, 110), 114, 119, 124, 129]


def test_ending_the_lease_removes_the_worker(registered):
    registered.end()
    assert not Worker.objects.exists()
    assert registered.worker_id is None


def test_a_lease_that_could_not_be_ended_still_shows_who_holds_it(registered, database):
    """On SQLite by its file: without that, what it holds would wait until its beat has stood still."""
    with transaction.atomic():
        registered.end()
        transaction.set_rollback(True)
    assert Worker.objects.get().pk == registered.worker_id
    if database == "sqlite":
        assert beside(sqlite_path(), f"worker-{registered.worker_id}").exists()


def test_on_sqlite_a_killed_process_is_found_at_once(registered, database, enqueue):
    if database != "sqlite":
        pytest.skip("locks tell only on one machine")
    path = sqlite_path()
    dead = Worker.objects.create(host="here", pid=1, started_at=NOW).pk
    alive = Worker.objects.create(host="here", pid=1, started_at=NOW).pk
    enqueue(claimed_by=dead)
    script = textwrap.dedent(f"""
        import fcntl, os, sys, time
        file = os.open({str(path)!r} + "-worker-" + sys.argv[1], os.O_RDWR | os.O_CREAT)
        fcntl.flock(file, fcntl.LOCK_EX)
        print("locked", flush=True)
        time.sleep(60)
    """)
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(worker)], stdout=subprocess.PIPE)
        for worker in (dead, alive)
    ]
    try:
        for process in processes:
            process.stdout.readline()
        with transaction.atomic():
            assert registered.reap_dead_workers(0.0) == []
        processes[0].kill()
        processes[0].wait(10)
        with transaction.atomic():
            assert registered.reap_dead_workers(1.0) == [dead]
    finally:
        for process in processes:
            process.kill()
            process.wait(10)
            process.stdout.close()
    assert QueuedMessage.objects.get().claimed_by is None
    assert not os.path.exists(f"{path}-worker-{dead}")


def test_a_process_lock_is_orphaned_only_when_no_process_holds_it(tmp_path):
    database = tmp_path / "postal.sqlite3"
    lock = ProcessLock(database, 7)
    assert not ProcessLock.is_orphaned(database, 7)
    assert not ProcessLock.is_orphaned(database, 8)  # nothing is known of it
    lock.release()
    assert list(tmp_path.iterdir()) == []
