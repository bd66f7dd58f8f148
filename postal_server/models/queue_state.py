"""The states of the queue's rows, how columns express them, and the transitions between them.

Kept beside the models, because columns make a state: in memory (`state_of`), and in a query
(`QueueState.rows`). Nothing else compares `due_at`, `claimed_by` or `claims`.

A claimed row has no due time. Some of the claimed rows are suspects or poison. Being expired is no state: a
waiting row that has expired is claimed and fails, whatever its state was.
"""

from __future__ import annotations

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


CLAIMED = frozenset({QueueState.CLAIMED, QueueState.SUSPECT, QueueState.POISON})
ROWS = {
    QueueState.READY: Q(due_at__isnull=True, claimed_by__isnull=True),
    QueueState.DEFERRED: Q(due_at__lt=NEVER_DUE),
    QueueState.SUSPENDED: Q(due_at=NEVER_DUE),
    QueueState.CLAIMED: Q(claimed_by__isnull=False),
    QueueState.SUSPECT: Q(claimed_by__isnull=False, claims=SUSPECT_CLAIMS),
    QueueState.POISON: Q(claimed_by__isnull=False, claims__gt=SUSPECT_CLAIMS),
}
WAITING = Q(claimed_by__isnull=True)  # ready, deferred or suspended
HAS_DUE_TIME = Q(due_at__isnull=False)  # deferred or suspended
# `READY` for hand-written SQL; `{row}` is the table's alias.
READY_SQL = "{row}.due_at IS NULL AND {row}.claimed_by IS NULL"


def due_by(now: datetime) -> Q:
    """Deferred rows whose time has come."""
    return Q(due_at__lte=now)


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


READY, DEFERRED, SUSPENDED = QueueState.READY, QueueState.DEFERRED, QueueState.SUSPENDED
TRANSITIONS = (
    # Mail that is accepted.
    Transition("store", None, READY, "accepted"),
    Transition("store", None, SUSPENDED, "accepted for a suspended part of the queue"),
    # A worker (`engine.queue.Queue`).
    Transition("claim", READY, QueueState.CLAIMED, "a worker has room for it"),
    Transition("claim", READY, QueueState.SUSPECT, "claimed for the third time without a result"),
    Transition("claim", READY, QueueState.POISON, "it was prepared alone when a worker died"),
    Transition("take_expired", READY, QueueState.CLAIMED, "expired: it fails"),
    Transition("take_expired", DEFERRED, QueueState.CLAIMED, "expired: it fails"),
    Transition("take_expired", SUSPENDED, QueueState.CLAIMED, "expired: it fails"),
    Transition("promote", DEFERRED, READY, "its time has come"),
    Transition("finish", QueueState.CLAIMED, None, "sent, failed or held"),
    Transition("finish", QueueState.POISON, None, "held, or failed"),
    Transition("defer", QueueState.CLAIMED, DEFERRED, "not sent for now"),
    Transition("delay", QueueState.CLAIMED, DEFERRED, "its destination is sent to slowly"),
    Transition("suspend", QueueState.CLAIMED, SUSPENDED, "its part of the queue is suspended"),
    Transition("release", QueueState.CLAIMED, READY, "given back untried"),
    Transition("mark_suspects", QueueState.SUSPECT, QueueState.POISON, "from now on it is prepared alone"),
    Transition("clear_suspects", QueueState.POISON, QueueState.CLAIMED, "it was prepared without harm"),
    # The other workers, for one that died.
    Transition("reap_dead_workers", QueueState.CLAIMED, READY, "its worker died"),
    Transition("reap_dead_workers", QueueState.SUSPECT, READY, "its worker died"),
    Transition("reap_dead_workers", QueueState.POISON, READY, "its worker died"),
    # People (`services.operations`).
    Transition("put_aside", READY, SUSPENDED, "suspended"),
    Transition("make_ready", SUSPENDED, READY, "resumed"),
    Transition("flush", DEFERRED, READY, "flushed"),
    Transition("requeue", DEFERRED, READY, "released or tried again"),
    Transition("requeue", SUSPENDED, READY, "released or tried again"),
    Transition("requeue", None, READY, "released or tried again"),
    Transition("remove", READY, None, "removed"),
    Transition("remove", DEFERRED, None, "removed"),
    Transition("remove", SUSPENDED, None, "removed"),
    Transition("keep_back", READY, None, "held"),
    Transition("keep_back", DEFERRED, None, "held"),
    Transition("keep_back", SUSPENDED, None, "held"),
)
