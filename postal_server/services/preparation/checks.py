"""What can end a message before it is sent: how checks are made, and those of both directions.

A check answers with a decision, or None where it has nothing against the message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from postal_server.conf import Config
from postal_server.rules import hold
from postal_server.rules.hold import Hold, HoldReason
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Changes, Decision, Effect

from .job import Job

PURGED = "Raw message has been removed. Cannot send message."


@dataclass(frozen=True)
class BatchContext:
    """What all messages of a batch are judged by."""

    directory: Directory
    config: Config


C = TypeVar("C", bound=BatchContext)


def first_decision(
    checks: Sequence[Callable[[Job, C], Decision | None]], job: Job, context: C
) -> Decision | None:
    """That of the first check that has one."""
    for check in checks:
        if decision := check(job, context):
            return decision
    return None


def held(
    job: Job, why: Hold, *, changes: Changes | None = None, effects: tuple[Effect, ...] = ()
) -> Decision:
    """The decision to hold a message."""
    return Decision(
        job.claimed,
        DeliveryStatus.HELD,
        why.sentence,
        changes=changes,
        effects=effects,
        hold_reason=why.reason,
    )


def check_suspension(job: Job, context: BatchContext) -> Decision | None:
    return held(job, hold.by(HoldReason.SUSPENDED)) if job.server.is_suspended else None


def check_text(job: Job, context: BatchContext) -> Decision | None:
    return Decision(job.claimed, DeliveryStatus.FAILED, PURGED) if job.body is None else None


def attempts_used_up(job: Job, context: BatchContext) -> str | None:
    """The sentence that says so, where the message has no attempt left."""
    maximum = context.config.postal.default_maximum_delivery_attempts
    if job.claimed.attempts < maximum:
        return None
    return f"Maximum number of delivery attempts ({maximum}) has been reached."
