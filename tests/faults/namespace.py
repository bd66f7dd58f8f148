"""Machines for tests: network namespaces, joined by a cable that can be cut. Needs root and `ip`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.daemons import as_root, program

# Seen inside of the namespaces only.
NETWORK = "10.213.0.0/24"
ADDRESSES = ("10.213.0.1", "10.213.0.2")
INTERFACE = "cable"
# What root hears in a container.
NOT_ALLOWED = re.compile("not permitted|permission denied|read-only file system", re.IGNORECASE)


def _ip(*words: str) -> None:
    done = subprocess.run([program("ip"), *words], capture_output=True, text=True)
    assert not done.returncode, f"ip {' '.join(words)}: {done.stderr.strip()}"


def require() -> None:
    """Skip the test where namespaces are not for this user to make; without `ip` it fails on CI."""
    program("ip")
    as_root()
    name = f"postal-{os.getpid()}-trial"
    done = subprocess.run([program("ip"), "netns", "add", name], capture_output=True, text=True)
    if NOT_ALLOWED.search(done.stderr):
        pytest.skip(f"root is not allowed to: {done.stderr.strip()}")
    _ip("netns", "delete", name)


@dataclass(frozen=True)
class Machine:
    """A namespace with an address on the cable."""

    name: str
    address: str

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread opens in the block, and processes it starts, are this machine's."""
        library = ctypes.CDLL(None, use_errno=True)
        own, target = (os.open(path, os.O_RDONLY) for path in (_OWN, f"/run/netns/{self.name}"))
        try:
            _enter(library, target)
            try:
                yield
            finally:
                _enter(library, own)
        finally:
            os.close(own)
            os.close(target)

    def reach_all_by(self, address: str) -> None:
        """Have a default route. It leads no further than to the other end of the cable."""
        _ip("-n", self.name, "route", "add", "default", "via", address)

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        _ip("-n", self.name, "link", "set", INTERFACE, "down")

    def join(self) -> None:
        """End `cut`."""
        _ip("-n", self.name, "link", "set", INTERFACE, "up")


_OWN = "/proc/thread-self/ns/net"


def _enter(library: ctypes.CDLL, file: int) -> None:
    if library.setns(file, 0):  # os.setns is there from Python 3.12 on
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def two_machines(addresses: tuple[str, str] = ADDRESSES) -> Iterator[tuple[Machine, Machine]]:
    """Two machines with addresses in one network of 24 bits, which reach each other and nothing else."""
    require()
    first, second = (
        Machine(f"postal-{os.getpid()}-{number}", address) for number, address in enumerate(addresses, 1)
    )
    with contextlib.ExitStack() as stack:
        for machine in (first, second):
            _ip("netns", "add", machine.name)
            stack.callback(_ip, "netns", "delete", machine.name)
            _ip("-n", machine.name, "link", "set", "lo", "up")
        ends = [word for m in (first, second) for word in ("netns", m.name)]
        _ip("link", "add", INTERFACE, *ends[:2], "type", "veth", "peer", "name", INTERFACE, *ends[2:])
        for machine in (first, second):
            _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", INTERFACE)
            _ip("-n", machine.name, "link", "set", INTERFACE, "up")
        yield first, second
