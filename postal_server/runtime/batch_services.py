"""The services of each kind of work: what the engine calls before and after it delivers a batch.

`directory` is the one in memory. `latest` asks the database whether that still holds: what another process
has just accepted may need a server, domain, endpoint or webhook that was made a moment before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from postal_server.conf import Config
from postal_server.engine.work_stream import BatchServices
from postal_server.services.operations import queue
from postal_server.services.preparation import messages
from postal_server.services.preparation import webhook as webhook_preparation
from postal_server.services.results import record, webhook
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Claimed, Decision, Prepared, Recorded, Result


def _prepare(
    prepare: Callable[[Sequence[Claimed], Directory], Sequence[Prepared | Decision]],
    claimed: Sequence[Claimed],
    directory: Callable[[], Directory],
    latest: Callable[[], Directory],
) -> Sequence[Prepared | Decision]:
    """Prepare by the directory in memory; what is not to be sent by that, by a later one if there is one.

    So mail that is sent costs no query for this.
    """
    used = directory()
    prepared = prepare(claimed, used)
    decided = [item.claimed for item in prepared if isinstance(item, Decision)]
    if not decided or (now := latest()).version == used.version:
        return prepared
    again = {item.claimed.id: item for item in prepare(decided, now)}
    return [again.get(item.claimed.id, item) for item in prepared]


@dataclass(frozen=True)
class MessageServices(BatchServices):
    """Of messages: signed or rewritten, delivered by SMTP or HTTP, recorded with all that follows."""

    config: Config
    directory: Callable[[], Directory]
    latest: Callable[[], Directory]

    def prepare(self, claimed: Sequence[Claimed], now: datetime) -> Sequence[Prepared | Decision]:
        prepare = partial(messages.prepare, config=self.config, now=now)
        return _prepare(prepare, claimed, self.directory, self.latest)

    def record(self, done: Sequence[Result | Decision], now: datetime) -> Recorded:
        return record.record(done, self.directory(), self.config, now)

    def suspended(self, claimed: Sequence[Claimed]) -> Collection[int]:
        return queue.suspended(claimed, self.directory())


@dataclass(frozen=True)
class WebhookServices(BatchServices):
    """Of webhook requests: signed, delivered by HTTP. They cannot be suspended."""

    config: Config
    directory: Callable[[], Directory]
    latest: Callable[[], Directory]

    def prepare(self, claimed: Sequence[Claimed], now: datetime) -> Sequence[Prepared | Decision]:
        prepare = partial(webhook_preparation.prepare, config=self.config, now=now)
        return _prepare(prepare, claimed, self.directory, self.latest)

    def record(self, done: Sequence[Result | Decision], now: datetime) -> Recorded:
        return webhook.record(done, self.directory(), self.config, now)

    def suspended(self, claimed: Sequence[Claimed]) -> Collection[int]:
        return ()
