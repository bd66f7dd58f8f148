"""What the connections of a server share: the application, its threads, and the limits of all together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from postal_server.engine import metrics
from postal_server.net.listening import Connection, Turns
from postal_server.net.memory_budget import MemoryBudget
from postal_server.rules.client import client_key

from .application import Application
from .unsent import UnsentResponses


class LimitedConnection(Connection):
    """A connection that may have to give way to another."""

    @property
    def is_idle(self) -> bool:
        """Does it only wait for its client: for another request, or to close its side?"""
        raise NotImplementedError

    @property
    def is_answering(self) -> bool:
        """Does the application work on a request, even if its client is gone?"""
        raise NotImplementedError

    def shut_down(self) -> None:
        """Close now, or once the request under way is answered; a stream is cancelled."""
        raise NotImplementedError

    def abort(self) -> None:
        """Cut it off."""
        raise NotImplementedError


@dataclass
class Shared:
    """What all connections of a server share. `is_stopping`: the current request of each is its last one.

    `threads` answer requests, `readers` those with a large body: clients that send much delay only each
    other. `logins` check passwords: guessing them leaves the other threads free. `is_proxy` tells whether an
    address is a proxy's, which may have any number of connections.
    """

    application: Application
    threads: Executor
    readers: Executor
    logins: Executor
    room: MemoryBudget  # for bodies that are gathered
    max_connections: int
    max_per_client: int
    is_proxy: Callable[[str], bool]
    connections: dict[LimitedConnection, str] = field(default_factory=dict)  # by client, oldest first
    clients: Counter[str] = field(default_factory=Counter)  # connections of each
    turns: Turns = field(default_factory=Turns)
    unsent: UnsentResponses = field(default_factory=UnsentResponses)
    streams: int = 0  # responses under way whose body comes in pieces
    is_stopping: bool = False

    @property
    def max_streams(self) -> int:
        """As they give way to no other, half of the connections are for other requests."""
        return max(self.max_connections // 2, 1)

    def enter(self, connection: LimitedConnection, address: str) -> bool:
        """May this client have another connection? If none are left, one that waits for its client goes."""
        client = client_key(address)
        if self.clients[client] >= self.max_per_client and not self.is_proxy(address):
            metrics.WEB_CONNECTIONS_REFUSED.labels("client").inc()
            return False
        if len(self.connections) >= self.max_connections and not self._make_room():
            metrics.WEB_CONNECTIONS_REFUSED.labels("all").inc()
            return False
        self.connections[connection] = client
        self.clients[client] += 1
        return True

    def leave(self, connection: LimitedConnection) -> None:
        """Forget a connection that is closed."""
        client = self.connections.pop(connection, None)
        if client is None:
            return
        self.clients[client] -= 1
        if not self.clients[client]:
            del self.clients[client]

    def _make_room(self) -> bool:
        """Cut off a connection: one between requests, or the one whose request has made least progress."""
        found = next((each for each in self.connections if each.is_idle), None)
        if found is None:
            unfinished = [each for each in self.connections if not each.is_answering]
            found = min(unfinished, key=lambda each: each.deadline, default=None)
        if found is None:
            return False
        self.leave(found)
        found.abort()
        return True
