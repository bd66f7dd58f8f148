"""`postal-server test-app-smtp ADDRESS`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.management.base import ServerCommand
from postal_server.services import notification


class Command(ServerCommand):
    help = "Send a test mail through the host that takes the installation's own notices (`smtp` in the file)."
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", help="who gets the mail")

    def handle(self, *args: Any, **options: Any) -> None:
        given = conf.config().smtp
        mail = notification.compose(
            [options["address"]],
            "A test of the notices of postal-server",
            "If you read this, notices arrive.\n",
            given,
        )
        try:
            notification.send([mail], given)
        except notification.FAILURES as error:
            raise CommandError(f"{given.host}:{given.port} did not take it: {error}") from error
        self.stdout.write(f"{given.host}:{given.port} took it.")
