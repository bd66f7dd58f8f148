"""Events that Postal lacks: their names and payloads. Which webhooks get them: `Directory.webhooks_for`.

No payload has `status`, `bounce` or `url` at its top: by these keys Anymail tells Postal's events apart.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from .message import epoch
from .rows import MessageRow
from .webhook import message_hash

AUTO_REPLIED = "MessageAutoReplied"
HOLD_CANCELLED = "MessageHoldCancelled"
SUPPRESSION_ADDED = "SuppressionAdded"
SUPPRESSION_REMOVED = "SuppressionRemoved"
OUR_EVENTS = (AUTO_REPLIED, HOLD_CANCELLED, SUPPRESSION_ADDED, SUPPRESSION_REMOVED)


class SuppressionRow(Protocol):
    """An entry of a suppression list. `address` is as it was given."""

    @property
    def address(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def source_message_id(self) -> int | None: ...
    @property
    def answer(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def times(self) -> int: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def keep_until(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def ended_by(self) -> str: ...


def auto_reply_payload(
    original: MessageRow, token: str, *, subject: str | None, is_challenge: bool
) -> dict[str, Any]:
    """Of `MessageAutoReplied`: a vacation, or a challenge that its sender is to answer."""
    return {
        "original_message": message_hash(original, token),
        "reply": {"subject": subject, "challenge": is_challenge},
    }


def hold_cancelled_payload(message: MessageRow, token: str, *, hold_reason: str, by: str) -> dict[str, Any]:
    """Of `MessageHoldCancelled`. `by` is `expiry`, `admin` or `api`."""
    return {"message": message_hash(message, token), "hold_reason": hold_reason or None, "by": by}


def suppression_payload(entry: SuppressionRow) -> dict[str, Any]:
    """Of `SuppressionAdded` and `SuppressionRemoved`."""
    return {"suppression": suppression_hash(entry)}


def suppression_hash(entry: SuppressionRow) -> dict[str, Any]:
    """An entry as events show it. `keep_until` is null where it has no end."""
    return {
        "address": entry.address,
        "scope": entry.scope,
        "reason": entry.reason,
        "text": entry.text,
        "source_message": entry.source_message_id,
        "evidence": {"answer": entry.answer or None, "code": entry.code or None, "rule": entry.rule or None},
        "times": entry.times,
        "created_at": epoch(entry.created_at),
        "keep_until": epoch(entry.keep_until),
        "ended_at": epoch(entry.ended_at),
        "ended_by": entry.ended_by or None,
    }
