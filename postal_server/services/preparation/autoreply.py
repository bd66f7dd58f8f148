"""Recognize automatic replies and challenges: the message has arrived, or waits where it arrived."""

from __future__ import annotations

from postal_server.rules.classification import Ours
from postal_server.services.results.autoreply import AutoReplied

from .read_report import ReadReport


def recognize(read: ReadReport, ours: Ours) -> list[AutoReplied]:
    """An effect for each message that is answered."""
    return [read.reported(original, AutoReplied) for original in read.found.originals]
