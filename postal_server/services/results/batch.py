"""A batch of results while it is being recorded, and what effects may do to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from postal_server.conf import Config
from postal_server.models import Delivery, Message, Suppression
from postal_server.rules.classification import Classification
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Decision, Effect, Result

from .suppression_entries import Stop
from .webhook import MessageEvent, WebhookEvent, is_wanted

DETAILS_CHARACTERS = 250

E = TypeVar("E", bound=Effect)


@dataclass(slots=True, eq=False)
class Entry:
    """A result and its message, as stored before the result.

    `delivery` is the row that will be inserted; the entry's `details` are copied to it, cut to their column,
    once all effects are applied. `classification` says why the message was not taken; None where it was, or
    where the result is not of SMTP.
    """

    result: Result | Decision
    message: Message
    status: DeliveryStatus
    details: str
    delivery: Delivery
    classification: Classification | None = None

    def add_sentence(self, sentence: str) -> None:
        """Append a sentence to the details."""
        self.details = f"{self.details.removesuffix('.')}. {sentence}" if self.details else sentence


@dataclass(frozen=True)
class News:
    """What a report says of an outgoing message."""

    entry: Entry
    effect: Effect
    original: Message


@dataclass
class Batch:
    """A batch of results, in the caller's transaction.

    `results` are all of them, `entries` those whose message still exists. An effect may extend the details of
    entries, write the tables of its own subject, and use the methods below. What these collect is written
    after the deliveries and statuses of the entries. No effect changes `Entry.status`, which decides the
    event of the delivery and what becomes of the queue row.
    """

    results: Sequence[Result | Decision]
    entries: Sequence[Entry]
    directory: Directory
    config: Config
    now: datetime
    further_deliveries: list[Delivery] = field(default_factory=list)
    other_statuses: dict[int, DeliveryStatus] = field(default_factory=dict)  # by message id
    events: list[MessageEvent] = field(default_factory=list)
    events_of_servers: list[WebhookEvent] = field(default_factory=list)  # those not built from messages
    # By message id: the entry that stops it, or with which its recipient came on the suppression list.
    suppressed: dict[int, Stop | Suppression] = field(default_factory=dict)
    withheld_notices: int = 0
    news: list[News] = field(default_factory=list)
    confirmed: list[News] = field(default_factory=list)  # what was said before, but by weak evidence
    surplus: list[tuple[Entry, int]] = field(default_factory=list)  # reports, and the message of each

    def __post_init__(self) -> None:
        self._effects = [
            (entry, effect)
            for entry in self.entries
            if isinstance(entry.result, Decision)
            for effect in entry.result.effects
        ]

    def carrying(self, kind: type[E]) -> list[tuple[Entry, E]]:
        """The effects of this kind that the batch's decisions carry, each with its entry, in order."""
        return [(entry, effect) for entry, effect in self._effects if isinstance(effect, kind)]

    def news_of(self, kind: type[E]) -> list[tuple[Entry, E, Message]]:
        """What reports say for the first time: effects of this kind, and the message of each."""
        return [
            (item.entry, item.effect, item.original) for item in self.news if isinstance(item.effect, kind)
        ]

    def confirmed_of(self, kind: type[E]) -> list[tuple[E, Message]]:
        """What was said before, but is now by strong evidence."""
        return [(item.effect, item.original) for item in self.confirmed if isinstance(item.effect, kind)]

    def add_delivery(self, message_id: int, status: DeliveryStatus, details: str) -> Delivery:
        """Add a delivery to any message, whose status stays as it is."""
        delivery = Delivery(
            message_id=message_id,
            status=status.value,
            details=details[:DETAILS_CHARACTERS],
            created_at=self.now,
        )
        self.further_deliveries.append(delivery)
        return delivery

    def set_status(self, message_id: int, status: DeliveryStatus) -> None:
        """Change the stored status of any message; if it has an entry in this batch, that keeps its own."""
        self.other_statuses[message_id] = status

    def emit(
        self,
        event: str,
        *about: Message,
        payload: Callable[..., Mapping[str, Any]],
        is_beyond_postal: bool = False,
    ) -> None:
        """Emit an event about these messages, if a webhook wants it; see `MessageEvent`."""
        if is_wanted(about[0].server_id, event, self.directory, is_beyond_postal=is_beyond_postal):
            self.events.append(MessageEvent(event, about, payload, is_beyond_postal))
