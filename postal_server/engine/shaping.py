"""How fast this worker sends to each destination: fixed limits, and paces learned from answers.

Claims ask for `room`, so that what has to wait stays in the queue. The pipeline calls `admit` before it
prepares what was claimed, because many lanes may lead to one operator. `learn` adjusts the paces when results
are recorded. Two threads share this, the journal's and the event loop's: paces are immutable values that are
replaced, and messages under way are counted under a lock. Without limits and paces, each call only checks two
empty dicts.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from postal_server.rules.lane import is_domain
from postal_server.rules.outcome import Outcome
from postal_server.rules.shaping import (
    PATIENCE,
    SLOWED_DOWN,
    Pace,
    Rule,
    ThrottleSignal,
    faster,
    operator_of,
    slower,
    throttle_signal,
)
from postal_server.services.shared.work import Claimed, Result

from . import metrics
from .ports import Lookup, Resolver
from .undoable import Undoable

OPERATOR = "mx:"  # prefix of the name of an operator of mail hosts
MAX_REMEMBERED = 20_000
BURST = 1.0  # seconds of a rate whose messages may be sent at once
CLOCK_STEP = 60.0  # seconds by which a clock may be set back without an effect on gates
LONGEST_DELAY = 3600.0  # seconds that a message is put off at most at a time
MINUTE = 60.0
PATIENCE_WITH_DNS = 1.0  # seconds that a batch waits for lookups of operators

Key = tuple[str, str]  # source address (empty: any), and a recipient domain, or an operator after `mx:`
FindOperator = Callable[[str], Awaitable[str | None]]


@dataclass(frozen=True)
class Row:
    """A pace as workers share it in the database. `source` is an address, or empty: mail bound to none."""

    source: str
    operator: str
    paused_until: datetime | None
    rate: float
    concurrency: int
    pauses: int
    reason: str


@dataclass(frozen=True)
class Cap:
    """The limits of one destination; None: no limit.

    `connections` at a time; `rate` in messages a minute; nothing before `starts_at`, in seconds since 1970.
    """

    connections: int | None = None
    rate: float | None = None
    starts_at: float = 0.0

    def step(self) -> float:
        """Seconds between the times of two messages that are put off."""
        return MINUTE / self.rate if self.rate else 1.0 / (self.connections or 1)


@dataclass
class Gate:
    """What is under way to one destination, and when the next may go. Times are seconds since 1970."""

    in_flight: int = 0
    next_at: float = 0.0
    put_off_to: float = 0.0

    def room(self, cap: Cap, now: float) -> int | None:
        """How many more messages may be sent now; None: any number."""
        if now < cap.starts_at:
            return 0
        rooms = []
        if cap.connections is not None:
            rooms.append(max(0, cap.connections - self.in_flight))
        if cap.rate is not None:
            ahead = max(self.next_at - now, 0.0)
            if ahead > BURST + cap.step() + CLOCK_STEP:  # more than a rate can cause: the clock was set back
                self.next_at = self.put_off_to = ahead = 0.0
            rooms.append(math.floor((BURST - ahead) * cap.rate / MINUTE) + 1 if ahead <= BURST else 0)
        return min(rooms, default=None)

    def enter(self, cap: Cap, now: float) -> None:
        self.in_flight += 1
        if cap.rate is not None:
            self.next_at = max(self.next_at, now) + MINUTE / cap.rate

    def put_off(self, cap: Cap, now: float) -> float:
        """When a message that has to wait may be tried again: one after the other, not all at once."""
        start = max(now, cap.starts_at)
        ahead = max(self.put_off_to, self.next_at, start) + cap.step() - start
        self.put_off_to = start + ahead
        return start + (ahead if ahead <= LONGEST_DELAY else ahead % LONGEST_DELAY)


@dataclass
class Minutes:
    """What a destination took in this minute and in the one before."""

    minute: int = 0
    now: int = 0
    before: int = 0

    def add(self, minute: int) -> None:
        if minute != self.minute:
            self.before = self.now if minute == self.minute + 1 else 0
            self.minute, self.now = minute, 0
        self.now += 1


@dataclass
class Shaping:
    """The paces of one worker.

    `connections` is the limit for a destination without a pace. `find_operator` finds the operator of a
    domain's mail hosts; None if the lookup fails for now. `address_of` gives the address of a source's id.
    `is_shaped`: does mail of this lane go to mail hosts of others? `catch` is the host that takes what does
    not; nothing is learned from its answers.
    """

    connections: int
    find_operator: FindOperator
    rules: Mapping[str, Rule] = field(default_factory=dict)
    address_of: Callable[[int], str] = lambda source_id: ""
    is_shaped: Callable[[str], bool] = is_domain
    catch: str = ""
    _paces: Undoable[Key, Pace] = field(default_factory=Undoable)
    _operators: dict[str, str] = field(default_factory=dict)  # by lane
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # by lane
    _gates: dict[Key, Gate] = field(default_factory=dict)
    _admitted: dict[int, list[Key]] = field(default_factory=dict)  # by message
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _busy: Undoable[Key, int] = field(default_factory=Undoable)  # answers in a row
    _taken: dict[Key, Minutes] = field(default_factory=dict)

    # For the journal's thread: claims

    def room(self, source_id: int, lane: str, room: int, held: int, now: datetime) -> int:
        """How many of `room` more rows of a lane may be claimed while `held` are."""
        if not (self._paces or self.rules) or not self.is_shaped(lane):
            return room
        for key, cap in self._caps(source_id, lane):
            gate = self._gates.get(key) or Gate()
            left = gate.room(cap, now.timestamp())
            if left is not None:
                room = min(room, left)
            if cap.connections is not None:
                room = min(room, max(0, cap.connections - held))
        return room

    # For the loop: what was claimed

    async def admit(
        self, rows: Sequence[Claimed], now: datetime
    ) -> tuple[list[Claimed], list[tuple[Claimed, datetime]]]:
        """The rows that may be sent now, and those that must wait, each with its due time."""
        if not (self._paces or self.rules):
            return list(rows), []
        await self._find_operators({row.lane for row in rows})
        going, waiting = [], []
        with self._lock:
            for row in rows:
                due = self._enter(row, now.timestamp())
                if due is None:
                    going.append(row)
                else:
                    waiting.append((row, datetime.fromtimestamp(math.ceil(due), timezone.utc)))
        return going, waiting

    def explain(self, outcome: Outcome) -> Outcome:
        """The outcome; its details say so if the destination asks us to send more slowly."""
        if throttle_signal(outcome.code, outcome.output or "") is not ThrottleSignal.TOO_FAST:
            return outcome
        return replace(outcome, details=f"{outcome.details.removesuffix('.')}. {SLOWED_DOWN}")

    # For the journal's thread: results

    def ended(self, claimed: Iterable[Claimed]) -> None:
        """Count these rows as no longer under way."""
        if not self._admitted:
            return
        with self._lock:
            for row in claimed:
                for key in self._admitted.pop(row.id, ()):
                    self._gates[key].in_flight -= 1

    def forget_admitted(self) -> None:
        """Count nothing as under way, after the lease was lost."""
        with self._lock:
            self._admitted.clear()
            for gate in self._gates.values():
                gate.in_flight = 0

    def learn(self, results: Iterable[Result], now: datetime) -> dict[Key, Pace | None]:
        """The paces that these results change; None for a destination that needs no pace any more."""
        changed: dict[Key, Pace | None] = {}
        for result in results:
            claimed, outcome = result.claimed, result.outcome
            if outcome.host in (None, "", self.catch) or not self.is_shaped(claimed.lane):
                continue
            operator = operator_of(outcome.host)
            self._remember(claimed.lane, operator)
            key = (self.address_of(claimed.source_id), f"{OPERATOR}{operator}")
            before = self._paces.get(key)
            after = self._after(key, claimed.lane, before, outcome, now)
            if after is None:
                self._paces.pop(key, None)
            else:
                self._paces[key] = after
            if _shown(after) != _shown(before):
                changed[key] = after
        for key in changed:
            self._measure(key)
        return changed

    def settle(self) -> None:
        """Keep what was learned: it is durable."""
        self._paces.settle()
        self._busy.settle()

    def undo(self) -> None:
        """Forget what was learned since `settle`: the results will be recorded, and learned from, again."""
        self._paces.undo()
        self._busy.undo()

    def load(self, rows: Iterable[Row]) -> None:
        """Take over the paces that all workers share."""
        former, paces = dict(self._paces), {}
        for row in rows:
            key = (row.source, f"{OPERATOR}{row.operator}")
            known = former.get(key)
            accepted = known.accepted if known and known.concurrency == row.concurrency else 0
            paces[key] = Pace(row.concurrency, row.rate, row.paused_until, row.pauses, row.reason, accepted)
        self._paces.replace(paces)  # at once: the loop reads them
        for key in {*former, *paces}:
            self._measure(key)

    # Internals

    def _after(self, key: Key, lane: str, pace: Pace | None, outcome: Outcome, now: datetime) -> Pace | None:
        found = throttle_signal(outcome.code, outcome.output or "")
        if found is ThrottleSignal.BUSY:
            self._busy[key] = self._busy.get(key, 0) + 1
        if found is ThrottleSignal.TOO_FAST or self._busy.get(key, 0) >= PATIENCE:
            self._busy.pop(key, None)
            metrics.THROTTLED.inc()
            return slower(
                pace,
                now,
                limit=self._limit(lane),
                measured=self._rate(key, now),
                asked=outcome.retry_after,
                reason=(outcome.output or "")[:250],
            )
        if found is ThrottleSignal.NONE and outcome.code is not None:
            self._busy.pop(key, None)
            self._count(key, now)
            return faster(pace, now, limit=self._limit(lane)) if pace else None
        return pace

    def _limit(self, lane: str) -> int:
        """The limit on connections to a destination without a pace."""
        rule = self.rules.get(lane) or self.rules.get(self._operators.get(lane, ""))
        return min(self.connections, (rule.connections if rule else None) or self.connections)

    def _count(self, key: Key, now: datetime) -> None:
        if len(self._taken) >= MAX_REMEMBERED:
            self._taken.clear()
        self._taken.setdefault(key, Minutes()).add(int(now.timestamp() // MINUTE))

    def _rate(self, key: Key, now: datetime) -> float:
        """Messages a minute that it took of late: the greater count of this minute and the one before."""
        minutes = self._taken.get(key)
        is_recent = minutes is not None and int(now.timestamp() // MINUTE) - minutes.minute <= 1
        return float(max(minutes.now, minutes.before)) if minutes and is_recent else 0.0

    def _caps(self, source_id: int, lane: str) -> Iterator[tuple[Key, Cap]]:
        """What limits a lane: rules for it and for its operator, and the operator's pace."""
        source, operator = self.address_of(source_id), self._operators.get(lane, "")
        for name in dict.fromkeys((lane, operator)):  # one name where a domain runs its own hosts
            if rule := self.rules.get(name):
                yield ("", name), Cap(rule.connections, rule.rate)
        if pace := self._paces.get(key := (source, f"{OPERATOR}{operator}")):
            starts_at = pace.paused_until.timestamp() if pace.paused_until else 0.0
            yield key, Cap(1 if pace.is_probing else pace.concurrency, pace.rate, starts_at)

    def _enter(self, row: Claimed, now: float) -> float | None:
        """Count a row as under way, or return when it may be tried again, in seconds since 1970."""
        if not self.is_shaped(row.lane):
            return None
        caps = [
            (self._gates.setdefault(key, Gate()), cap, key)
            for key, cap in self._caps(row.source_id, row.lane)
        ]
        shut = [(gate, cap) for gate, cap, _ in caps if gate.room(cap, now) == 0]
        if shut:
            return max(gate.put_off(cap, now) for gate, cap in shut)
        for gate, cap, _ in caps:
            gate.enter(cap, now)
        if caps:
            self._admitted[row.id] = [key for *_, key in caps]
        return None

    async def _find_operators(self, lanes: Iterable[str]) -> None:
        """Look up the unknown operators of lanes. A slow answer counts from the next batch on."""
        unknown = [lane for lane in lanes if lane not in self._operators and self.is_shaped(lane)]
        if not unknown:
            return
        for lane in unknown:
            if lane not in self._asking:
                self._asking[lane] = asyncio.ensure_future(self._ask(lane))
        await asyncio.wait([self._asking[lane] for lane in unknown], timeout=PATIENCE_WITH_DNS)

    async def _ask(self, lane: str) -> None:
        try:
            operator = await self.find_operator(lane)
        finally:
            del self._asking[lane]
        if operator is not None:
            self._remember(lane, operator)

    def _remember(self, lane: str, operator: str) -> None:
        if self._operators.get(lane) == operator:
            return
        with self._lock:
            if len(self._operators) >= MAX_REMEMBERED and lane not in self._operators:
                self._operators.pop(next(iter(self._operators)))
            self._operators[lane] = operator

    def _measure(self, key: Key) -> None:
        if pace := self._paces.get(key):
            metrics.BACK_OFF.labels(*key).set(0 if pace.is_probing else pace.concurrency)
        else:
            metrics.forget_back_off(*key)


def _shown(pace: Pace | None) -> Pace | None:
    """The part of a pace that is shared with other workers."""
    return replace(pace, accepted=0) if pace else None


def operators_by_mx(resolver: Resolver) -> FindOperator:
    """Finds the operator of the preferred MX host; a domain without one is its own operator."""

    async def find_operator(domain: str) -> str | None:
        answer = await resolver.mail_hosts(domain)
        if answer.lookup in (Lookup.FAILED, Lookup.TIMED_OUT):
            return None
        return operator_of(answer.values[0]) if answer.values else domain

    return find_operator
