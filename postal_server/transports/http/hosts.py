"""Addresses of the hosts that are posted to: the hosts file first, then DNS, as other programs have them.

Not `getaddrinfo`: it blocks a thread of the few that all share, so that one name whose servers are dead would
hold up every post.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from postal_server.engine.ports import Answer

LOOPBACK = ("::1", "127.0.0.1")

Permits = Callable[[str, str], bool]


class HostNames:
    """Callable: the addresses of a host. Raises `OSError` where it has none.

    `addresses` asks DNS, and remembers.
    """

    def __init__(
        self, addresses: Callable[[str], Awaitable[Answer]], hosts_file: Path = Path("/etc/hosts")
    ) -> None:
        self._addresses = addresses
        self._path = hosts_file
        self._stamp: tuple[int, int] | None = None
        self._listed: dict[str, list[str]] = {}

    async def __call__(self, host: str) -> list[str]:
        name = host.lower().rstrip(".")
        if address := _as_address(name):
            return [address]
        self._read()
        if listed := self._listed.get(name):
            return listed
        if name == "localhost" or name.endswith(".localhost"):
            return list(LOOPBACK)  # RFC 6761 section 6.3: never asked of DNS
        answer = await self._addresses(host)
        if not answer.values:
            raise OSError(answer.lookup.value)
        return list(answer.values)

    def _read(self) -> None:
        """Read the hosts file, if it has changed."""
        try:
            status = self._path.stat()
            stamp = status.st_mtime_ns, status.st_size
            if stamp != self._stamp:
                self._listed = _parse(self._path.read_text("utf-8", "replace"))
                self._stamp = stamp
        except OSError:
            self._listed, self._stamp = {}, None


def _parse(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if _as_address(address) == address:
            for name in names:
                found.setdefault(name.lower().rstrip("."), []).append(address)
    return found


def _as_address(name: str) -> str:
    """The address that a host is already, in one of the ways to write it (`127.1`); empty for a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        return name
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except (OSError, UnicodeError):
        return ""


def is_allowed_host(host: str, permits: Permits) -> bool:
    """Would a post to this host be tried? Looks it up; a name without address is not refused."""
    try:
        found: Sequence[Any] = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return all(permits(host, str(address[0])) for *_, address in found)
