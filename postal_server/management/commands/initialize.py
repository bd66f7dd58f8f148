"""`postal-server initialize`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from postal_server import conf
from postal_server.management.base import ServerCommand, bring_database_up_to_date
from postal_server.models import Organization
from postal_server.services import provisioning


class Command(ServerCommand):
    help = (
        "Make what is missing: configuration, signing key, secret, certificate, database, and, in an empty "
        "database, a first mail server, whose keys are shown only now. Can be run again."
    )
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--domain", default="localhost", help="sending and receiving domain of the first mail server"
        )
        parser.add_argument("--webhook", metavar="URL", help="where it posts its events")
        parser.add_argument("--inbound", metavar="URL", help="where it posts mail for reply@DOMAIN")
        parser.add_argument("--no-server", action="store_true", help="make no first mail server")

    def handle(self, *args: Any, **options: Any) -> None:
        bring_database_up_to_date(verbosity=0)
        self.stdout.write("The database is up to date.")
        if options["no_server"] or Organization.objects.exists():
            return
        self._first_server(options["domain"], options["webhook"], options["inbound"])

    def _first_server(self, domain_name: str, webhook: str | None, inbound: str | None) -> None:
        now = timezone.now()
        new = provisioning.add_server(provisioning.organization("Example"), "Main")
        domain = provisioning.add_domain(new.server, domain_name, now, use_for_any=True)
        if webhook:
            provisioning.add_webhook(new.server, webhook)
        if inbound:
            provisioning.add_http_route(new.server, domain, "reply", inbound)
        config = conf.config()
        base = f"{config.postal.web_protocol}://{config.postal.web_hostname}:{config.web_server.default_port}"
        self.stdout.write(
            f"Made mail server {new.server} with domain {domain_name}.\n"
            f"  API URL   {base}\n"
            f"  API key   {new.api_key}\n"
            f"  SMTP key  {new.smtp_key} (any user name, port {config.smtp_server.default_port})\n"
            "The keys are not shown again; more can be made in the admin."
        )
