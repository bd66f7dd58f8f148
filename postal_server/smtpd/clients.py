"""Who is connected, and who names how many recipients: limits per client address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from postal_server.rules.client import client_key

MINUTE = 60.0


def no_room() -> bool:
    return False


class Clients:
    """Counts connections and recipients per client. Times are seconds of a monotonic clock."""

    def __init__(
        self,
        max_connections: int,
        max_per_client: int,
        max_recipients_per_minute: int = 0,
    ) -> None:
        self.max_connections = max_connections
        self.max_per_client = max_per_client
        self.max_recipients_per_minute = max_recipients_per_minute
        self._minute = 0
        self._recipients: Counter[str] = Counter()  # of this minute
        self._connections: Counter[str] = Counter()
        self._total = 0

    def enter(self, address: str, make_room: Callable[[], bool] = no_room) -> bool:
        """Count a connection of this client; false, and not counted, if it has too many or all have.

        Where all have, `make_room` may let another one leave, and says whether it did.
        """
        key = client_key(address)
        if self._connections[key] >= self.max_per_client:
            return False
        if self._total >= self.max_connections and not make_room():
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
