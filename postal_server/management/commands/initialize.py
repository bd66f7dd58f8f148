"""`postal-server initialize`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management.base import CommandError
from django.utils import timezone

from postal_server import conf
from postal_server.conf import Config
from postal_server.mail import dkim
from postal_server.management import arguments
from postal_server.management.base import ServerCommand, bring_database_up_to_date
from postal_server.models import Domain, HTTPEndpoint, Organization, Webhook
from postal_server.services.operations import provisioning
from postal_server.services.shared.keys import installation_key
from postal_server.web.application import LOOPBACK_HOSTS

SETTINGS = """
In the settings of a Django project:

EMAIL_BACKEND = "anymail_postal.backend.EmailBackend"
# From Django 6.1 on instead: MAILERS = {{"default": {{"BACKEND": "anymail_postal.backend.EmailBackend"}}}}
DEFAULT_FROM_EMAIL = "hello@{domain}"
ANYMAIL = {{
{options}
}}
"""


class Command(ServerCommand):
    help = (
        "Make what is missing of configuration, signing key, secret, certificate, database, and, in an empty "
        "database, a first mail server, whose keys are shown only now. Can be run again."
    )
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--domain",
            type=arguments.domain,
            help="sending and receiving domain of the first mail server (localhost by default)",
        )
        parser.add_argument("--webhook", type=arguments.url, metavar="URL", help="where it sends its events")
        parser.add_argument(
            "--inbound", type=arguments.url, metavar="URL", help="where it sends mail for reply@DOMAIN"
        )
        parser.add_argument("--no-server", action="store_true", help="make no first mail server")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = [options["domain"], options["webhook"], options["inbound"]]
        if options["no_server"] and any(wanted):
            raise CommandError("--no-server makes nothing that has a domain, webhook or route.", returncode=2)
        bring_database_up_to_date(verbosity=0)
        self.stdout.write("The database is up to date.")
        if options["no_server"]:
            return
        if not Organization.objects.exists():
            self._first_server(options["domain"] or "localhost", options["webhook"], options["inbound"])
        elif differences := list(_differences(*wanted)):
            raise CommandError(
                "The first mail server exists already, and this command does not change it:\n"
                + "".join(f"  {difference}\n" for difference in differences)
                + f"Add it at {_base_url(conf.config())}/admin/ (`postal-server make-user` makes a login)."
            )

    def _first_server(self, domain_name: str, webhook: str | None, inbound: str | None) -> None:
        config = conf.config()
        is_caught = config.catches_all_mail
        new = provisioning.add_server(provisioning.organization("Example"), "Main")
        domain = provisioning.add_domain(new.server, domain_name, timezone.now(), only_where_caught=is_caught)
        if webhook:
            provisioning.add_webhook(new.server, webhook)
        if inbound:
            provisioning.add_http_route(new.server, domain, "reply", inbound)
        base = _base_url(config)
        senders = (
            "It may send as anybody, but only while all mail is caught here (delivery.mode: catch)."
            if is_caught
            else f"It may send from addresses at {domain_name} only."
        )
        self.stdout.write(
            f"Made mail server {new.server} with domain {domain_name}. {senders}\n"
            f"  API URL   {base}\n"
            f"  API key   {new.api_key}\n"
            f"  SMTP key  {new.smtp_key} (user name {new.server}, port {config.smtp_server.default_port})\n"
            "The keys are not shown again; more can be made in the admin."
        )
        settings = _anymail(config, new.api_key, domain_name, webhook, inbound)
        options = "\n".join(f"    {_python(name)}: {_python(value)}," for name, value in settings.items())
        self.stdout.write(SETTINGS.format(domain=domain_name, options=options))
        command = "postal-server" if config.path == conf.DEFAULT_PATH.absolute() else _with_path(config)
        self.stdout.write(
            f"Next:\n  {command} run        starts it\n"
            f"  {command} make-user  makes an administrator for {base}/admin/"
        )


def _with_path(config: Config) -> str:
    return f"postal-server --config {config.path}"


def _base_url(config: Config) -> str:
    """The URL of the API for clients. With https it is that of a front proxy, on the default port."""
    protocol, host = config.postal.web_protocol, config.postal.web_hostname
    return f"https://{host}" if protocol == "https" else f"http://{host}:{config.web_server.default_port}"


def _anymail(
    config: Config, api_key: str, domain: str, webhook: str | None, inbound: str | None
) -> dict[str, str | bool | list[str]]:
    """The `ANYMAIL` setting of a project that uses the first mail server."""
    base = _base_url(config)
    settings: dict[str, str | bool | list[str]] = {"POSTAL_API_URL": base, "POSTAL_API_KEY": api_key}
    if base.startswith("https://") or config.postal.web_hostname in LOOPBACK_HOSTS:
        settings["POSTAL_WEBHOOK_JWKS_URL"] = True
    else:  # keys are not fetched over http
        settings["POSTAL_WEBHOOK_KEY"] = dkim.public_record(installation_key(config))
    secrets = list(dict.fromkeys(filter(None, map(_secret, (webhook, inbound)))))
    if secrets:
        settings["WEBHOOK_SECRET"] = secrets[0] if len(secrets) == 1 else secrets
    if inbound:
        settings["POSTAL_REPLY_DOMAIN"] = domain
    return settings


def _secret(url: str | None) -> str:
    """The `user:password` of a URL; empty without them."""
    parts = urlsplit(url or "")
    return f"{unquote(parts.username or '')}:{unquote(parts.password)}" if parts.password else ""


def _python(value: str | bool | list[str]) -> str:
    """A Python literal with double quotes."""
    return repr(value) if isinstance(value, bool) else json.dumps(value)


def _differences(domain: str | None, webhook: str | None, inbound: str | None) -> Iterator[str]:
    """The options that the database does not match. URLs contain passwords, so they are not repeated."""
    if domain and not Domain.objects.filter(name=domain).exists():
        yield f"--domain: there is no domain {domain}"
    if webhook and not Webhook.objects.filter(url=webhook).exists():
        yield "--webhook: no webhook has this URL"
    if inbound and not HTTPEndpoint.objects.filter(url=inbound).exists():
        yield "--inbound: no route sends mail to this URL"
