"""Who comes on a suppression list because mail to them failed, and who leaves it as mail arrived.

Source: contract 7.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from postal_server.conf import Config
from postal_server.models import FailureEvidence
from postal_server.rules import suppression as rules
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.rules.suppression import Reason
from postal_server.services.shared.work import Effect, Result

from . import suppression_entries as entries
from .batch import Batch, Entry
from .suppression_entries import Recipient

EVIDENCE_LASTS = timedelta(hours=24)


@dataclass(frozen=True)
class Suppress(Effect):
    """Suppress the recipient of this outgoing message, for this reason."""

    reason: Reason


def apply(batch: Batch) -> None:
    """Suppress the recipients of outgoing mail that answers blame or decisions name, and end the suppression
    of those that a released mail has reached.
    """
    _suppress_failed(batch)
    _end_reached(batch)
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


def _end_reached(batch: Batch) -> None:
    """Only mail that a person released is sent to suppressed recipients, so only that can reach them."""
    reached = [
        entry
        for entry in batch.entries
        if entry.result.claimed.is_manual and entry.status is DeliveryStatus.SENT and _is_outgoing(entry)
    ]
    ended = entries.end(
        [_recipient(entry) for entry in reached],
        batch.now,
        entries.BY_SUCCESS,
        reasons=rules.ADDRESS_REASONS,
    )
    keys = {(row.server_id, row.key) for row in ended}
    for entry in reached:
        if entries.key_of(_recipient(entry)) in keys:
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


def add(suppressed: Mapping[Recipient, Reason], config: Config, now: datetime) -> None:
    """Suppress recipients for their reasons; one query. The time starts anew for those on the list."""
    until = entries.default_keep_until(config, now)
    entries.put(
        entries.given_entry(recipient, now, keep_until=until, reason=reason)
        for recipient, reason in suppressed.items()
    )


def note_failures(failed: Mapping[int, Recipient], config: Config, now: datetime) -> set[int]:
    """Store hard failures as evidence; suppress the recipients that failed twice within a day.

    `failed` has recipients by message id. Returns the ids of the messages that were the second. Two queries,
    three where a recipient is suppressed.
    """
    if not failed:
        return set()
    keys = {message_id: entries.key_of(recipient) for message_id, recipient in failed.items()}
    rows = FailureEvidence.objects.filter(
        entries.of_keys(set(keys.values())), created_at__gt=now - EVIDENCE_LASTS
    )
    known = set(rows.exclude(message_id__in=keys).values_list("server_id", "key"))
    again = set()
    for message_id, key in keys.items():
        if key in known:
            again.add(message_id)
        known.add(key)  # the next one of this batch is the second
    FailureEvidence.objects.bulk_create(
        FailureEvidence(
            server_id=server_id,
            key=key,
            failure_class=Reason.BAD_ADDRESS.value,
            is_sure=False,
            message_id=message_id,
            created_at=now,
        )
        for message_id, (server_id, key) in keys.items()
    )
    add({failed[message_id]: Reason.BAD_ADDRESS for message_id in again}, config, now)
    return again
