"""Emit the events of attempts and decisions: `MessageSent` and so on. Source: contract 3."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from postal_server.models import Message
from postal_server.rules.status import DeliveryStatus
from postal_server.wire import webhook as wire
from postal_server.wire.classification import suppressed_hash

from .batch import Batch, Entry


def apply(batch: Batch) -> None:
    for entry in batch.entries:
        if name := wire.BY_STATUS.get(entry.status):
            batch.emit(name, entry.message, payload=partial(_payload, batch, entry))


def _payload(batch: Batch, entry: Entry, message: Message, token: str) -> Mapping[str, Any]:
    """Of the message with what preparing it changed, as its row will have it.

    It is built after all effects, so it knows whether the recipient came on the suppression list.
    """
    changes = entry.result.changes
    if changes is not None:
        message.tag = changes.tag or message.tag
        if changes.inspection is not None:
            message.is_inspected = True
            message.is_spam = changes.inspection.is_spam
    suppressed = suppressed_hash(batch.suppressed.get(message.id))
    build = wire.held_payload if entry.status is DeliveryStatus.HELD else wire.delivery_payload
    return build(message, token, entry.delivery, suppressed)
