"""Send scheduled mail."""

from __future__ import annotations

from typing import Any

from anymail.exceptions import AnymailConfigurationError
from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import now

from anymail_postal.client import PostalClient
from anymail_postal.contrib.store import schedule
from anymail_postal.contrib.store.models import ScheduledMail
from anymail_postal.contrib.store.progress import Progress
from anymail_postal.errors import PostalAPIError


class Command(BaseCommand):
    help = (
        "Send the mail whose send_at has come (POSTAL_SEND_AT = 'store'). Run it every minute; several may "
        "run at once. What Postal refuses is kept in the admin as failed, and so is mail of which it is not "
        "known whether it was sent: nothing is sent twice by itself."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        due = ScheduledMail.objects.filter(state=ScheduledMail.State.WAITING, send_at__lte=now())
        self.failures = 0
        for name in sorted(set(due.order_by().values_list("server", flat=True))):
            try:
                with PostalClient(name) as client:
                    self.send(list(due.filter(server=name).values_list("pk", flat=True)), client)
            except AnymailConfigurationError as error:
                self.fail(f"{name}: {error}")
        if self.failures:
            raise CommandError(f"{self.failures} failed.")

    def send(self, keys: list[int], client: PostalClient) -> None:
        """Send the due mail of one server, one at a time, because each may be large."""
        progress = Progress(self.stdout.write, f"mail of {client.config.name}", len(keys))
        for key in keys:
            mail = ScheduledMail.objects.filter(pk=key).first()
            try:
                if mail is not None and schedule.send(mail, client):
                    progress.step()
            except PostalAPIError as error:
                self.fail(f"{mail} ({key}): {error}")
                if schedule.was_not_accepted(error):
                    break  # Postal cannot be reached or is busy, so the rest waits as well.
        progress.finish()

    def fail(self, message: str) -> None:
        """Count and report a failure."""
        self.failures += 1
        self.stderr.write(message)
