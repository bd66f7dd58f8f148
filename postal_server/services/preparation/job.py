"""A claimed message, loaded: what all of this stage works on."""

from __future__ import annotations

from dataclasses import dataclass

from postal_server.models import Message
from postal_server.services.shared.entries import ServerEntry
from postal_server.services.shared.work import Claimed


@dataclass(frozen=True)
class Job:
    """A claimed message with what it takes to prepare it. `body` is its text without the row's prefix.

    `body` is None once the text was purged.
    """

    claimed: Claimed
    message: Message
    server: ServerEntry
    body: bytes | None
