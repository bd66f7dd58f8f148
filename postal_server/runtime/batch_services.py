"""The services of each kind of work: what the engine calls before and after it delivers a batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from postal_server.conf import Config
from postal_server.engine.work_stream import BatchServices
from postal_server.services.operations import queue
from postal_server.services.preparation import messages
from postal_server.services.preparation import webhook as webhook_preparation
from postal_server.services.results import record, webhook
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Claimed, Decision, Prepared, Recorded, Result


@dataclass(frozen=True)
class MessageServices(BatchServices):
    """Of messages: signed or rewritten, delivered by SMTP or HTTP, recorded with all that follows."""

    config: Config
    directory: Callable[[], Directory]

    def prepare(self, claimed: Sequence[Claimed], now: datetime) -> Sequence[Prepared | Decision]:
        return messages.prepare(claimed, self.directory(), self.config, now)

    def record(self, done: Sequence[Result | Decision], now: datetime) -> Recorded:
        return record.record(done, self.directory(), self.config, now)

    def suspended(self, claimed: Sequence[Claimed]) -> Collection[int]:
        return queue.suspended(claimed, self.directory())


@dataclass(frozen=True)
class WebhookServices(BatchServices):
    """Of webhook requests: signed, delivered by HTTP. They cannot be suspended."""

    config: Config
    directory: Callable[[], Directory]

    def prepare(self, claimed: Sequence[Claimed], now: datetime) -> Sequence[Prepared | Decision]:
        return webhook_preparation.prepare(claimed, self.directory(), self.config, now)

    def record(self, done: Sequence[Result | Decision], now: datetime) -> Recorded:
        return webhook.record(done, self.directory(), self.config, now)

    def suspended(self, claimed: Sequence[Claimed]) -> Collection[int]:
        return ()
