"""Delete old rows."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import QuerySet
from django.utils.timezone import now

from anymail_postal.contrib.store.models import InboundMail, PostalEvent, PostalMessage, ScheduledMail
from anymail_postal.contrib.store.progress import Progress

# For so long a server may repeat a request, which would be handled twice if its row were deleted.
FEWEST_DAYS = 4
BATCH = 1000


class Command(BaseCommand):
    help = (
        "Delete messages with their metadata, handled events, handled incoming mail and failed scheduled "
        "mail that are older than so many days. Suppressed addresses are kept, and what waits for a task or "
        "for its time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days", type=days, required=True, help=f"keep this many days (at least {FEWEST_DAYS})"
        )

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        before = now() - timedelta(days=days)
        received = {"received_at__lt": before, "handled_at__isnull": False}
        self.prune("messages", PostalMessage.objects.filter(sent_at__lt=before))
        self.prune("events", PostalEvent.objects.filter(**received))
        self.prune("incoming mail", InboundMail.objects.filter(**received))
        failed = ScheduledMail.objects.filter(state=ScheduledMail.State.FAILED, send_at__lt=before)
        self.prune("failed scheduled mail", failed)

    def prune(self, what: str, rows: QuerySet[Any]) -> None:
        """Delete rows in batches, so that no lock is held for long."""
        progress = Progress(self.stdout.write, f"{what} deleted", rows.count())
        while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
            progress.step(rows.model.objects.filter(pk__in=keys).delete()[0])
        progress.finish()


def days(text: str) -> int:
    """The value of --days."""
    if not text.isdecimal() or not FEWEST_DAYS <= int(text) <= 36500:
        raise ArgumentTypeError(f"a whole number of at least {FEWEST_DAYS}")
    return int(text)
