"""Looks up the hosts of requests: in the hosts file first, then in DNS, as other programs do.

`getaddrinfo` would not do: it blocks one of a few shared threads, so that a name whose servers do not answer
would hold up all requests.
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


class HostResolver:
    """Called with a host, returns its addresses; raises `OSError` if it has none.

    `addresses` looks them up in DNS, with a cache.
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
            return list(LOOPBACK)  # RFC 6761 section 6.3: not to be looked up in DNS
        answer = await self._addresses(host)
        if not answer.values:
            raise OSError(answer.lookup.value)
        return list(answer.values)

    def _read(self) -> None:
        """Read the hosts file if it has changed."""
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
    """The address, if the host is one in any notation (`127.1`); empty for a name."""
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
    """May requests be sent to this host? Looks it up, blocking; a name without an address is allowed."""
    try:
        found: Sequence[Any] = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return all(permits(host, str(address[0])) for *_, address in found)
