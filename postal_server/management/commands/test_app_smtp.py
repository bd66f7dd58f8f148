"""`postal-server test-app-smtp ADDRESS`."""

from __future__ import annotations

import smtplib
import ssl
from argparse import ArgumentParser
from email.message import EmailMessage
from email.utils import formataddr
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.management.base import ServerCommand

TIMEOUT_SECONDS = 30


class Command(ServerCommand):
    help = "Send a test mail through the host that takes the installation's own notices (`smtp` in the file)."
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", help="who gets the mail")

    def handle(self, *args: Any, **options: Any) -> None:
        given = conf.config().smtp
        mail = EmailMessage()
        mail["From"] = formataddr((given.from_name, given.from_address))
        mail["To"] = options["address"]
        mail["Subject"] = "A test of the notices of postal-server"
        mail.set_content("If you read this, notices arrive.\n")
        try:
            self._send(given, mail)
        except (OSError, smtplib.SMTPException) as error:
            raise CommandError(f"{given.host}:{given.port} did not take it: {error}") from error
        self.stdout.write(f"{given.host}:{given.port} took it.")

    def _send(self, given: conf.Smtp, mail: EmailMessage) -> None:
        context = ssl.create_default_context()
        if given.openssl_verify_mode == "none":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP(given.host, given.port, timeout=TIMEOUT_SECONDS) as client:
            client.ehlo()
            offered = client.has_extn("starttls")
            if given.enable_starttls or (given.enable_starttls_auto and offered):
                client.starttls(context=context)
            if given.username:
                client.login(given.username, given.password)
            client.send_message(mail)
