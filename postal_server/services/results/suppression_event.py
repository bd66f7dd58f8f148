"""The events of suppression lists: an address came on one, or left it before its time.

An entry that reaches its `keep_until` has none: whoever was told of it knows the time.
"""

from __future__ import annotations

from collections.abc import Iterable

from postal_server.models import Suppression
from postal_server.rules.suppression import State
from postal_server.services.shared.directory import Directory
from postal_server.wire import our_events

from .webhook import WebhookEvent, is_wanted


def added(rows: Iterable[Suppression], directory: Directory) -> list[WebhookEvent]:
    """That these entries stop mail from now on, or for longer than before."""
    return _events(our_events.SUPPRESSION_ADDED, rows, directory)


def removed(rows: Iterable[Suppression], directory: Directory) -> list[WebhookEvent]:
    """That these entries were ended."""
    return _events(our_events.SUPPRESSION_REMOVED, rows, directory)


def _events(name: str, rows: Iterable[Suppression], directory: Directory) -> list[WebhookEvent]:
    """Those that a webhook wants. They follow the other events of the message that led to the entry.

    Proposed entries stop no mail and have none.
    """
    return [
        WebhookEvent(row.server_id, name, our_events.suppression_payload(row), row.source_message_id)
        for row in rows
        if row.state == State.ACTIVE.value and is_wanted(row.server_id, name, directory)
    ]
