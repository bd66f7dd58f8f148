"""Who is connected, who failed to authenticate lately, who sends how much: limits per client address."""

from __future__ import annotations

import functools
import ipaddress
from collections import Counter, deque
from datetime import timedelta

AUTH_FAILURE_WINDOW = timedelta(minutes=10)
MINUTE = 60.0
MAX_REMEMBERED = 10_000  # clients with failures; an attacker with more addresses meets the other limits


@functools.lru_cache(maxsize=4096)
def client_key(address: str) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 /64 (a single line gets at least that)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class Clients:
    """Counts connections, failed AUTH and recipients per client. Times are seconds of a monotonic clock."""

    def __init__(
        self,
        max_connections: int,
        max_per_client: int,
        max_auth_failures: int,
        max_recipients_per_minute: int = 0,
    ) -> None:
        self.max_connections = max_connections
        self.max_per_client = max_per_client
        self.max_auth_failures = max_auth_failures
        self.max_recipients_per_minute = max_recipients_per_minute
        self._minute = 0
        self._recipients: Counter[str] = Counter()  # of this minute
        self._connections: Counter[str] = Counter()
        self._total = 0
        self._failures: dict[str, deque[float]] = {}

    def enter(self, address: str) -> bool:
        """Count a connection of this client; false, and not counted, if it has too many or all have."""
        key = client_key(address)
        if self._total >= self.max_connections or self._connections[key] >= self.max_per_client:
            return False
        self._connections[key] += 1
        self._total += 1
        return True

    def leave(self, address: str) -> None:
        key = client_key(address)
        self._total -= 1
        self._connections[key] -= 1
        if self._connections[key] <= 0:
            del self._connections[key]

    def may_name_recipient(self, address: str, now: float) -> bool:
        """Count a recipient of a client that has not authenticated: is it within the limit of a minute?

        What comes from this machine, a proxy or a gateway, stands for many.
        """
        if not self.max_recipients_per_minute or address.startswith("127.") or address == "::1":
            return True
        if (minute := int(now // MINUTE)) != self._minute:
            self._minute, self._recipients = minute, Counter()
        key = client_key(address)
        self._recipients[key] += 1
        return self._recipients[key] <= self.max_recipients_per_minute

    def auth_failed(self, address: str, now: float) -> None:
        if len(self._failures) >= MAX_REMEMBERED:
            self._failures.pop(next(iter(self._failures)))
        self._failures.setdefault(client_key(address), deque(maxlen=self.max_auth_failures)).append(now)

    def may_authenticate(self, address: str, now: float) -> bool:
        """Has this client failed less than `max_auth_failures` times within the window?"""
        failures = self._failures.get(client_key(address))
        if failures is None or len(failures) < self.max_auth_failures:
            return True
        return now - failures[0] > AUTH_FAILURE_WINDOW.total_seconds()
