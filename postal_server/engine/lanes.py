"""How much of each destination this worker may hold, where its claims go on, and which lanes are paused.

Pure: no clock, no database. A lane is what waits for one destination; its name is the destination's (a
recipient domain, `http:<id>`, `webhook:<id>`...). Limits are by destination, whichever mail server it is for.
Used by the journal's thread only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from postal_server.rules.lane import ANY_SOURCE
from postal_server.services.shared.work import Claimed

from .undoable import Undoable

# One unreachable host of a destination is no reason to stop; so many in a row are.
FAILURES_UNTIL_PAUSE = 10
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)
LONGEST_WAIT = timedelta(hours=1)  # that a destination may ask for
BYTE_BUDGET = 32 * 1024 * 1024
# Bulk mail holds about this much of the rows at most (3 of 4 connections: two rows are held for each) and of
# the bytes, so that receivers which take their time over a newsletter leave room for everybody else's mail.
BULK_SHARE = 3 / 8


@dataclass(frozen=True)
class Limits:
    """`connections` to one destination; `held` rows and `held_bytes` of all lanes together."""

    connections: int
    held: int
    held_bytes: int = BYTE_BUDGET


@dataclass(frozen=True)
class Pause:
    """A destination that cannot be reached is left alone until `until`, then tried with one message.

    So is one that `is_asked` for: what was under way before it does not end it.
    """

    until: datetime
    length: timedelta = FIRST_PAUSE
    is_asked: bool = False

    def longer(self, now: datetime) -> Pause:
        length = min(self.length * 2, LONGEST_PAUSE)
        return Pause(now + length, length)


@dataclass(frozen=True)
class Place:
    """Whose lanes: those of one server, one source, and one priority (None: rows of this kind have none)."""

    source: int
    server_id: int
    priority: int | None

    def values(self, columns: Sequence[str]) -> tuple[int | None, ...]:
        """Those of the columns of the queue's table that they name."""
        named = {"source_id": self.source, "server_id": self.server_id, "priority": self.priority}
        return tuple(named[column] for column in columns)


# How many of `room` rows of a lane may be held, of which some are: by source, lane, room, and rows held.
Shape = Callable[[int, str, int, int, datetime], int]


