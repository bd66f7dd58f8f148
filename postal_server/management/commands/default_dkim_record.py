"""`postal-server default-dkim-record`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.errors import ConfigurationError
from postal_server.mail import dkim
from postal_server.management.base import ServerCommand
from postal_server.services.shared.keys import installation_key


class Command(ServerCommand):
    help = (
        "Print the DNS record of the installation's signing key, for mail of domains without a key. The same "
        "value verifies webhooks."
    )
    needs_database = False

    def handle(self, *args: Any, **options: Any) -> None:
        config = conf.config()
        try:
            key = installation_key(config)
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        name = f"{config.dns.dkim_identifier}._domainkey.{config.dns.return_path_domain}"
        self.stdout.write(f'{name}. IN TXT "{dkim.public_record(key)}"')
