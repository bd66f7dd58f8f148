"""Send a test mail."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from anymail.exceptions import AnymailConfigurationError, AnymailError
from anymail.message import AnymailMessage
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ... import conf
from ...backend import EmailBackend


class Command(BaseCommand):
    help = "Send one test mail through Postal and print the ids that Postal gave it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", metavar="ADDR", help="whom to send it to")
        parser.add_argument("--server", default=conf.DEFAULT_SERVER, help="the server to send through")
        parser.add_argument(
            "--from",
            dest="sender",
            metavar="ADDRESS",
            help="its From address, on a domain that the server may use (by default DEFAULT_FROM_EMAIL)",
        )
        parser.add_argument(
            "--api", choices=["auto", "message", "raw"], help="another API than the settings say"
        )

    def handle(
        self, *args: Any, address: str, server: str, sender: str | None, api: str | None, **options: Any
    ) -> None:
        message = AnymailMessage(
            subject="Test of Postal",
            body=f"Sent by postal_send_test at {timezone.now():%Y-%m-%d %H:%M:%S %Z}.\n",
            from_email=sender or settings.DEFAULT_FROM_EMAIL,
            to=[address],
        )
        try:
            sent = EmailBackend(server=server, **({"api": api} if api else {})).send_messages([message])
        except (AnymailError, AnymailConfigurationError) as error:
            raise CommandError(str(error)) from error
        if not sent:
            raise CommandError("A receiver of pre_send cancelled it.")
        for recipient, status in message.anymail_status.recipients.items():
            self.stdout.write(f"{recipient}: {status.status}")
            if status.message_id is not None:
                self.stdout.write(
                    f"  id {status.message_id}, token {status.message_id.token},"
                    f" Message-ID <{status.message_id.rfc_message_id}>"
                )
        self.stdout.write("Queued is not delivered: see what becomes of it with postal_message ID.")
