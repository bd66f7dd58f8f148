"""`postal-server test-app-smtp ADDRESS`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.management import arguments
from postal_server.management.base import ServerCommand
from postal_server.services.shared import operator_mail


class Command(ServerCommand):
    help = (
        "Send a test mail through the host that takes the installation's own notices: that of `smtp` in the "
        "file, or the catch where all mail is caught."
    )
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", type=arguments.address, help="recipient of the mail")

    def handle(self, *args: Any, **options: Any) -> None:
        config = conf.config()
        host = operator_mail.host(config)
        name = f"{host.host}:{host.port}"
        if config.catches_all_mail:
            name += " (the catch, as delivery.mode is catch)"
        mail = operator_mail.compose(
            [options["address"]],
            "A test of the notices of postal-server",
            "If you read this, notices arrive.\n",
            host,
        )
        try:
            operator_mail.send([mail], host)
        except operator_mail.FAILURES as error:
            hint = " Is postal-server running?" if config.catches_all_mail else " See the keys `smtp`."
            raise CommandError(f"{name} did not take it: {error}.{hint}") from error
        self.stdout.write(f"{name} took it.")
