"""`postal-server test-app-smtp ADDRESS`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.management import arguments
from postal_server.management.base import ServerCommand
from postal_server.services.shared import operator_mail
from postal_server.services.shared.delivery_policy import policy_of


class Command(ServerCommand):
    help = (
        "Send a test mail through the host that takes the installation's own notices: that of `smtp` in the "
        "file, or the catch where mail for this address is caught."
    )
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", type=arguments.address, help="recipient of the mail")

    def handle(self, *args: Any, **options: Any) -> None:
        config = conf.config()
        host = operator_mail.host(options["address"], config)
        is_caught = policy_of(config).catches(options["address"])
        name = f"{host.host}:{host.port}"
        if is_caught:
            name += f" (the catch, as delivery.mode is {config.delivery.mode})"
        mail = operator_mail.compose(
            [options["address"]],
            "A test of the notices of postal-server",
            "If you read this, notices arrive.\n",
            host,
        )
        try:
            operator_mail.send([mail], config)
        except operator_mail.FAILURES as error:
            hint = " Is postal-server running?" if is_caught else " See the keys `smtp`."
            raise CommandError(f"{name} did not take it: {error}.{hint}") from error
        self.stdout.write(f"{name} took it.")
