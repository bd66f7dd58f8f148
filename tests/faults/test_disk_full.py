"""The disk of a SQLite installation gets full: a file system of its own in memory, which needs root."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.load import API, SMTP
from tests.faults.namespace import NOT_ALLOWED
from tests.faults.stage import wait_until
from tests.faults.test_database_loss import refused_well
from tests.interop.daemons import as_root, program

DISK_MB = 120
FLOOR_MB = 30
RATE = 20.0
SECONDS_OF_LOAD = 4.0
MB = 1024 * 1024


class Disk:
    """A small file system; `fill` leaves only so much of it free."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, free_bytes: int) -> None:
        usage = os.statvfs(self.path)
        size = self._filler.stat().st_size if self._filler.exists() else 0
        size += usage.f_bavail * usage.f_frsize - free_bytes
        with self._filler.open("ab") as file, contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, size)

    def fill_up(self) -> None:
        """Leave not a byte."""
        self.fill(0)
        with self._filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        assert not os.statvfs(self.path).f_bavail

    def clear(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path):
    as_root()
    path = tmp_path / "disk"
    path.mkdir()
    command = [program("mount"), "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if NOT_ALLOWED.search(done.stderr):
        pytest.skip(f"root is not allowed to: {done.stderr.strip()}")
    assert not done.returncode, done.stderr
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_a_full_disk_stops_acceptance_not_recording(disk, play, tabulate):
    stage = play(data=disk.path, options={"storage": {"min_free_mb": FLOOR_MB}})
    stage.start("web", "smtp", "worker")
    ballast = disk.path / "postal.sqlite3-ballast"
    wait_until(ballast.exists, 10, "the ballast is taken")
    stage.flag("pause", True)
    stage.submit(rate=RATE)
    time.sleep(SECONDS_OF_LOAD)

    disk.fill(FLOOR_MB * MB // 2)
    wait_until(lambda: {API, SMTP} <= {kind for kind, _ in stage.refusals()}, 15, "both refuse mail")
    before = len(stage.acknowledged())
    time.sleep(2)
    assert len(stage.acknowledged()) == before, "below the floor nothing is taken"
    assert [(kind, text) for kind, text in stage.refusals() if not (text and refused_well(kind, text))] == []

    disk.fill_up()
    worker = stage.processes["worker"].pid
    in_flight = set(stage.held_by(worker))
    assert in_flight
    stage.flag("pause", False)
    wait_until(lambda: not in_flight & set(stage.held_by(worker)), 30, "what was sent is recorded")
    assert not ballast.exists(), "there was no other room for it"

    disk.clear()
    cleared_at = time.monotonic()
    wait_until(lambda: len(stage.acknowledged()) > before + 20, 30, "mail is taken again")
    stage.end_load()
    wait_until(
        lambda: not stage.missing() and not stage.unheard() and not stage.queued(), 60, "all is delivered"
    )
    tabulate(
        "A full disk",
        {
            "acknowledged": len(stage.acknowledged()),
            "refused": len(stage.refusals()),
            "in flight when it got full": len(in_flight),
            "lost": len(stage.missing()),
            "delivered twice": sum(stage.twice().values()),
            "all there, seconds after there was room": f"{time.monotonic() - cleared_at:.0f}",
        },
    )
    assert stage.twice() == {}
    wait_until(ballast.exists, 30, "the ballast is taken again")