class Lanes:
    """What one worker holds of one kind of row, and the place in each server's lanes where it claims next."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.shape: Shape | None = None
        self._last_server: dict[int, int] = {}  # by source
        self._last_lane: dict[Place, str] = {}
        self._held: dict[int, Claimed] = {}
        self._held_bytes = 0
        self._held_by_lane: Counter[str] = Counter()
        self._held_bulk = self._held_bulk_bytes = 0
        self._failures: Undoable[str, int] = Undoable()  # in a row, by lane
        self._pauses: Undoable[str, Pause] = Undoable()

    @property
    def held(self) -> Collection[int]:
        """The ids of the rows that this worker holds."""
        return self._held.keys()

    def holds(self, claimed: Claimed) -> bool:
        """Is this the claim by which the row is held, and not an earlier one of the same row?"""
        return self._held.get(claimed.id) is claimed

    def held_from(self, source: int) -> int:
        """How many of them leave from this source."""
        return sum(row.source_id == source for row in self._held.values())

    @property
    def held_bytes(self) -> int:
        return self._held_bytes

    @property
    def space(self) -> int:
        """How many more rows may be held, by number; 0 once the byte budget is used up."""
        return max(0, self.limits.held - len(self._held)) if self._has_bytes() else 0

    @property
    def bulk_space(self) -> int:
        """How many more rows of bulk mail may be held, of all lanes together."""
        if self._held_bulk_bytes >= self.limits.held_bytes * BULK_SHARE:
            return 0
        return max(0, int(self.limits.held * BULK_SHARE) - self._held_bulk)

    def _has_bytes(self) -> bool:
        return self._held_bytes < self.limits.held_bytes

    def room(self, lane: str, now: datetime, *, bulk: bool = False, source: int = ANY_SOURCE) -> int:
        """How many more rows of this lane may be held.

        Twice the connections, so that each finds its next message ready; bulk mail leaves half of that to
        transactional mail. One for a lane that is probed after its pause, none during it. Fewer where the
        destination is sent to at a slower pace.
        """
        held = self._held_by_lane[lane]
        if pause := self._pauses.get(lane):
            return 0 if now < pause.until else max(0, 1 - held)
        room = max(0, self.limits.connections * (1 if bulk else 2) - held)
        return self.shape(source, lane, room, held, now) if self.shape else room

    def within_budget(self, sizes: Sequence[int]) -> int:
        """How many of the rows of these sizes, from the first on, fit into the byte budget.

        A row that is larger than the whole budget fits when nothing else is held.
        """
        total = self._held_bytes
        for count, size in enumerate(sizes):
            total += size
            if total > self.limits.held_bytes and (self._held or count):
                return count
        return len(sizes)

    def hold(self, claimed: Iterable[Claimed]) -> None:
        for row in claimed:
            if row.id in self._held:
                continue
            self._held[row.id] = row
            self._held_bytes += row.size_bytes
            self._held_by_lane[row.lane] += 1
            self._count_bulk(row, 1)

    def release(self, claimed: Iterable[Claimed]) -> None:
        """These claims are finished, deferred or given back. Those that are not held are passed over."""
        for row in [self._held.pop(row.id) for row in claimed if self.holds(row)]:
            self._held_bytes -= row.size_bytes
            self._held_by_lane[row.lane] -= 1
            self._count_bulk(row, -1)
            if not self._held_by_lane[row.lane]:
                del self._held_by_lane[row.lane]

    def _count_bulk(self, row: Claimed, step: int) -> None:
        if row.is_bulk:
            self._held_bulk += step
            self._held_bulk_bytes += step * row.size_bytes

    def release_all(self) -> None:
        self.release(list(self._held.values()))

    def last_server(self, source: int) -> int:
        """The server after which the next claim from this source goes on; 0 for the first."""
        return self._last_server.get(source, 0)

    def go_on_after_server(self, source: int, server_id: int) -> None:
        self._last_server[source] = server_id

    def last_lane(self, place: Place) -> str:
        """The lane after which the next claim goes on; empty for the first."""
        return self._last_lane.get(place, "")

    def go_on_after(self, place: Place, lane: str) -> None:
        """Set `last_lane`; empty to start again with the first."""
        if lane:
            self._last_lane[place] = lane
        else:
            self._last_lane.pop(place, None)

    def note(self, lane: str, *, was_reached: bool, now: datetime) -> bool:
        """Learn from an attempt. Has this changed the lane's pause?"""
        pause = self._pauses.get(lane)
        if was_reached:
            self._failures.pop(lane, None)
            if pause is not None and pause.is_asked and now < pause.until:
                return False
            return self._pauses.pop(lane, None) is not None
        self._failures[lane] = failures = self._failures.get(lane, 0) + 1
        if pause is None and failures >= FAILURES_UNTIL_PAUSE:
            self._pauses[lane] = Pause(now + FIRST_PAUSE)
        elif pause is not None and now >= pause.until:  # the probe failed
            self._pauses[lane] = pause.longer(now)
        return self._pauses.get(lane) is not pause

    def leave_alone(self, lane: str, wait: timedelta, now: datetime) -> bool:
        """The destination asks for a wait; an hour at most. Has this changed the lane's pause?"""
        pause = Pause(now + min(wait, LONGEST_WAIT), is_asked=True)
        former = self._pauses.get(lane)
        self._failures.pop(lane, None)
        if former is not None and former.until >= pause.until:
            return False
        self._pauses[lane] = pause
        return True

    def settle(self) -> None:
        """What was learned is durable."""
        self._failures.settle()
        self._pauses.settle()

    def undo(self) -> None:
        """What was learned since it was last durable is not recorded: it will be learned again."""
        self._failures.undo()
        self._pauses.undo()

    def pause(self, lane: str) -> Pause | None:
        pause: Pause | None = self._pauses.get(lane)
        return pause

    def set_pauses(self, until: Mapping[str, datetime]) -> None:
        """Take over the pauses that all workers share."""
        self._pauses.replace(
            {
                lane: pause if (pause := self._pauses.get(lane)) and pause.until == time else Pause(time)
                for lane, time in until.items()
            }
        )
