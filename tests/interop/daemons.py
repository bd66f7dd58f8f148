"""Find programs, start them in a folder of their own, and wait until they listen."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

START_SECONDS = 60.0
STOP_SECONDS = 10.0
PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


def program(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails on CI."""
    found = shutil.which(name, path=PLACES)
    if found is None:
        missing(f"{name} is not installed")
    assert found is not None
    return found


def swaks(*wanted: str) -> str:
    """The path of swaks that can do all of this (`TLS`, `AUTH CRAM-MD5`), as `program` has it.

    What it can do hangs on modules of Perl, which are packages of their own.
    """
    path = program("swaks")
    lacking = dict(_lacking(path))
    for name in wanted:
        if name in lacking:
            missing(f"swaks cannot do {name}: it {lacking[name]}")
    return path


@functools.lru_cache(maxsize=8)
def _lacking(path: str) -> tuple[tuple[str, str], ...]:
    """What this swaks cannot do, and what for (`requires Net::SSLeay`)."""
    told = subprocess.run([path, "--support"], capture_output=True, text=True, timeout=60).stdout
    return tuple(re.findall(r"^\*\*\* (.+?) not available: (.+)$", told, re.MULTILINE))


def as_root() -> None:
    """The test needs root's rights: without them it is skipped everywhere."""
    if os.geteuid():
        pytest.skip("this needs root")


def may_mount() -> None:
    """The test mounts something: containers may let not even root do so."""
    as_root()
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("this needs the right to mount")


def missing(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}; .ci/run is to provide it")
    pytest.skip(why)


@contextlib.contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder for daemons that give up root's rights: pytest's own are closed to them."""
    found = Path(tempfile.mkdtemp(prefix="interop-"))
    found.chmod(0o755)
    try:
        yield found
    finally:
        shutil.rmtree(found, ignore_errors=True)


def wait_until_listening(port: int, process: subprocess.Popen[bytes] | None, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    text = log.read_text("utf-8", "replace")[-5000:] if log.exists() else ""
    raise AssertionError(f"nothing listens on {port}:\n{text}")


@contextlib.contextmanager
def running(command: Sequence[str], port: int, log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """A daemon in the foreground while the context lasts. It runs in the folder of `log`, its output."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=log.parent,
            env={**os.environ, **environment},
        )  # fmt: skip
    try:
        wait_until_listening(port, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
