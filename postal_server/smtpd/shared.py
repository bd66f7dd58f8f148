"""What all connections of a server share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from postal_server.net.listening import Turns
from postal_server.net.memory_budget import MemoryBudget
from postal_server.services.shared.throttle import Throttle

from .clients import Clients
from .handler import Count, SmtpHandler, count_nothing
from .options import Options
from .tls import Certificates

METRIC = "postal_smtp_server_"


@dataclass
class Shared:
    """The parts of a server. `names` looks up the PTR name of an address."""

    handler: SmtpHandler
    options: Options
    clients: Clients
    throttle: Throttle
    room: MemoryBudget  # memory for messages under way
    certificates: Certificates | None = None
    names: Callable[[str], Awaitable[str | None]] | None = None
    count: Count = count_nothing
    turns: Turns = field(default_factory=Turns)
