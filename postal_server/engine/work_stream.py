"""One kind of work on its way through a worker: its queue, its services, and what is held of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from postal_server.rules.lane import ANY_SOURCE
from postal_server.services.shared.work import Claimed, Decision, Prepared, Recorded

from .lanes import Lanes
from .queue import Kind, Queue
from .row_decisions import Done
from .shaping import Shaping

Sources = Callable[[datetime], Mapping[int, int | None]]


class BatchServices(Protocol):
    """What the services do with one kind of work, in batches (`runtime.batch_services`)."""

    def prepare(self, claimed: Sequence[Claimed], now: datetime) -> Sequence[Prepared | Decision]:
        """What to deliver, or what was decided, for each claim; in a thread, outside of a transaction."""

    def record(self, done: Sequence[Done], now: datetime) -> Recorded:
        """Write the results of these rows, within the tick's transaction."""

    def suspended(self, claimed: Sequence[Claimed]) -> Collection[int]:
        """The ids of the rows that an operator suspended."""


@dataclass
class WorkStream:
    """One kind of work of this worker: its queue, its services, and what is held of it.

    `shaping` limits how fast it is sent; None for no limit. `sources` are the ids of the source
    addresses that this worker sends from, and how many messages each may still send today; None: any number.
    """

    queue: Queue
    lanes: Lanes
    services: BatchServices
    shaping: Shaping | None = None
    sources: Sources = lambda now: {ANY_SOURCE: None}

    @property
    def kind(self) -> Kind:
        return self.queue.kind

    @property
    def name(self) -> str:
        return self.kind.name


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
