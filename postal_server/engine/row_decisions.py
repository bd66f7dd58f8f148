"""What is recorded of claimed rows beside results: suspects, rows given back, decisions of the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from postal_server.rules import hold
from postal_server.rules.hold import HoldReason
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results.classification import LifetimeOver
from postal_server.services.results.failure_notice import GIVEN_UP
from postal_server.services.shared.work import Claimed, Decision, Result

from . import metrics
from .queue import MESSAGES, Kind

Done = Result | Decision


@dataclass(frozen=True)
class SuspectMarked:
    """A suspect that is to be prepared alone.

    `on_marked` is called once: with True when the mark is durable, with False if the row is not ours.
    """

    claimed: Claimed
    on_marked: Callable[[bool], object]


@dataclass(frozen=True)
class SuspectCleared:
    """A suspect that was prepared without harm."""

    claimed: Claimed


@dataclass(frozen=True)
class Returned:
    """A row that is given back untried."""

    claimed: Claimed


@dataclass(frozen=True)
class Delayed:
    """A row that is given back untried until a time, because its destination is sent to slowly."""

    claimed: Claimed
    due_at: datetime


Item = Done | SuspectMarked | SuspectCleared | Returned | Delayed
Timed = tuple[float, Item]  # when it was added, and the item


def poison_decision(claimed: Claimed, kind: Kind) -> Decision:
    """The decision on poison: a message is held for a person to look at, a webhook request fails."""
    metrics.POISON.labels(kind.name).inc()
    if kind is not MESSAGES:
        details = "Workers stopped while they processed this request."
        return Decision(claimed, DeliveryStatus.FAILED, details)
    why = hold.by(HoldReason.POISON)
    return Decision(claimed, DeliveryStatus.HELD, why.sentence, hold_reason=why.reason)


def expired_decision(claimed: Claimed, kind: Kind) -> Decision:
    """The decision on a row whose lifetime is over: it fails, and the sender of a message is notified."""
    is_message = kind is MESSAGES
    return Decision(
        claimed,
        DeliveryStatus.FAILED,
        f"The maximum lifetime of this {'message' if is_message else 'request'} has been reached.",
        effects=(GIVEN_UP, LifetimeOver()) if is_message else (),
    )
