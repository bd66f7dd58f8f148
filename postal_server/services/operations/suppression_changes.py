"""What people change on suppression lists: entries that they add, and entries that they end. With events.

Files are imported without events: `suppression_import`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from postal_server.models import Suppression
from postal_server.rules.suppression import Reason
from postal_server.services.results import suppression_entries as entries
from postal_server.services.results import suppression_event, webhook
from postal_server.services.results.suppression_entries import Recipient

from .context import OperationContext


def add(rows: Collection[Suppression], context: OperationContext) -> None:
    """Put these entries on their lists. One transaction."""
    with context.write_transaction():
        entries.put(rows)
        webhook.emit(suppression_event.added(rows, context.directory), context.directory, context.now)


def saved(row: Suppression, context: OperationContext) -> None:
    """Tell of an entry that was saved by itself. The caller holds the transaction."""
    webhook.emit(suppression_event.added([row], context.directory), context.directory, context.now)


def end(rows: Iterable[Suppression], context: OperationContext, by: str) -> int:
    """End those of these entries that have not ended; how many. One transaction."""
    standing = [row for row in rows if entries.is_standing(row, context.now)]
    with context.write_transaction():
        entries.mark_ended(standing, context.now, by)
        webhook.emit(suppression_event.removed(standing, context.directory), context.directory, context.now)
    return len(standing)


def remove(
    recipients: Iterable[Recipient],
    context: OperationContext,
    by: str,
    *,
    reasons: Collection[Reason] | None = None,
    scope: str | None = None,
) -> list[Suppression]:
    """End the entries of these recipients, of all reasons and scopes unless some are given; returns them."""
    with context.write_transaction():
        ended = entries.end(recipients, context.now, by, reasons=reasons, scope=scope)
        webhook.emit(suppression_event.removed(ended, context.directory), context.directory, context.now)
    return ended
