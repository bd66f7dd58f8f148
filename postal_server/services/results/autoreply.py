"""Tell that a program has answered a message: with a vacation notice, say, or with a challenge."""

from __future__ import annotations

from functools import partial

from postal_server.mail.report import Kind
from postal_server.wire import our_events as wire

from .batch import Batch
from .report import Reported


class AutoReplied(Reported):
    """An automatic reply to a message, or a challenge."""


def apply(batch: Batch) -> None:
    """Emit the event. The message keeps its status: it has arrived, or waits where it arrived."""
    for entry, reported, original in batch.news_of(AutoReplied):
        payload = partial(
            wire.auto_reply_payload,
            subject=entry.message.subject,
            is_challenge=reported.kind is Kind.CHALLENGE,
        )
        batch.emit(wire.AUTO_REPLIED, original, payload=payload)
