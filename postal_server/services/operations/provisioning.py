"""Make organizations, mail servers, domains, routes and webhooks: what `initialize` and tests set up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.text import slugify

from postal_server import conf
from postal_server.mail import dkim
from postal_server.mail.address import domain_key
from postal_server.models import Domain, HTTPEndpoint, IPPool, Organization, Route, Server, Webhook
from postal_server.rules.status import CredentialType, RouteMode, ServerMode
from postal_server.services.shared import credential


@dataclass(frozen=True)
class NewServer:
    """A mail server and the keys that are shown only now."""

    server: Server
    api_key: str
    smtp_key: str


def organization(name: str) -> Organization:
    """The organization of this name, made if it is not there; a new one may use the default pools."""
    found, is_new = Organization.objects.get_or_create(permalink=slugify(name), defaults={"name": name})
    if is_new:
        found.ip_pools.set(IPPool.objects.filter(default=True))
    return found


def add_server(owner: Organization, name: str, mode: ServerMode = ServerMode.LIVE) -> NewServer:
    """A mail server with an API and an SMTP credential."""
    server = Server.objects.create(
        organization=owner,
        name=name,
        permalink=_free_permalink(owner, name),
        mode=mode.value,
        **spam_thresholds(conf.config()),
    )
    _, api_key = credential.create(server, CredentialType.API, "API")
    _, smtp_key = credential.create(server, CredentialType.SMTP, "SMTP")
    return NewServer(server, api_key, smtp_key)


def spam_thresholds(config: conf.Config) -> dict[str, float]:
    """What a new mail server begins with."""
    return {
        "spam_threshold": config.postal.default_spam_threshold,
        "spam_failure_threshold": config.postal.default_spam_failure_threshold,
    }


def add_domain(
    server: Server,
    name: str,
    now: datetime,
    *,
    only_where_caught: bool = False,
    private_key: str | None = None,
) -> Domain:
    """A verified domain that signs with its own key at once (a new RSA-2048 key unless one is given).

    How its DNS records stand is not known before they are looked up.

    `only_where_caught`: while all mail is caught, it may send for any sender address. Meant for those who
    decide what counts as verified: administrators and tests.
    """
    return Domain.objects.create(
        server=server,
        name=domain_key(name),
        verified_at=now,
        use_for_any=only_where_caught,
        only_where_caught=only_where_caught,
        dkim_private_key=private_key or dkim.generate_rsa(),
        signs_unchecked=True,
    )


def add_http_route(
    server: Server, domain: Domain, name: str, url: str, *, format: str = "RawMessage", timeout: int = 30
) -> Route:
    """A route that posts mail for `name`@`domain` to `url`."""
    endpoint = HTTPEndpoint.objects.create(
        server=server, name=f"{name}@{domain.name}"[:255], url=url, format=format, timeout=timeout
    )
    return Route.objects.create(
        server=server,
        domain=domain,
        name=name,
        mode=RouteMode.ENDPOINT.value,
        http_endpoint=endpoint,
    )


def add_webhook(server: Server, url: str, *, beyond_postal: bool = True) -> Webhook:
    """A webhook for all events, or for all those that Postal has too."""
    return Webhook.objects.create(
        server=server, name=url[:255], url=url, all_events=True, beyond_postal=beyond_postal
    )


def _free_permalink(owner: Organization, name: str) -> str:
    base = slugify(name) or "server"
    taken = set(owner.servers.values_list("permalink", flat=True))
    number = 1
    permalink = base
    while permalink in taken:
        number += 1
        permalink = f"{base}-{number}"
    return permalink
