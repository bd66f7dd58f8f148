"""The entries of suppression lists: which stop a mail, how they are put on a list, and how they end.

Source: contract 7.3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import reduce
from operator import or_
from typing import Any, NamedTuple, TypeVar

from django.db import connection
from django.db.models import Model, Q, QuerySet

from postal_server.conf import Config
from postal_server.mail.address import suppression_key
from postal_server.mail.charset import storable
from postal_server.models import Suppression
from postal_server.rules import suppression as rules
from postal_server.rules.suppression import Reason, State
from postal_server.services.shared.rows import upsert_values, values_of

Recipient = tuple[int, str]  # server id, address
M = TypeVar("M", bound=Model)
ADDRESS_CHARACTERS = 320
TEXT_CHARACTERS = 250
ENDED_BY_CHARACTERS = 64
BY_SUCCESS = "success"

UNIQUE = ["server_id", "key", "scope", "reason"]


class Stop(NamedTuple):
    """An entry that stops mail."""

    server_id: int
    key: str
    scope: str
    reason: Reason
    text: str
    keep_until: datetime | None


def key_of(recipient: Recipient) -> Recipient:
    """The server and the key under which an address is compared."""
    server_id, address = recipient
    return server_id, suppression_key(address)[:ADDRESS_CHARACTERS]


def of_keys(keys: Collection[Recipient]) -> Q:
    """The condition on rows that have one of these servers and keys; `keys` has one at least."""
    parts = (Q(server_id=server_id, key__in=of_server) for server_id, of_server in _by_server(keys).items())
    return reduce(or_, parts)


def rows_of(model: type[M], keys: Collection[Recipient], condition: str = "") -> Iterable[M]:
    """The same rows, for what is asked for every batch: building the query by the ORM takes longer than it.

    `condition` is SQL that follows. One query.
    """
    one_of_them, values = _condition(keys)
    table = model._meta.db_table
    query = f"SELECT * FROM {table} WHERE {one_of_them}{condition}"  # noqa: S608 - names of ours only
    return model._default_manager.raw(query, values)


def keys_in(model: type[Model], keys: Collection[Recipient]) -> set[Recipient]:
    """Which of these `model` has rows of. One query."""
    one_of_them, values = _condition(keys)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT server_id, key FROM {model._meta.db_table} WHERE {one_of_them}", values)  # noqa: S608
        return set(cursor.fetchall())


def _condition(keys: Collection[Recipient]) -> tuple[str, list[Any]]:
    """That a row is of one of these, as SQL with its parameters."""
    has_arrays = connection.vendor == "postgresql"  # one parameter for all keys halves the time of a look-up
    parts: list[str] = []
    values: list[Any] = []
    for server_id, of_server in _by_server(keys).items():
        one_of = "= ANY(%s)" if has_arrays else f"IN ({', '.join(['%s'] * len(of_server))})"
        parts.append(f"(server_id = %s AND key {one_of})")
        values += [server_id, *([of_server] if has_arrays else of_server)]
    return f"({' OR '.join(parts)})", values


def _by_server(keys: Collection[Recipient]) -> Mapping[int, list[str]]:
    """The keys of each server: an index is searched for each pair of an IN of both."""
    by_server: dict[int, list[str]] = {}
    for server_id, key in sorted(keys):
        by_server.setdefault(server_id, []).append(storable(key))
    return by_server


def standing(now: datetime) -> QuerySet[Suppression]:
    """The entries that have neither ended nor are past their time; proposed ones are among them."""
    in_time = Q(keep_until=None) | Q(keep_until__gt=now)
    return Suppression.objects.filter(in_time, ended_at=None)


def past(now: datetime) -> Q:
    """The condition on entries that have ended, or are past their time."""
    return Q(ended_at__isnull=False) | Q(keep_until__isnull=False, keep_until__lte=now)


def is_standing(entry: Suppression, now: datetime) -> bool:
    """The same of one entry."""
    return entry.ended_at is None and (entry.keep_until is None or entry.keep_until > now)


# Model instances would take as long as the look-up itself.
_STOPS = (
    f"SELECT server_id, key, scope, reason, text, keep_until FROM {Suppression._meta.db_table} "  # noqa: S608
    f"WHERE state = '{State.ACTIVE.value}' AND ended_at IS NULL AND "
)


def find(recipients: Iterable[Recipient], now: datetime) -> dict[Recipient, list[Stop]]:
    """What may stop mail to each recipient, by their keys, in all scopes. One query, none for nobody."""
    keys = {key_of(recipient) for recipient in recipients}
    found: dict[Recipient, list[Stop]] = {}
    if not keys:
        return found
    one_of_them, values = _condition(keys)
    with connection.cursor() as cursor:
        cursor.execute(f"{_STOPS}{one_of_them}", values)
        rows = cursor.fetchall()
    # Times are compared here: with a condition on another index the database might choose that one.
    for server_id, key, scope, reason, text, keep_until in rows:
        until = keep_until and keep_until.replace(tzinfo=timezone.utc)  # SQLite gives times without a zone
        if until is None or until > now:
            stop = Stop(server_id, key, scope, Reason(reason), text, until)
            found.setdefault((server_id, key), []).append(stop)
    return found


def stop_for(
    recipient: Recipient,
    found: Mapping[Recipient, Sequence[Stop]],
    scopes: Collection[str] = ("",),
    *,
    is_transactional: bool = False,
    must_arrive: bool = False,
) -> Stop | None:
    """What stops a mail with these scopes, out of what `find` found: the entry that lasts longest."""
    stops = [
        stop
        for stop in found.get(key_of(recipient), ())
        if rules.stops(
            stop.scope, stop.reason, scopes, is_transactional=is_transactional, must_arrive=must_arrive
        )
    ]
    return max(stops, key=lambda stop: _until(stop.keep_until), default=None)


def _until(keep_until: datetime | None) -> tuple[bool, float]:
    """What compares the ends of entries: none is the latest."""
    return keep_until is None, keep_until.timestamp() if keep_until else 0.0


def default_keep_until(config: Config, now: datetime, reason: Reason = Reason.MANUAL) -> datetime | None:
    """When an entry ends that a person or a file adds now without saying for how long; None: never.

    What a recipient wishes has no end.
    """
    if reason in rules.WISHES:
        return None
    return now + timedelta(days=config.postal.default_suppression_list_automatic_removal_days)


def given_entry(
    recipient: Recipient,
    now: datetime,
    *,
    keep_until: datetime | None,
    reason: Reason = Reason.MANUAL,
    text: str = "",
    scope: str = "",
) -> Suppression:
    """An entry that a person gives; `keep_until` None is without end."""
    server_id, key = key_of(recipient)
    return Suppression(
        server_id=server_id,
        scope=scope,
        key=key,
        address=recipient[1][:ADDRESS_CHARACTERS],
        reason=reason.value,
        text=(text or rules.TEXTS[reason])[:TEXT_CHARACTERS],
        created_at=now,
        keep_until=keep_until,
    )


def put(entries: Iterable[Suppression]) -> None:
    """Put these on their lists; those that were on it for the same reason are replaced. One query."""
    rows = {(row.server_id, row.key, row.scope, row.reason): row for row in entries}
    ordered = [rows[key] for key in sorted(rows)]  # all workers in one order: none waits for another
    upsert_values(Suppression, values_of(ordered), UNIQUE, "TRUE")


# An entry that stops mail for at least as long as the new one stays as it is.
_IS_SHORTER = f"""
old.ended_at IS NOT NULL OR old.state = '{State.PROPOSED.value}' OR (
  old.keep_until IS NOT NULL AND (excluded.keep_until IS NULL OR excluded.keep_until > old.keep_until)
)"""


def put_longer(entries: Iterable[Mapping[str, Any]]) -> int:
    """Put these on their lists unless they are on it for as long; how many were put. One statement for 500.

    Entries are values by column, the same columns for all, `keep_until` and what identifies an entry among
    them. Of two for the same reason the longer one counts.
    """
    rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in entries:
        key = row["server_id"], row["key"], row["scope"], row["reason"]
        other = rows.get(key)
        if other is None or _until(row["keep_until"]) > _until(other["keep_until"]):
            rows[key] = row
    ordered = [rows[key] for key in sorted(rows)]  # all workers in one order: none waits for another
    return upsert_values(Suppression, ordered, UNIQUE, _IS_SHORTER)


def end(
    recipients: Iterable[Recipient],
    now: datetime,
    by: str,
    *,
    reasons: Collection[Reason] | None = None,
    scope: str | None = None,
) -> list[Suppression]:
    """End the entries of these recipients, of all reasons and scopes unless said otherwise; returns them.

    `by` says who or what ended them. They are locked, so that each is ended, and told, once. Two queries at
    most; the caller holds the transaction.
    """
    keys = {key_of(recipient) for recipient in recipients}
    if not keys:
        return []
    rows = Suppression.objects.filter(of_keys(keys), ended_at=None)
    if reasons is not None:
        rows = rows.filter(reason__in=[reason.value for reason in reasons])
    if scope is not None:
        rows = rows.filter(scope=scope)
    ended = [row for row in rows.order_by("pk").select_for_update() if is_standing(row, now)]
    if ended:
        mark_ended(ended, now, by)
    return ended


def mark_ended(rows: Sequence[Suppression], now: datetime, by: str) -> None:
    """End these entries, here and as stored. One query, which passes over those that ended meanwhile."""
    for row in rows:
        row.ended_at, row.ended_by = now, by[:ENDED_BY_CHARACTERS]
    stored = Suppression.objects.filter(pk__in=[row.pk for row in rows], ended_at=None)
    stored.update(ended_at=now, ended_by=by[:ENDED_BY_CHARACTERS])
