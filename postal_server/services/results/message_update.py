"""Write what a batch changes on messages: statuses, and what preparing changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from postal_server.models import Body, Message
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.rows import insert, update_each
from postal_server.services.shared.sequence import allocate_ids

from .batch import Batch, Entry

STATUS_FIELDS = ("status", "last_attempt_at", "hold_expires_at")
CHANGED_FIELDS = (
    "prefix",
    "tag",
    "body_id",
    "is_rewritten",
    "is_inspected",
    "is_spam",
    "spam_score",
    "is_threat",
    "threat_details",
    "kind",
    "bounce_for_id",
)


def write(batch: Batch) -> None:
    """One statement for those that preparing changed, one for each other status; two where it made texts.

    And one for each reason to hold.
    """
    bodies = _store_bodies(batch.entries, batch.now)
    changed: dict[int, tuple[object, ...]] = {}
    plain: dict[DeliveryStatus, list[int]] = defaultdict(list)
    for entry in batch.entries:
        message, changes = entry.message, entry.result.changes
        if changes is None:
            plain[entry.status].append(message.id)
            continue
        inspection = changes.inspection
        changed[message.id] = (
            entry.status.value,
            batch.now,
            None,
            changes.prefix,
            changes.tag,
            bodies.get(message.id),
            changes.is_rewritten,
            True if inspection else None,
            inspection.is_spam if inspection else None,
            inspection.score if inspection else None,
            inspection.is_threat if inspection else None,
            inspection.threat_details if inspection else None,
            changes.kind,
            changes.bounce_for_id,
        )
    update_each(Message, (*STATUS_FIELDS, *CHANGED_FIELDS), changed, keep=CHANGED_FIELDS)
    for status, ids in plain.items():
        Message.objects.filter(id__in=ids).update(
            status=status.value,
            last_attempt_at=batch.now,
            hold_expires_at=None,
        )
    _write_holds(entry.message for entry in batch.entries if entry.status is DeliveryStatus.HELD)
    _write_other_statuses(batch.other_statuses, batch.now)


def _write_holds(held: Iterable[Message]) -> None:
    """All that are held for the same reason end at the same time."""
    ids: dict[tuple[str, datetime | None], list[int]] = defaultdict(list)
    for message in held:
        ids[message.hold_reason, message.hold_expires_at].append(message.id)
    for (reason, expires_at), of_reason in ids.items():
        Message.objects.filter(id__in=of_reason).update(hold_reason=reason, hold_expires_at=expires_at)


def _write_other_statuses(statuses: Mapping[int, DeliveryStatus], now: datetime) -> None:
    """Those of messages that were not tried: last, as they may be of the same batch."""
    ids: dict[DeliveryStatus, list[int]] = defaultdict(list)
    for message_id, status in statuses.items():
        ids[status].append(message_id)
    for status, of_status in ids.items():
        Message.objects.filter(id__in=of_status).update(
            status=status.value, last_attempt_at=now, hold_expires_at=None
        )


def _store_bodies(entries: Sequence[Entry], now: datetime) -> dict[int, int]:
    """Bodies that messages have for themselves from now on, as ids by message id.

    The one they shared stays for its other messages; retention removes it in the end.
    """
    own = list(_own_texts(entries))
    if not own:
        return {}
    ids = allocate_ids(len(own))
    insert(
        [
            Body(id=number, server_id=message.server_id, created_at=message.created_at, raw=raw)
            for number, (message, raw) in zip(ids, own, strict=True)
        ]
    )
    return {message.id: number for number, (message, _) in zip(ids, own, strict=True)}


def _own_texts(entries: Iterable[Entry]) -> Iterable[tuple[Message, bytes]]:
    for entry in entries:
        changes = entry.result.changes
        if changes is not None and changes.raw is not None:
            yield entry.message, changes.raw
