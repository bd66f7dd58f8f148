"""Ten minutes at half the peak rate: memory, open files and the age of the queue stay as they are."""

from __future__ import annotations

import statistics
import time

import pytest

from tests.faults import load
from tests.faults.lines import read
from tests.faults.stage import Stage, wait_until

PROCESSES = ("web", "smtp", "worker")
SECONDS_OF_PEAK = 15.0
SECONDS_TO_DRAIN = 120.0
SAMPLE_INTERVAL = 5.0
WARM_UP = 0.25  # of the time: until then pools and caches fill
MEMORY_GROWTH = 0.05, 4 * 1024 * 1024  # of a process after that: a share, and bytes besides
# Kept connections are open files as well, until they were idle for so long. How many there are is chance.
IDLE_SECONDS = 35.0
FILES_GROWTH = 3
AGE_GROWTH = 1.0  # seconds
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


def test_nothing_grows_at_half_the_peak_rate(database, play, scale, tabulate):
    if not scale.soak_minutes:
        pytest.skip("`make soak` runs it")
    stage = play(
        database=database, options={"worker": {"max_connections": 600, "connections_per_destination": 20}}
    )
    stage.start(*PROCESSES)
    peak = peak_rate(stage)
    files = files_when_idle(stage)
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
        "refused": len(stage.refusals()),
        "99 % delivered within, first quarter and last, seconds": f"{early:.2f}, {late:.2f}",
    }
    grown = []
    for name, found in samples.items():
        warm = found[int(len(found) * WARM_UP) :]
        third = len(warm) // 3
        first, last = statistics.median(warm[:third]), statistics.median(warm[-third:])
        figures[f"{name}: memory after the warm-up and at the end, MB"] = f"{first / MB:.1f}, {last / MB:.1f}"
        figures[f"{name}: open files when idle, before and after"] = f"{files[name]}, {files_after[name]}"
        share, besides = MEMORY_GROWTH
        if last > first * (1 + share) + besides or files_after[name] > files[name] + FILES_GROWTH:
            grown.append(name)
    tabulate(f"Endurance on {'PostgreSQL' if database else 'SQLite'}", figures)
    assert stage.missing() == set()
    assert grown == []
    assert late < early + AGE_GROWTH
    assert set(stage.acknowledged().values()) == {load.API, load.SMTP, load.INCOMING}
