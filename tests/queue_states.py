"""The table of a queue row's transitions, as tests ask it."""

from __future__ import annotations

from postal_server.models.queue_state import TRANSITIONS, QueueState


def following(event: str, before: QueueState | None) -> set[QueueState | None]:
    """The states after an event according to the table; `before` if it changes nothing. None: no row."""
    return {each.after for each in TRANSITIONS if (each.event, each.before) == (event, before)} or {before}
