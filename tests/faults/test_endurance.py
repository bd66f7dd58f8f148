"""Ten minutes at half the peak rate: memory, open files and the age of the queue stay as they are."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

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
FILES_GROWTH = 8
AGE_GROWTH = 1.0  # seconds
MB = 1024 * 1024


@dataclass(frozen=True)
class Sample:
    """What one process used."""

    memory_bytes: int
    open_files: int


def peak_rate(stage: Stage) -> float:
    """Messages a second, in and out, under as much load as can be, with their webhooks."""
    started = time.monotonic()
    stage.submit(rate=0, connections=24)
    time.sleep(SECONDS_OF_PEAK)
    stage.end_load()
    wait_until(lambda: not stage.queued(), SECONDS_TO_DRAIN, "all is delivered")
    return len(stage.acknowledged()) / (time.monotonic() - started)


def watch(stage: Stage, minutes: float) -> dict[str, list[Sample]]:
    """Samples of each process over this time."""
    samples: dict[str, list[Sample]] = {name: [] for name in PROCESSES}
    ends_at = time.monotonic() + minutes * 60
    while time.monotonic() < ends_at:
        time.sleep(SAMPLE_INTERVAL)
        for name, found in samples.items():
            process = stage.processes[name]
            found.append(Sample(process.memory_bytes(), process.open_files()))
    return samples


def ages(stage: Stage, since: float) -> list[float]:
    """Seconds from acknowledgement to arrival, in order of acknowledgement."""
    arrived = stage.arrivals()
    rows = read(stage.folder / "acknowledged")
    return [min(arrived[who]) - at for at, (_, who, _) in rows if at >= since and who in arrived]


def middle(samples: list[Sample], name: str) -> float:
    return statistics.median(getattr(sample, name) for sample in samples)


def test_nothing_grows_at_half_the_peak_rate(database, play, scale, tabulate):
    if not scale.soak_minutes:
        pytest.skip("`make soak` runs it")
    stage = play(
        database=database, options={"worker": {"max_connections": 600, "connections_per_destination": 20}}
    )
    stage.start(*PROCESSES)
    peak = peak_rate(stage)
    started = time.monotonic()
    stage.submit(rate=peak / 2, connections=24, first=10_000_000)
    samples = watch(stage, scale.soak_minutes)
    stage.end_load()
    took = time.monotonic() - started
    wait_until(lambda: not stage.queued(), SECONDS_TO_DRAIN, "all is delivered")
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
    grown = {}
    for name, found in samples.items():
        warm = found[int(len(found) * WARM_UP) :]
        third = len(warm) // 3
        first, last = warm[:third], warm[-third:]
        memory = middle(first, "memory_bytes"), middle(last, "memory_bytes")
        files = middle(first, "open_files"), middle(last, "open_files")
        figures[f"{name}: memory after the warm-up and at the end, MB"] = " and ".join(
            f"{size / MB:.1f}" for size in memory
        )
        figures[f"{name}: open files then"] = " and ".join(f"{count:.0f}" for count in files)
        share, besides = MEMORY_GROWTH
        if memory[1] > memory[0] * (1 + share) + besides or files[1] > files[0] + FILES_GROWTH:
            grown[name] = memory, files
    tabulate(f"Endurance on {'PostgreSQL' if database else 'SQLite'}", figures)
    assert stage.missing() == set()
    assert grown == {}
    assert late < early + AGE_GROWTH
    assert set(stage.acknowledged().values()) == {load.API, load.SMTP, load.INCOMING}
