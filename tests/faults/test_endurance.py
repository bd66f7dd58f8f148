"""Ten minutes at half the peak rate: memory, open files and the age of the queue stay as they are."""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Sequence

import pytest

from tests.faults import load
from tests.faults.conftest import Scale
from tests.faults.lines import read
from tests.faults.stage import Stage, wait_until

PROCESSES = ("web", "smtp", "worker")
SECONDS_OF_PEAK = 15.0
SECONDS_TO_DRAIN = 120.0
SAMPLE_INTERVAL = 5.0
WARM_UP = 0.25  # of the time: until then pools and caches fill
MEMORY_GROWTH = 150.0  # bytes a message, of one process, after that
# What the allocator takes and gives back by chance, of a process that keeps nothing.
MEMORY_NOISE = 1024 * 1024
# Kept connections are open files as well, until they were idle for so long. How many there are is chance.
IDLE_SECONDS = 35.0
FILES_GROWTH = 3
AGE_GROWTH = 1.0  # seconds
RATE_KEPT = 0.9  # of what is to be submitted
MB = 1024 * 1024


def peak_rate(stage: Stage) -> float:
    """Messages a second, in and out, under as much load as can be, with their webhooks."""
    started = time.monotonic()
    stage.submit(rate=0, connections=24)
    time.sleep(SECONDS_OF_PEAK)
    stage.end_load()
    wait_until(lambda: not stage.queued(), SECONDS_TO_DRAIN, "all is delivered")
    return len(stage.acknowledged()) / (time.monotonic() - started)


def memory(stage: Stage, minutes: float) -> dict[str, list[int]]:
    """The bytes of each process over this time."""
    samples: dict[str, list[int]] = {name: [] for name in PROCESSES}
    ends_at = time.monotonic() + minutes * 60
    while time.monotonic() < ends_at:
        time.sleep(SAMPLE_INTERVAL)
        for name, found in samples.items():
            found.append(stage.processes[name].memory_bytes())
    return samples


def slope(samples: Sequence[float]) -> float:
    """By how much they grow from one to the next: the median over all pairs, which no single step moves."""
    pairs = itertools.combinations(enumerate(samples), 2)
    return statistics.median((b - a) / (j - i) for (i, a), (j, b) in pairs)


def leaks(samples: Sequence[float], messages: int) -> bool:
    """Does the memory of a process grow with the number of messages, of which it had so many meanwhile?"""
    grown = slope(samples) * (len(samples) - 1)
    return grown > max(MEMORY_GROWTH * messages, MEMORY_NOISE)


def files_when_idle(stage: Stage) -> dict[str, int]:
    """The open files of each process once all is done."""
    wait_until(lambda: not stage.queued(), SECONDS_TO_DRAIN, "all is delivered")
    time.sleep(IDLE_SECONDS)
    return {name: stage.processes[name].open_files() for name in PROCESSES}


def ages(stage: Stage, since: float) -> list[float]:
    """Seconds from acknowledgement to arrival, in order of acknowledgement."""
    arrived = stage.arrivals()
    rows = read(stage.folder / "acknowledged")
    return [min(arrived[who]) - at for at, (_, who, _) in rows if at >= since and who in arrived]


def a_process(leak: float, messages: int, seed: int) -> list[float]:
    """Samples of a made-up one: 100 MB, arenas that come and go, and what it leaks a message."""
    chance = random.Random(seed)
    count = 90
    return [
        100 * MB + leak * messages * n / count + chance.choice((-1, 0, 0, 1)) * MB + chance.gauss(0, MB / 4)
        for n in range(count)
    ]


@pytest.mark.parametrize("seed", range(10))
def test_a_leak_of_two_hundred_bytes_a_message_is_seen(seed):
    messages = 30_000  # in ten minutes, of a slow machine
    assert leaks(a_process(200, messages, seed), messages)
    assert not leaks(a_process(0, messages, seed), messages)


def test_memory_that_was_taken_once_is_no_leak():
    samples = [float(100 * MB)] * 60 + [float(108 * MB)] * 30
    assert not leaks(samples, 30_000)


@pytest.mark.skipif(not Scale().soak_minutes, reason="`make soak` runs it")
def test_nothing_grows_at_half_the_peak_rate(database, play, scale, tabulate):
    stage = play(
        database=database, options={"worker": {"max_connections": 600, "connections_per_destination": 20}}
    )
    stage.start(*PROCESSES)
    peak = peak_rate(stage)
    files = files_when_idle(stage)
    refused_before = len(stage.refusals())
    started = time.monotonic()
    stage.submit(rate=peak / 2, connections=24, first=10_000_000)
    samples = memory(stage, scale.soak_minutes)
    stage.end_load()
    took = time.monotonic() - started
    files_after = files_when_idle(stage)
    waits = ages(stage, started)
    quarter = len(waits) // 4
    early, late = (statistics.quantiles(part, n=100)[98] for part in (waits[:quarter], waits[-quarter:]))
    figures = {
        "peak, messages a second in and out": f"{peak:.0f}",
        "half of it, as submitted": f"{len(waits) / took:.0f}",
        "minutes": f"{took / 60:.1f}",
        "messages": len(waits),
        "lost": len(stage.missing()),
        "refused": len(stage.refusals()) - refused_before,
        "messages without webhook": len(stage.unheard()),
        "99 % delivered within, first quarter and last, seconds": f"{early:.2f}, {late:.2f}",
    }
    half, kept = peak / 2, len(waits) / took
    refusals = stage.refusals()[refused_before:]
    unheard = stage.unheard()
    grown = []
    for name, found in samples.items():
        warm = found[int(len(found) * WARM_UP) :]
        messages = int(len(waits) * (1 - WARM_UP))
        third = len(warm) // 3
        first, last = statistics.median(warm[:third]), statistics.median(warm[-third:])
        figures[f"{name}: memory after the warm-up and at the end, MB"] = f"{first / MB:.1f}, {last / MB:.1f}"
        figures[f"{name}: its growth, bytes a message"] = f"{slope(warm) * (len(warm) - 1) / messages:.0f}"
        figures[f"{name}: open files when idle, before and after"] = f"{files[name]}, {files_after[name]}"
        if leaks(warm, messages) or files_after[name] > files[name] + FILES_GROWTH:
            grown.append(name)
    tabulate(f"Endurance on {'PostgreSQL' if database else 'SQLite'}", figures)
    assert kept >= RATE_KEPT * half
    assert refusals == []
    assert stage.missing() == set()
    assert unheard == set()
    assert grown == []
    assert late < early + AGE_GROWTH
    assert set(stage.acknowledged().values()) == {load.API, load.SMTP, load.INCOMING}
