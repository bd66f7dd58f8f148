"""What operations are given beside what they are about: who acts, the configuration, the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from postal_server.conf import Config
from postal_server.errors import NotAllowed, NotFound
from postal_server.rules.access import Action, Actor, Place, may, sees
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.rows import Transaction

THE_SERVER = Actor("the server", is_administrator=True)  # what runs by itself


@dataclass(frozen=True)
class OperationContext:
    """Made once for a request or a command, however many steps its operation has.

    `now` is aware UTC. `write_transaction` makes the transaction that one step is written in.
    """

    actor: Actor
    config: Config
    now: datetime
    directory: Directory
    write_transaction: Transaction

    def require(self, action: Action, place: Place) -> None:
        """Raise `NotFound` where nothing here is theirs, `NotAllowed` where they may not do this."""
        if not sees(self.actor, place):
            raise NotFound("There is no such thing.")
        if not may(self.actor, action, place):
            raise NotAllowed(f"{self.actor.name} may not {action.value} here.")
