"""The queue's tables: claim, finish, defer, promote. One code for messages and for webhook requests.

Claims are fair and flat: they walk from server to server and, within a server, from lane to lane, jumping
over the partial index of ready rows from one key to the next, so that their cost does not depend on how much
is queued, or for whom. All functions run inside the caller's transaction.
"""

# ruff: noqa: S608 - the names of tables and columns in the statements are ours

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Case, F, QuerySet, SmallIntegerField, When
from django.db.models.functions import Length

from postal_server.models import QueuedMessage, WebhookRequest
from postal_server.models.queue import QueueRow
from postal_server.models.queue_state import (
    HELD_BY_SQL,
    NEVER_DUE,
    READY_SQL,
    SUSPECT_CLAIMS,
    WAITING_SQL,
    deferred_beyond,
    due_by,
    expired_by,
    held_by,
)
from postal_server.rules.lane import ANY_SOURCE, WEBHOOK_PREFIX
from postal_server.services.shared.work import Claimed

from .lanes import Lanes, Place

SERVERS_A_CLAIM = 16
LANES_A_SERVER = 64
ONE_CLAIM_MORE = Case(
    When(claims__lt=SUSPECT_CLAIMS, then=F("claims") + 1),
    default=F("claims"),
    output_field=SmallIntegerField(),
)
ONE_CLAIM_LESS = Case(  # a suspect that was cleared has none
    When(claims__gt=0, then=F("claims") - 1), default=F("claims"), output_field=SmallIntegerField()
)
READY = READY_SQL.format(row="q")
WAITING = WAITING_SQL.format(row="t")
HELD_BY = HELD_BY_SQL.format(row="t")


@dataclass(frozen=True)
class Kind:
    """What tells the two tables apart. `lane` is the column below the server, `prefix` that of lane names.

    `has_source`: a row may be bound to a source address. `priorities` are the values of the column
    `priority`, first to go first; None stands for no such column. `keeps_order`: of one message, a lane's
    rows are claimed one after the other.
    """

    name: str
    model: type[QueueRow]
    lane: str
    size: str
    prefix: str = ""
    has_source: bool = False
    priorities: tuple[int | None, ...] = (None,)
    keeps_order: bool = False


MESSAGES = Kind("messages", QueuedMessage, "destination", "q.size_bytes", has_source=True, priorities=(0, 1))
WEBHOOKS = Kind(
    "webhooks", WebhookRequest, "webhook_id", "LENGTH(q.body)", prefix=WEBHOOK_PREFIX, keeps_order=True
)


@dataclass(frozen=True)
class Pick:
    """Up to `room` rows of one lane."""

    source: int
    server_id: int
    priority: int | None
    lane: Any  # the value of the lane's column
    room: int


@dataclass(frozen=True)
class Walk:
    """Up to `steps` values after `last`, among the rows with the values `fixed`."""

    last: Any
    steps: int
    fixed: Sequence[int | None] = ()


