"""One kind of work on its way through a worker: its queue, what is held of it, and who handles it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from postal_server.services.shared.work import Claimed, Recorded

from .lanes import Lanes
from .queue import Queue
from .row_decisions import Done
from .shaping import Shaping

Record = Callable[[Sequence[Done], datetime], Recorded]
Sources = Callable[[datetime], Mapping[int, int | None]]
# Those of the claimed rows that an operator suspended, by their ids.
Suspended = Callable[[Sequence[Claimed]], Collection[int]]


@dataclass
class WorkStream:
    """What a worker holds of one kind of row, and how its results are recorded.

    `shaping` says how fast they are sent, null for rows that nobody slows down; `sources` are the ids of the
    source addresses that this worker sends from, and how many messages each may still send today.
    """

    queue: Queue
    lanes: Lanes
    record: Record
    suspended: Suspended
    shaping: Shaping | None = None
    sources: Sources = lambda now: {0: None}

    @property
    def name(self) -> str:
        return self.queue.kind.name


@dataclass
class Claims:
    """What a tick claimed. `poison` and `expired` are not to be tried; `suspects` one at a time.

    `suspended` are the ids of rows that were given back, to wait until they are resumed.
    """

    fresh: list[Claimed] = field(default_factory=list)
    suspects: list[Claimed] = field(default_factory=list)
    poison: list[Claimed] = field(default_factory=list)
    expired: list[Claimed] = field(default_factory=list)
    suspended: Collection[int] = ()
