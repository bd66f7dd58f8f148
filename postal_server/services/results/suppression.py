"""The suppression list: who is on it and why, who comes on it, who leaves it. Source: contract 7.3."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from postal_server.conf import Config
from postal_server.mail.address import suppression_key
from postal_server.models import FailureEvidence, Suppression
from postal_server.rules import suppression as rules
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.shared.work import Effect, Result

from .batch import Batch, Entry

Recipient = tuple[int, str]  # server id, address
ADDRESS_CHARACTERS = 320


@dataclass(frozen=True)
class Suppress(Effect):
    """Suppress the recipient of this outgoing message, for this reason."""

    reason: str


def apply(batch: Batch) -> None:
    """Suppress the recipients of outgoing mail that answers blame or decisions name, and end the suppression
    of those that a released mail has reached.
    """
    _suppress_failed(batch)
    _clear_reached(batch)
    named = {
        _recipient(entry): effect.reason for entry, effect in batch.carrying(Suppress) if _is_outgoing(entry)
    }
    add(named, batch.config, batch.now)


def _suppress_failed(batch: Batch) -> None:
    failed = {
        entry.message.id: entry
        for entry in batch.entries
        if entry.status is DeliveryStatus.FAILED and _is_outgoing(entry) and _blames_recipient(entry)
    }
    recipients = {message_id: _recipient(entry) for message_id, entry in failed.items()}
    for message_id in note_failures(recipients, batch.config, batch.now):
        failed[message_id].add_sentence(rules.ADDED)


def _clear_reached(batch: Batch) -> None:
    """Only mail that a person released is sent to suppressed recipients, so only that can reach them."""
    reached = [
        entry
        for entry in batch.entries
        if entry.result.claimed.is_manual and entry.status is DeliveryStatus.SENT and _is_outgoing(entry)
    ]
    cleared = clear(_recipient(entry) for entry in reached)
    for entry in reached:
        if was_cleared(_recipient(entry), cleared):
            entry.add_sentence(rules.REMOVED)


def _is_outgoing(entry: Entry) -> bool:
    return entry.message.scope == Scope.OUTGOING.value and bool(entry.message.rcpt_to)


def _recipient(entry: Entry) -> Recipient:
    return entry.message.server_id, entry.message.rcpt_to or ""


def _blames_recipient(entry: Entry) -> bool:
    if not isinstance(entry.result, Result):
        return False
    outcome = entry.result.outcome
    return rules.blames_recipient(outcome.code, outcome.output or "")


def _key(recipient: Recipient) -> Recipient:
    server_id, address = recipient
    return server_id, suppression_key(address)[:ADDRESS_CHARACTERS]


def reasons(recipients: Iterable[Recipient], now: datetime) -> dict[Recipient, str]:
    """Why each suppressed recipient is, by address keys. One query, expired entries do not count."""
    wanted = {_key(recipient) for recipient in recipients}
    if not wanted:
        return {}
    rows = Suppression.objects.filter(
        address__in={address for _, address in wanted},
        server_id__in={server_id for server_id, _ in wanted},
        keep_until__gt=now,
    )
    found = {(server, address): reason for server, address, reason in rows.values_list(*FIELDS)}
    return {key: reason for key, reason in found.items() if key in wanted}


FIELDS = ("server_id", "address", "reason")


def reason_for(recipient: Recipient, found: Mapping[Recipient, str]) -> str | None:
    """Why `recipient` is suppressed, out of what `reasons` found."""
    return found.get(_key(recipient))


def default_keep_until(config: Config, now: datetime) -> datetime:
    """When the suppression of an address that is added now ends."""
    return now + timedelta(days=config.postal.default_suppression_list_automatic_removal_days)


def add(
    suppressed: Mapping[Recipient, str], config: Config, now: datetime, keep_until: datetime | None = None
) -> None:
    """Suppress recipients for their reasons; one query. The time starts anew for those on the list."""
    until = keep_until or default_keep_until(config, now)
    keys = ((_key(key), reason) for key, reason in suppressed.items())
    store(
        Suppression(server_id=server_id, address=address, reason=reason, created_at=now, keep_until=until)
        for (server_id, address), reason in keys
    )


def store(suppressions: Iterable[Suppression]) -> None:
    """Put these on the list; those that are on it get the new reason and time. One query."""
    rows = {(row.server_id, row.address): row for row in suppressions}
    if rows:
        Suppression.objects.bulk_create(
            [rows[key] for key in sorted(rows)],  # all workers in one order: none waits for another
            update_conflicts=True,
            update_fields=["reason", "keep_until"],
            unique_fields=["server_id", "address"],
        )


def clear(recipients: Iterable[Recipient]) -> set[Recipient]:
    """Take recipients off the list; returns the keys of those that were on it. Two queries at most."""
    wanted = {_key(recipient) for recipient in recipients}
    found: set[Recipient] = set()
    if not wanted:
        return found
    rows = Suppression.objects.filter(
        address__in={address for _, address in wanted}, server_id__in={server_id for server_id, _ in wanted}
    )
    ids = []
    for pk, server_id, address in rows.values_list("pk", "server_id", "address"):
        if (server_id, address) in wanted:
            ids.append(pk)
            found.add((server_id, address))
    if ids:
        Suppression.objects.filter(pk__in=ids).delete()
    return found


def was_cleared(recipient: Recipient, cleared: Collection[Recipient]) -> bool:
    return _key(recipient) in cleared


def note_failures(failed: Mapping[int, Recipient], config: Config, now: datetime) -> set[int]:
    """Store hard failures as evidence; suppress the recipients that failed twice within a day.

    `failed` has recipients by message id. Returns the ids of the messages that were the second. Two queries,
    three where a recipient is suppressed.
    """
    if not failed:
        return set()
    keys = {message_id: _key(recipient) for message_id, recipient in failed.items()}
    rows = FailureEvidence.objects.filter(
        address__in={address for _, address in keys.values()},
        server_id__in={server_id for server_id, _ in keys.values()},
        created_at__gt=now - rules.EVIDENCE_LASTS,
    )
    known = set(rows.exclude(message_id__in=keys).values_list("server_id", "address"))
    again = set()
    for message_id, key in keys.items():
        if key in known:
            again.add(message_id)
        known.add(key)  # the next one of this batch is the second
    FailureEvidence.objects.bulk_create(
        FailureEvidence(server_id=server_id, address=address, message_id=message_id, created_at=now)
        for message_id, (server_id, address) in keys.items()
    )
    add({keys[message_id]: rules.HARD_FAILS for message_id in again}, config, now)
    return again


def expire(now: datetime) -> int:
    """Delete evidence and suppressions that have expired; returns how many suppressions."""
    FailureEvidence.objects.filter(created_at__lte=now - rules.EVIDENCE_LASTS).delete()
    return Suppression.objects.filter(keep_until__lte=now).delete()[0]