class Queue:
    """One table of rows that wait, as one worker sees it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._table = kind.model._meta.db_table
        self._locks_rows = connection.features.has_select_for_update_skip_locked
        self.has_seen_all = True  # did the last claim look at every lane that had anything ready?

    @property
    def rows(self) -> QuerySet[Any]:
        return self.kind.model._default_manager.order_by()

    # Claiming

    def claim(
        self, worker_id: int, lanes: Lanes, limit: int, now: datetime, source: int = ANY_SOURCE
    ) -> list[Claimed]:
        """Make up to `limit` ready rows this worker's, fairly over servers and lanes.

        Only such as leave from `source`. At most seven statements, however much is queued and for whom.
        """
        servers = self._servers(source, lanes.last_server(source))
        self.has_seen_all = len(servers) < SERVERS_A_CLAIM
        if not servers:
            return []
        share = -(-limit // len(servers))
        found = self._select(self._picks(source, servers, lanes, share, now))
        fitting = lanes.within_budget([size for _, size in found])
        # The byte budget may be used up by the first server: the next claim starts with the second then.
        lanes.go_on_after_server(source, servers[-1] if fitting == len(found) else servers[0])
        return self._take(worker_id, [pk for pk, _ in found[:fitting]])

    @property
    def _fixed(self) -> tuple[str, ...]:
        """The columns in front of the server's."""
        return ("source_id",) if self.kind.has_source else ()

    def _servers(self, source: int, last: int) -> list[int]:
        """Mail servers that have ready rows: those after `last`, then from the beginning."""
        fixed = (source,) if self.kind.has_source else ()
        walk = Walk(last, SERVERS_A_CLAIM, fixed)
        [after] = self._walk("server_id", self._fixed, [walk])
        if len(after) < SERVERS_A_CLAIM and last:
            [again] = self._walk("server_id", self._fixed, [Walk(0, SERVERS_A_CLAIM - len(after), fixed)])
            after += [server for server in again if server not in after]
        return after

    def _picks(
        self, source: int, servers: Sequence[int], lanes: Lanes, share: int, now: datetime
    ) -> list[Pick]:
        """What to take of each server, transactional lanes first, each lane up to its room and its share."""
        keys = [Place(source, server, priority) for server in servers for priority in self.kind.priorities]
        found = dict(zip(keys, self._lanes_of(keys, lanes, min(share, LANES_A_SERVER)), strict=True))
        picks = []
        bulk_left = lanes.bulk_space
        for server in servers:
            left = share
            for priority in self.kind.priorities:
                bulk = bool(priority)
                left = min(left, bulk_left) if bulk else left
                values = found[Place(source, server, priority)]
                rooms = [(v, lanes.room(self._lane(v), now, bulk=bulk, source=source)) for v in values]
                open_lanes = [(value, room) for value, room in rooms if room]
                each = -(-left // len(open_lanes)) if open_lanes else 0
                taken = [Pick(source, server, priority, value, min(room, each)) for value, room in open_lanes]
                picks += [pick for pick in taken if pick.room > 0]
                used = sum(pick.room for pick in taken)
                left -= used
                bulk_left -= used if bulk else 0
        return picks

    def _lane(self, value: Any) -> str:
        return f"{self.kind.prefix}{value}"

    def _lanes_of(self, keys: Sequence[Place], lanes: Lanes, count: int) -> list[list[Any]]:
        """For each of `keys` the next lanes that have ready rows, first those after the last."""
        first: Any = "" if self.kind.lane == "destination" else 0
        fixed = (*self._fixed, "server_id", *(() if self.kind.priorities == (None,) else ("priority",)))
        values = [key.values(fixed) for key in keys]
        places = [lanes.last_lane(key) for key in keys]
        walks = [
            Walk(type(first)(place or first), count, value)
            for place, value in zip(places, values, strict=True)
        ]
        found = self._walk(self.kind.lane, fixed, walks)
        short = [n for n, place in enumerate(places) if place and len(found[n]) < count]
        if short:
            again = self._walk(
                self.kind.lane, fixed, [Walk(first, count - len(found[n]), values[n]) for n in short]
            )
            for n, more in zip(short, again, strict=True):
                found[n] += [lane for lane in more if lane not in found[n]]
        for key, values_found in zip(keys, found, strict=True):
            is_cut = len(values_found) == count
            lanes.go_on_after(key, str(values_found[-1]) if is_cut else "")
            self.has_seen_all &= not is_cut
        return found

    def _walk(self, column: str, fixed: Sequence[str], walks: Sequence[Walk]) -> list[list[Any]]:
        """For each walk the next distinct values of `column` among ready rows: one index step each.

        `fixed` are the columns that each walk has a value for. The lanes of one server's messages, one walk:

            WITH RECURSIVE
            seed(walk, last, steps, source_id, server_id, priority) AS (VALUES (0, '', 64, 0, 7, 0)),
            head(walk, value, n) AS (
              SELECT seed.walk,
                     (SELECT q.destination FROM queue q
                      WHERE q.due_at IS NULL AND q.claimed_by IS NULL AND q.source_id = seed.source_id
                        AND q.server_id = seed.server_id AND q.priority = seed.priority
                        AND q.destination > seed.last ORDER BY q.destination LIMIT 1), 1
              FROM seed
              UNION ALL
              SELECT head.walk, (the same, but q.destination > head.value), head.n + 1
              FROM head JOIN seed ON seed.walk = head.walk
              WHERE head.value IS NOT NULL AND head.n < seed.steps)
            SELECT walk, value FROM head WHERE value IS NOT NULL ORDER BY walk, n
        """
        text = "varchar" if column == "destination" else "bigint"
        seeds = ", ".join(
            f"({number}, CAST(%s AS {text}), CAST(%s AS bigint){', CAST(%s AS bigint)' * len(fixed)})"
            for number in range(len(walks))
        )
        where = "".join(f" AND q.{name} = seed.{name}" for name in fixed)

        def following(value: str) -> str:
            return (
                f"(SELECT q.{column} FROM {self._table} q WHERE {READY}{where} "
                f"AND q.{column} > {value} ORDER BY q.{column} LIMIT 1)"
            )

        sql = (
            f"WITH RECURSIVE seed({', '.join(('walk', 'last', 'steps', *fixed))}) AS (VALUES {seeds}), "
            f"head(walk, value, n) AS (SELECT seed.walk, {following('seed.last')}, 1 FROM seed UNION ALL "
            f"SELECT head.walk, {following('head.value')}, head.n + 1 FROM head "
            "JOIN seed ON seed.walk = head.walk WHERE head.value IS NOT NULL AND head.n < seed.steps) "
            "SELECT walk, value FROM head WHERE value IS NOT NULL ORDER BY walk, n"
        )
        found: list[list[Any]] = [[] for _ in walks]
        for number, value in self._execute(sql, [v for w in walks for v in (w.last, w.steps, *w.fixed)]):
            found[number].append(value)
        return found

    def _select(self, picks: Sequence[Pick]) -> list[tuple[int, int]]:
        """The (id, size) of what is ready, pick by pick, oldest first; locked where several may claim.

        For each pick one part like this, joined by UNION ALL; the lock on PostgreSQL only:

            SELECT id, size FROM (
              SELECT q.id, q.size_bytes AS size FROM queue q
              WHERE q.due_at IS NULL AND q.claimed_by IS NULL AND q.source_id = 0 AND q.server_id = 7
                AND q.priority = 0 AND q.destination = 'example.com'
              ORDER BY q.id LIMIT 8 FOR UPDATE OF q SKIP LOCKED) p0
        """
        if not picks:
            return []
        guard = (
            f" AND NOT EXISTS (SELECT 1 FROM {self._table} o WHERE o.message_id = q.message_id "
            f"AND o.{self.kind.lane} = q.{self.kind.lane} AND o.id < q.id)"
            if self.kind.keeps_order
            else ""
        )
        lock = " FOR UPDATE OF q SKIP LOCKED" if self._locks_rows else ""
        parts, values = [], []
        source = " AND q.source_id = %s" if self.kind.has_source else ""
        for number, pick in enumerate(picks):
            priority = "" if pick.priority is None else " AND q.priority = %s"
            parts.append(
                f"SELECT id, size FROM (SELECT q.id, {self.kind.size} AS size FROM {self._table} q "
                f"WHERE {READY}{source} AND q.server_id = %s{priority} "
                f"AND q.{self.kind.lane} = %s{guard} ORDER BY q.id LIMIT %s{lock}) p{number}"
            )
            values += [pick.source] if source else []
            values += [pick.server_id, *([] if pick.priority is None else [pick.priority])]
            values += [pick.lane, pick.room]
        return [(pk, size) for pk, size in self._execute(" UNION ALL ".join(parts), values)]

    def _take(self, worker_id: int, ids: list[int]) -> list[Claimed]:
        if not ids:
            return []
        rows = self.rows.filter(pk__in=ids)
        rows.update(claimed_by=worker_id, due_at=None, claims=ONE_CLAIM_MORE)
        loaded = {row[0]: self._claimed(row) for row in rows.values_list(*self._columns())}
        return [loaded[pk] for pk in ids]

    def _columns(self) -> list[Any]:
        columns = ["id", "server_id", self.kind.lane, "attempts", "claims", "created_at"]
        if self.kind.model is QueuedMessage:
            return [*columns, "size_bytes", "is_manual", "priority", "source_id"]
        return [*columns, Length("body")]

    def _claimed(self, row: Sequence[Any]) -> Claimed:
        pk, server, lane, attempts, claims, created_at, size, *of_message = row
        is_manual, priority, source = of_message or (False, None, ANY_SOURCE)
        return Claimed(
            id=pk,
            server_id=server,
            lane=self._lane(lane),
            attempts=attempts,
            is_manual=is_manual,
            size_bytes=size,
            created_at=created_at,
            claims=claims,
            is_bulk=bool(priority),
            source_id=source,
        )

    def take_expired(self, worker_id: int, now: datetime, limit: int) -> list[Claimed]:
        """Claim rows whose lifetime is over, whatever their lane or due time."""
        rows = self.rows.filter(expired_by(now)).order_by("expires_at")
        return self._take(worker_id, self._first_free(rows, limit))

    def promote(self, now: datetime, limit: int) -> int:
        """Make rows ready that are due; how many."""
        rows = self.rows.filter(due_by(now)).order_by("due_at")
        ids = self._first_free(rows, limit)
        return self.rows.filter(pk__in=ids).update(due_at=None) if ids else 0

    def bring_forward(self, latest: datetime, limit: int) -> int:
        """Make rows due at `latest` that would be due later, but not what is suspended; how many."""
        rows = self.rows.filter(deferred_beyond(latest))
        ids = self._first_free(rows, limit)
        return self.rows.filter(pk__in=ids).update(due_at=latest) if ids else 0

    def _first_free(self, rows: QuerySet[Any], limit: int) -> list[int]:
        """The ids of the first rows, without those that another worker is just changing."""
        return list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])

    # Ending a claim. Each names the worker: rows that were taken from it meanwhile are left alone.

    def still_held(self, worker_id: int | None, ids: Collection[int]) -> set[int]:
        """Those of `ids` that are this worker's; locked until the transaction ends."""
        if not ids or worker_id is None:
            return set()
        rows = self.rows.filter(held_by(worker_id), pk__in=ids).select_for_update()
        return set(rows.values_list("pk", flat=True))

    def finish(self, worker_id: int, ids: Collection[int]) -> None:
        if ids:
            self.rows.filter(held_by(worker_id), pk__in=ids).delete()

    def defer(self, worker_id: int, deferred: Iterable[tuple[int, datetime]]) -> None:
        """Give rows back until their next attempt. Counts the attempt that was made."""
        due = dict(deferred)
        self._give_back(worker_id, due, "claims = 0, attempts = t.attempts + 1")
        if self.kind.keeps_order:
            self.defer_followers(due)

    def _give_back(self, worker_id: int, due: Mapping[int, datetime], settings: str) -> None:
        """Give rows back until times of their own, in one statement, with further `settings`."""
        if due:
            self._execute(
                f"UPDATE {self._table} AS t SET claimed_by = NULL, due_at = v.column2, {settings} "
                f"FROM (VALUES {self._marks(due)}) AS v WHERE t.id = v.column1 AND {HELD_BY}",
                [*self._values(due), worker_id],
            )

    def defer_followers(self, due: Mapping[int, datetime]) -> None:
        """Defer later rows of the same message and lane with the earlier ones, out of the way of claims.

        `due` has the times of the earlier rows by id.
        """
        if due:
            lane = self.kind.lane
            self._execute(
                f"UPDATE {self._table} AS t SET due_at = head.due_at FROM (SELECT o.id, o.message_id, "
                f"o.{lane}, v.column2 AS due_at FROM (VALUES {self._marks(due)}) AS v "
                f"JOIN {self._table} o ON o.id = v.column1) AS head WHERE t.message_id = head.message_id "
                f"AND t.{lane} = head.{lane} AND t.id > head.id AND {WAITING}",
                self._values(due),
            )

    @staticmethod
    def _marks(due: Mapping[int, datetime]) -> str:
        """Places for ids and times; PostgreSQL takes parameters of VALUES for text unless they are cast."""
        mark = (
            "(CAST(%s AS bigint), CAST(%s AS timestamptz))"
            if connection.vendor == "postgresql"
            else "(%s, %s)"
        )
        return ", ".join([mark] * len(due))

    @staticmethod
    def _values(due: Mapping[int, datetime]) -> list[Any]:
        adapt = connection.ops.adapt_datetimefield_value
        return [value for pk, due_at in due.items() for value in (pk, adapt(due_at))]

    def release(self, worker_id: int, ids: Collection[int] | None = None) -> None:
        """Give rows back untried (all of this worker's by default): ready again, the claim not counted."""
        rows = self.rows.filter(held_by(worker_id))
        rows = rows if ids is None else rows.filter(pk__in=ids)
        rows.update(claimed_by=None, claims=ONE_CLAIM_LESS)

    def delay(self, worker_id: int, delayed: Iterable[tuple[int, datetime]]) -> None:
        """Give rows back untried until a time: neither the claim nor an attempt is counted."""
        less = "claims = CASE WHEN t.claims > 0 THEN t.claims - 1 ELSE 0 END"
        self._give_back(worker_id, dict(delayed), less)

    def suspend(self, worker_id: int, ids: Collection[int]) -> None:
        """Put rows that were just claimed out of the way of claims, until they are resumed."""
        if ids:
            rows = self.rows.filter(held_by(worker_id), pk__in=ids)
            rows.update(claimed_by=None, due_at=NEVER_DUE, claims=ONE_CLAIM_LESS)

    def release_unknown(self, worker_id: int, known: Iterable[int]) -> None:
        """Give back what a claim took whose commit was in doubt."""
        self.rows.filter(held_by(worker_id)).exclude(pk__in=list(known)).update(claimed_by=None)

    def mark_suspects(self, worker_id: int, ids: Collection[int]) -> None:
        """These suspects are prepared alone now: if this worker dies before it clears them, they did it."""
        if ids:
            rows = self.rows.filter(held_by(worker_id), pk__in=ids)
            rows.update(claims=SUSPECT_CLAIMS + 1)

    def clear_suspects(self, worker_id: int, ids: Collection[int]) -> None:
        """These suspects were prepared without harm: forget how often they were claimed."""
        if ids:
            self.rows.filter(held_by(worker_id), pk__in=ids).update(claims=0)

    def _execute(self, sql: str, values: Sequence[Any]) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            rows: list[Any] = cursor.fetchall() if cursor.description else []
        return rows
