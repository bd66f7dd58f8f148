"""The settings with which a Django project uses a mail server, to be copied."""

from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit

from postal_server.conf import Config
from postal_server.mail import dkim
from postal_server.models import HTTPEndpoint, Route, Server, Webhook
from postal_server.services.shared.keys import installation_key
from postal_server.web.application import LOOPBACK_HOSTS

from .mail_server import REPLY

SETTINGS = """
In the settings of a Django project:

EMAIL_BACKEND = "anymail_postal.backend.EmailBackend"
# From Django 6.1 on instead: MAILERS = {{"default": {{"BACKEND": "anymail_postal.backend.EmailBackend"}}}}
DEFAULT_FROM_EMAIL = "hello@{domain}"
ANYMAIL = {{
{options}
}}
"""
KNOWN_KEY = "as printed when it was made"  # in place of an API key that is not shown again


def base_url(config: Config) -> str:
    """The URL of the API for clients. With https it is that of a front proxy, on the default port."""
    protocol, host = config.postal.web_protocol, config.postal.web_hostname
    return f"https://{host}" if protocol == "https" else f"http://{host}:{config.web_server.default_port}"


def submission_port(config: Config) -> int:
    """Where programs hand in mail over SMTP."""
    return config.smtp_server.submission_port or config.smtp_server.default_port


def settings(config: Config, server: Server, domain: str, api_key: str) -> str:
    """The lines of a settings module, with a sender at `domain`. Without `api_key`, it was shown before."""
    base = base_url(config)
    options: dict[str, str | bool | list[str]] = {
        "POSTAL_API_URL": base,
        "POSTAL_API_KEY": api_key or KNOWN_KEY,
    }
    if base.startswith("https://") or config.postal.web_hostname in LOOPBACK_HOSTS:
        options["POSTAL_WEBHOOK_JWKS_URL"] = True
    else:  # keys are not fetched over http
        options["POSTAL_WEBHOOK_KEY"] = dkim.public_record(installation_key(config))
    urls = [
        *Webhook.objects.filter(server=server, enabled=True).order_by("id").values_list("url", flat=True),
        *HTTPEndpoint.objects.filter(server=server).order_by("id").values_list("url", flat=True),
    ]
    secrets = list(dict.fromkeys(filter(None, map(_secret, urls))))
    if secrets:
        options["WEBHOOK_SECRET"] = secrets[0] if len(secrets) == 1 else secrets
    routes = Route.objects.filter(server=server, name=REPLY).exclude(http_endpoint=None).exclude(domain=None)
    names = list(routes.order_by("id").values_list("domain__name", flat=True))
    if names:
        options["POSTAL_REPLY_DOMAIN"] = domain if domain in names else names[0]
    lines = (f"    {_python(name)}: {_python(value)}," for name, value in options.items())
    return SETTINGS.format(domain=domain, options="\n".join(lines))


def _secret(url: str) -> str:
    """The `user:password` of a URL; empty without them."""
    parts = urlsplit(url)
    return f"{unquote(parts.username or '')}:{unquote(parts.password)}" if parts.password else ""


def _python(value: str | bool | list[str]) -> str:
    """A Python literal with double quotes."""
    return repr(value) if isinstance(value, bool) else json.dumps(value)
