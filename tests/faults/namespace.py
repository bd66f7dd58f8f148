"""Machines for tests: network namespaces, joined by a cable that can be cut. Needs root and `ip`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

# Seen inside of the namespaces only.
NETWORK = "10.213.0.0/24"
ADDRESSES = ("10.213.0.1", "10.213.0.2")
INTERFACE = "cable"


class Unavailable(Exception):
    """This machine, or this user, cannot make namespaces."""


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"ip {' '.join(words)}: {done.stderr.strip()}")


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
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Two machines that reach each other and nothing else. Raises `Unavailable`."""
    if os.geteuid():
        raise Unavailable("root is needed")
    first, second = (
        Machine(f"postal-{os.getpid()}-{number}", address) for number, address in enumerate(ADDRESSES, 1)
    )
    with contextlib.ExitStack() as stack:
        try:
            for machine in (first, second):
                _ip("netns", "add", machine.name)
                stack.callback(_ip, "netns", "delete", machine.name)
                _ip("-n", machine.name, "link", "set", "lo", "up")
            ends = [word for m in (first, second) for word in ("netns", m.name)]
            _ip("link", "add", INTERFACE, *ends[:2], "type", "veth", "peer", "name", INTERFACE, *ends[2:])
            for machine in (first, second):
                _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", INTERFACE)
                _ip("-n", machine.name, "link", "set", INTERFACE, "up")
        except FileNotFoundError as error:
            raise Unavailable("`ip` is not installed") from error
        yield first, second
