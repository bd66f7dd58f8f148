"""What operations on stored mail are given beside the mail itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from postal_server.conf import Config
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.rows import Transaction


@dataclass(frozen=True)
class OperationContext:
    """Made once for a request or a command, however many steps its operation has.

    `now` is aware UTC. `write_transaction` makes the transaction that one step is written in.
    """

    config: Config
    now: datetime
    directory: Directory
    write_transaction: Transaction
