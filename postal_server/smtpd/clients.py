"""Limits for each client address: on its connections and on the recipients that it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from postal_server.rules.client import client_key

MINUTE = 60.0


def evict_none() -> bool:
    """The default of `Clients.enter`."""
    return False


class Clients:
    """Counts the connections and recipients of each client, which `client_key` identifies.

    `max_recipients_per_minute` is 0 for no limit.
    """

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

    def enter(self, address: str, evict: Callable[[], bool] = evict_none) -> bool:
        """Count a connection of this client; False, and not counted, if there are too many of it or in all.

        If there are too many in all, `evict` may close another connection, and says whether it did.
        """
        key = client_key(address)
        if self._connections[key] >= self.max_per_client:
            return False
        if self._total >= self.max_connections and not evict():
            return False
        self._connections[key] += 1
        self._total += 1
        return True

    def leave(self, address: str) -> None:
        """A connection that was counted has gone."""
        key = client_key(address)
        self._total -= 1
        self._connections[key] -= 1
        if self._connections[key] <= 0:
            del self._connections[key]

    def may_name_recipient(self, address: str, now: float) -> bool:
        """Count a recipient of a client without authentication; is it within the limit of this minute?

        Clients on this machine, such as proxies and gateways, have no limit: they stand for many. `now` is in
        seconds of a monotonic clock.
        """
        if not self.max_recipients_per_minute or address.startswith("127.") or address == "::1":
            return True
        if (minute := int(now // MINUTE)) != self._minute:
            self._minute, self._recipients = minute, Counter()
        key = client_key(address)
        self._recipients[key] += 1
        return self._recipients[key] <= self.max_recipients_per_minute
