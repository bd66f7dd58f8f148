"""The states of the queue's rows, how columns express them, and the transitions between them.

Kept beside the models, because columns make a state. Code tests for a state with `state_of` in memory, and in
queries with the conditions below. Elsewhere these columns are only set, with two exceptions: `engine.queue`
counts `claims` up and down, and `engine.lease` compares `claimed_by` with the workers that exist.

A claimed row has no due time. Some of the claimed rows are suspects or poison. Being expired is no state: a
waiting row that has expired is claimed and fails, whatever its state was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

from django.db.models import Q

# The due time of rows that an operator suspended: no clock gets there, so they are never claimed.
NEVER_DUE = datetime(9999, 1, 1, tzinfo=timezone.utc)
# Claims without a recorded attempt, as happens when workers die, after which a row is a suspect.
SUSPECT_CLAIMS = 3


class QueueState(Enum):
    """The state of a row, which decides what happens to it next."""

    READY = "ready"  # a worker may claim it
    DEFERRED = "deferred"  # waits for the time of its next attempt
    SUSPENDED = "suspended"  # waits until a person resumes it
    CLAIMED = "claimed"  # a worker has it
    SUSPECT = "suspect"  # claimed, to be prepared alone: workers died that had it
    POISON = "poison"  # claimed, never to be tried again: workers died that had only this row

    @property
    def rows(self) -> Q:
        """The condition for a query. `CLAIMED` includes suspects and poison."""
        return ROWS[self]

    @property
    def is_claimed(self) -> bool:
        return self in CLAIMED


UNCLAIMED = (QueueState.READY, QueueState.DEFERRED, QueueState.SUSPENDED)
CLAIMED = (QueueState.CLAIMED, QueueState.SUSPECT, QueueState.POISON)
ROWS = {
    QueueState.READY: Q(due_at__isnull=True, claimed_by__isnull=True),
    QueueState.DEFERRED: Q(due_at__lt=NEVER_DUE),
    QueueState.SUSPENDED: Q(due_at=NEVER_DUE),
    QueueState.CLAIMED: Q(claimed_by__isnull=False),
    QueueState.SUSPECT: Q(claimed_by__isnull=False, claims=SUSPECT_CLAIMS),
    QueueState.POISON: Q(claimed_by__isnull=False, claims__gt=SUSPECT_CLAIMS),
}
WAITING = Q(claimed_by__isnull=True)  # unclaimed: ready, deferred or suspended
HAS_DUE_TIME = Q(due_at__isnull=False)  # deferred or suspended
# Conditions for hand-written SQL; `{row}` is the table's alias, `%s` the id of a worker.
WAITING_SQL = "{row}.claimed_by IS NULL"
READY_SQL = f"{{row}}.due_at IS NULL AND {WAITING_SQL}"
HELD_BY_SQL = "{row}.claimed_by = %s"


def due_by(now: datetime) -> Q:
    """Deferred rows whose time has come."""
    return Q(due_at__lte=now)


def deferred_beyond(latest: datetime) -> Q:
    """Deferred rows that are due later than `latest`."""
    return ROWS[QueueState.DEFERRED] & Q(due_at__gt=latest)


def held_by(worker_id: int) -> Q:
    """Rows that this worker has claimed."""
    return Q(claimed_by=worker_id)


def expired_by(now: datetime) -> Q:
    """Rows that wait although their lifetime is over."""
    return WAITING & Q(expires_at__lte=now)


def state_of(due_at: datetime | None, claimed_by: int | None, claims: int = 0) -> QueueState:
    """The state of a row with these columns; `claims` matters only if it is claimed."""
    if claimed_by is not None:
        return state_of_claim(claims)
    if due_at is None:
        return QueueState.READY
    return QueueState.DEFERRED if due_at < NEVER_DUE else QueueState.SUSPENDED


def state_of_claim(claims: int) -> QueueState:
    """The state of a claimed row, by its claims since the last recorded attempt."""
    if claims < SUSPECT_CLAIMS:
        return QueueState.CLAIMED
    return QueueState.SUSPECT if claims == SUSPECT_CLAIMS else QueueState.POISON


@dataclass(frozen=True)
class Transition:
    """A change from one state to another; None: the row does not exist before or afterwards.

    `event` is the name of the function that makes the change.
    """

    event: str
    before: QueueState | None
    after: QueueState | None
    reason: str


def _from_each(
    states: Iterable[QueueState], event: str, after: QueueState | None, reason: str
) -> list[Transition]:
    return [Transition(event, before, after, reason) for before in states]


READY, DEFERRED, SUSPENDED = QueueState.READY, QueueState.DEFERRED, QueueState.SUSPENDED
SUSPECT, POISON = QueueState.SUSPECT, QueueState.POISON
# All that happen, but for the deletion of a server: it deletes rows in any state.
TRANSITIONS = (
    # Mail that is accepted, and events (`services.results.webhook`).
    Transition("store", None, READY, "accepted"),
    Transition("store", None, SUSPENDED, "accepted for a suspended part of the queue"),
    Transition("emit", None, READY, "an event for a webhook"),
    Transition("emit", None, DEFERRED, "waits with an earlier event of its message"),
    # A worker (`engine.queue.Queue`).
    Transition("claim", READY, QueueState.CLAIMED, "a worker has room for it"),
    Transition("claim", READY, SUSPECT, "claimed for the third time without a result"),
    Transition("claim", READY, POISON, "it was prepared alone when a worker died"),
    *_from_each(UNCLAIMED, "take_expired", QueueState.CLAIMED, "expired: it fails"),
    *_from_each(UNCLAIMED, "take_expired", SUSPECT, "expired: it fails, however often it was claimed"),
    *_from_each(UNCLAIMED, "take_expired", POISON, "expired: it fails, however often it was claimed"),
    Transition("promote", DEFERRED, READY, "its time has come"),
    *_from_each(CLAIMED, "finish", None, "sent, failed or held"),
    *_from_each(CLAIMED, "defer", DEFERRED, "not sent for now, or its result cannot be recorded"),
    Transition("defer_followers", READY, DEFERRED, "an earlier event of its message was deferred"),
    Transition("delay", QueueState.CLAIMED, DEFERRED, "its destination is sent to slowly"),
    *_from_each(CLAIMED, "suspend", SUSPENDED, "its part of the queue is suspended"),
    *_from_each(CLAIMED, "release", READY, "given back untried"),
    *_from_each(CLAIMED, "release_unknown", READY, "the commit of its claim was in doubt"),
    Transition("mark_suspects", SUSPECT, POISON, "from now on it is prepared alone"),
    Transition("clear_suspects", POISON, QueueState.CLAIMED, "it was prepared without harm"),
    # The other workers, for one that died.
    *_from_each(CLAIMED, "reap_dead_workers", READY, "its worker died"),
    # People (`services.operations`).
    Transition("put_aside", READY, SUSPENDED, "suspended"),
    Transition("make_ready", SUSPENDED, READY, "resumed"),
    Transition("flush", DEFERRED, READY, "flushed"),
    *_from_each((DEFERRED, SUSPENDED), "requeue", READY, "released or tried again"),
    Transition("requeue", None, READY, "released or tried again"),
    Transition("resend", DEFERRED, READY, "sent again"),
    Transition("resend", None, READY, "sent again"),
    *_from_each(UNCLAIMED, "remove", None, "removed"),
    *_from_each(UNCLAIMED, "keep_back", None, "held"),
)
