"""Note that mail has arrived, according to a report: what failures have said of its recipient is past."""

from __future__ import annotations

from .batch import Batch
from .report import Reported
from .suppression import forgive


class Arrived(Reported):
    """A message has been delivered to its recipient's mailbox."""


def apply(batch: Batch) -> None:
    """End the entries that failures have made, if the report is sure to be about the recipient."""
    forgive(
        [
            (original.server_id, original.rcpt_to or "")
            for _, arrived, original in batch.news_of(Arrived)
            if arrived.is_strong and not arrived.is_forwarded
        ],
        batch,
    )
