"""Send the signals for missed events."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from typing import Any

from anymail.exceptions import AnymailConfigurationError
from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import now

from anymail_postal.client import PostalClient
from anymail_postal.contrib.store import sync
from anymail_postal.contrib.store.models import PostalMessage
from anymail_postal.contrib.store.progress import Progress
from anymail_postal.errors import PostalAPIError

logger = logging.getLogger(__name__)

# Postal cannot be reached then, and each further message would take a time-out.
FAILURES_IN_A_ROW = 3


class Command(BaseCommand):
    help = (
        "Ask Postal about messages whose fate is not known yet (sent 40 minutes to 14 days ago), and send "
        "the tracking signals that were missed: after an outage of the webhooks, and for holds that ended in "
        "silence. Each is sent once, however often this runs; once an hour is a good interval."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--server", help="only messages of this server")

    def handle(self, *args: Any, server: str | None, **options: Any) -> None:
        started_at = now()
        rows = sync.unfinished(started_at)
        if server is not None:
            rows = rows.filter(server=server)
        self.failures = self.events = 0
        for name in sorted(set(rows.order_by().values_list("server", flat=True))):
            try:
                with PostalClient(name) as client:
                    self.catch_up(name, list(rows.filter(server=name).order_by("pk")), client, started_at)
            except AnymailConfigurationError as error:
                self.fail(f"{name}: {error}")
        self.stdout.write(f"{self.events} missed events were sent.")
        if self.failures:
            raise CommandError(f"{self.failures} failed; run again later.")

    def catch_up(self, name: str, rows: list[PostalMessage], client: PostalClient, started_at: Any) -> None:
        """Send the signals for missed events of one server."""
        progress = Progress(self.stdout.write, f"messages of {name}", len(rows))
        failures_in_a_row = 0
        for row in rows:
            try:
                self.events += sync.catch_up(row, client, started_at)
                failures_in_a_row = 0
            except PostalAPIError as error:
                self.fail(f"{row} ({row.postal_id}): {error}")
                failures_in_a_row += 1
            except Exception:  # an exception of a receiver: go on with the other messages
                logger.exception("A receiver failed for message %d", row.postal_id)
                self.fail(f"{row} ({row.postal_id}): a receiver failed, see the log")
            progress.step()
            if failures_in_a_row == FAILURES_IN_A_ROW:
                self.stderr.write(f"{name}: given up for now.")
                break
        progress.finish()

    def fail(self, message: str) -> None:
        """Count and report a failure."""
        self.failures += 1
        self.stderr.write(message)
