"""Folders, ports and processes of a benchmark, which are removed and stopped at its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

START_TIME = 30.0  # seconds that a process has until it listens
STOP_TIME = 15.0


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port below those that the kernel assigns to clients, so that it stays free until it is used."""
    for port in range(20_000 + os.getpid() % 5000, 32_000):
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port
    raise OSError("No port is free")


_given: set[int] = set()


def wait_for_port(port: int) -> int:
    """`port`, once a process listens on it."""
    ends_at = time.monotonic() + START_TIME
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return port
        except OSError:
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process and its children, with output to a file in `folder`; stopped at the end of the block."""
    log = folder / f"{Path(command[0]).name}-{len(list(folder.glob('*.log')))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,  # `python -m` looks there first, and in this checkout would find its code
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended by itself: {log.read_text(errors='replace')[-2000:]}")
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end; end its whole session if it does not."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIME)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
