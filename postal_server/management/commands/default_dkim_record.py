"""`postal-server default-dkim-record`."""

from __future__ import annotations

from typing import Any

from postal_server import conf
from postal_server.mail import dkim
from postal_server.management.base import ServerCommand


class Command(ServerCommand):
    help = (
        "Print the DNS record of the installation's signing key, for mail of domains without a key. The same "
        "value verifies webhooks."
    )
    needs_database = False

    def handle(self, *args: Any, **options: Any) -> None:
        config = conf.config()
        key = dkim.SigningKey.load(config.file(config.postal.signing_key_path).read_bytes())
        name = f"{config.dns.dkim_identifier}._domainkey.{config.dns.return_path_domain}"
        self.stdout.write(f'{name}. IN TXT "{dkim.public_record(key)}"')
