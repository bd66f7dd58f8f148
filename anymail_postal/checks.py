"""System checks of the settings.

Ids begin with E for errors, W for warnings, I for information. Those of bad values are in the settings table
in `anymail_postal.conf`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import django
import django.core.checks
from anymail.exceptions import AnymailConfigurationError
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.urls import URLPattern, URLResolver, get_resolver

from . import conf, delivery_mode, keys, setting_values
from .webhooks import PostalWebhookView

TAG = "anymail_postal"
NETWORK_TAG = "anymail_postal.network"  # of the check that asks the servers
ANYMAIL_VIEWS = "anymail.webhooks.postal"
SHORTEST_MAX_AGE = timedelta(seconds=2400)  # Postal repeats a webhook for 36 minutes, plus slack
# A mail of 14 MiB, which Postal accepts by default, is 20.2 million bytes as JSON.
SMALLEST_INBOUND_LIMIT = 20 * 1024 * 1024
# Caches that the processes do not share: each knows only the requests that it has handled itself.
PRIVATE_CACHES = ("locmem.LocMemCache", "dummy.DummyCache")


def register() -> None:
    """Register the checks with Django."""
    django.core.checks.register(check_settings, TAG)
    django.core.checks.register(check_deployment, TAG, deploy=True)
    django.core.checks.register(check_delivery, NETWORK_TAG, deploy=True)


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """The messages of the checks that always run."""
    messages: list[CheckMessage] = [
        Error(each.message, hint=each.hint, id=f"{TAG}.{each.check}") for each in conf.problems()
    ]
    messages += _check_names()
    if find_spec("cryptography") is None:
        messages.append(
            error(
                "E011",
                "The package cryptography is not installed. Webhooks and sealed metadata need it.",
                "Run: pip install cryptography",
            )
        )
        return messages
    servers, routes = _servers(), list(_routes())
    for server in servers:
        messages += _check_url(server)
        messages += _check_keys(server)
        messages += _check_parts(server)
        messages += _check_limits(server)
    if servers:
        messages += _check_sending()
        messages += _check_key_sources(servers, routes)
    messages += _check_order(routes)
    return _once(messages)


def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """The messages of the checks that run with `manage.py check --deploy`."""
    routes = list(_routes())
    messages: list[CheckMessage] = []
    if any(route.is_ours for route in routes):
        for server in _servers():
            if server.has_key_source:
                messages += _check_exposure(server, routes)
    return _once(messages)


def check_delivery(**kwargs: Any) -> list[CheckMessage]:
    """Ask the servers, with `check --deploy`, if mail that this project sends in production is delivered.

    The only check that uses the network: for two seconds at most for each server. One that cannot be
    reached, and a Postal, which delivers all mail, say nothing about it.
    """
    if settings.DEBUG or not any(map(conf.is_our_backend, conf.backends())):
        return []
    servers = {server.get("api_url"): server for server in _servers()}
    return [
        warning(
            "W009",
            f"{server.where('api_url')} names a server that {kept} (delivery.mode: {mode}).",
            "Set delivery.mode to mx or relays in its postal.yml, or POSTAL_API_URL to another server.",
        )
        for url, server in servers.items()
        if url and (kept := delivery_mode.what_is_kept(mode := delivery_mode.fetch_mode(url)))
    ]


def _once(messages: list[CheckMessage]) -> list[CheckMessage]:
    """The messages without repetitions: several servers may share a setting."""
    return [each for number, each in enumerate(messages) if each not in messages[:number]]


def error(number: str, message: str, hint: str) -> CheckMessage:
    """An error with one of our ids."""
    return Error(message, hint=hint, id=f"{TAG}.{number}")


def warning(number: str, message: str, hint: str) -> CheckMessage:
    """A warning with one of our ids."""
    return Warning(message, hint=hint, id=f"{TAG}.{number}")


def information(number: str, message: str, hint: str) -> CheckMessage:
    """An information message with one of our ids."""
    return Info(message, hint=hint, id=f"{TAG}.{number}")


# --- what is checked ---


@dataclass(frozen=True)
class Server:
    """The settings of one server, in which bad values are None: another check reports them."""

    config: conf.ServerConfig

    def get(self, attribute: str) -> Any:
        """The value of a setting, by its lower-case name."""
        try:
            return getattr(self.config, attribute)
        except AnymailConfigurationError:
            return None

    def where(self, attribute: str) -> str:
        """Where a setting of this server is set or, if it is not, would be."""
        return conf.find(getattr(conf.ServerConfig, attribute), self.config.layers)[0]

    @property
    def has_key_source(self) -> bool:
        """Is there a key, or a key set, for its webhooks?"""
        return bool(self.get("webhook_key") or self.get("webhook_jwks_url"))


@dataclass(frozen=True)
class Route:
    """A class-based view in the URLs, with the arguments of its `as_view()`."""

    view: type
    namespace: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Is this one of our webhook views, or a subclass?"""
        return issubclass(self.view, PostalWebhookView)


def _servers() -> list[Server]:
    """The servers in the settings; none if the settings are too broken to list them.

    A registry is not called, because it may need the database, which checks must not use.
    """
    try:
        return [Server(conf.ServerConfig(name, conf.written_layers(name))) for name in conf.server_names()]
    except AnymailConfigurationError:
        return []


def _has_registry() -> bool:
    return conf.find(conf.SERVER_REGISTRY)[1] is not None


def _routes() -> Iterator[Route]:
    """The class-based views of the project, in the order of the URLs."""
    if getattr(settings, "ROOT_URLCONF", None):
        yield from _routes_in(get_resolver(), ())


def _routes_in(resolver: URLResolver, namespaces: tuple[str, ...]) -> Iterator[Route]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes_in(pattern, (*namespaces, *filter(None, [pattern.namespace])))
        elif isinstance(pattern, URLPattern) and hasattr(pattern.callback, "view_class"):
            options = getattr(pattern.callback, "view_initkwargs", {})
            yield Route(pattern.callback.view_class, ":".join(namespaces), options)


# --- everywhere ---


def _check_names() -> Iterator[CheckMessage]:
    for name, meant in conf.unknown_names():
        yield error(
            "E015",
            f"{name} is not a setting of this package and has no effect.",
            f"Did you mean {meant}?" if meant else "The documentation lists all settings.",
        )
    if not _has_registry():
        for name in conf.unread_names():
            yield warning(
                "W008",
                f"{name} is not read at the root of the settings, and has no effect there.",
                f"Set it as ANYMAIL[{name!r}] or ANYMAIL_{name}.",
            )


def _check_url(server: Server) -> Iterator[CheckMessage]:
    url = urlsplit(server.get("api_url") or "")
    if url.scheme == "http" and not setting_values.is_loopback(url.hostname or ""):
        yield warning(
            "W001",
            f"{server.where('api_url')} is not an https URL: the API key and the mail are sent unencrypted.",
            "Use the https URL of Postal's web interface.",
        )


def _check_keys(server: Server) -> Iterator[CheckMessage]:
    if not server.has_key_source:
        return
    if server.get("webhook_jwks_url"):
        try:
            keys.jwks_url(server.config)
        except AnymailConfigurationError as problem:
            if str(problem) in {each.message for each in conf.problems()}:
                return  # POSTAL_API_URL, on which it depends, is reported already
            yield error(
                "E008",
                f"{server.where('webhook_jwks_url')}: {problem}",
                "Set it to the https URL of the key set, or to True with an https POSTAL_API_URL.",
            )
            return
    try:
        keys.sources(server.config)
    except AnymailConfigurationError as problem:
        yield error(
            "E006",
            f"{server.where('webhook_key')} is not a public key: {problem}",
            "Set it to the output of `manage.py postal_webhook_key` or to Postal's DKIM record.",
        )


def _check_parts(server: Server) -> Iterator[CheckMessage]:
    """Report settings that need what is not installed."""
    for attribute in ("metadata", "send_at", "suppression", "webhook_dedupe", "webhook_dispatch"):
        value = server.get(attribute)
        wants_store = value == "store" or (attribute == "webhook_dispatch" and value not in (None, "sync"))
        if wants_store and conf.store() is None:
            yield error(
                "E010",
                f"{server.where(attribute)} is {value!r}, which needs the store.",
                f"Add {conf.STORE_APP!r} to INSTALLED_APPS and run migrate, or choose another value.",
            )
    if server.get("webhook_dispatch") == "task" and django.VERSION < (6, 0):
        yield error(
            "E010",
            f"{server.where('webhook_dispatch')} is 'task', which needs Django 6.0.",
            "Upgrade Django, or set it to the dotted path of a callable that enqueues a task of yours.",
        )


def _check_limits(server: Server) -> Iterator[CheckMessage]:
    max_age = server.get("webhook_max_age")
    if max_age is not None and max_age < SHORTEST_MAX_AGE:
        yield warning(
            "W003",
            f"{server.where('webhook_max_age')} is so short that it refuses events which Postal repeats.",
            "Postal repeats a webhook for 36 minutes. Set at least 2400 seconds, better 7200, or None.",
        )
    limit = server.get("inbound_max_bytes")
    if limit is not None and limit < SMALLEST_INBOUND_LIMIT:
        yield warning(
            "W006",
            f"{server.where('inbound_max_bytes')} is smaller than the largest mail that Postal accepts"
            " by default: such mail is returned to its sender.",
            "Set at least 20971520 (20 MiB); the default is 50 MiB.",
        )


def _check_sending() -> Iterator[CheckMessage]:
    """Report a missing key or URL where our backend sends mail and no registry can have them."""
    if _has_registry():
        return
    for config in _sending_configs():
        for number, attribute, hint in (
            (
                "E001",
                "api_key",
                "Set it to the key of an API credential of the mail server in Postal.",
            ),
            (
                "E002",
                "api_url",
                "Set it to the address of Postal's web interface, such as https://postal.example.com.",
            ),
        ):
            try:
                value = getattr(config, attribute)
            except AnymailConfigurationError:
                continue  # reported as a bad value
            if value is None:
                message = (
                    f"POSTAL_{attribute.upper()} is not set for the server {config.name!r}, which sends mail."
                )
                yield error(number, message, hint)


def _sending_configs() -> list[conf.ServerConfig]:
    if conf.uses_mailers():
        return [conf.mailer(alias, options) for alias, options in conf.mailers().items()]
    return [conf.server()] if any(map(conf.is_our_backend, conf.backends())) else []


def _check_key_sources(servers: list[Server], routes: list[Route]) -> Iterator[CheckMessage]:
    """Report if no server has a key. Which servers receive webhooks is known to Postal only."""
    ours = [route for route in routes if route.is_ours]
    has_own = any(route.options.keys() & {"webhook_key", "webhook_jwks_url"} for route in ours)
    has_any = has_own or any(server.has_key_source for server in servers)
    if ours and not has_any and not _has_registry():
        yield error(
            "E007",
            "The URLs include Postal's webhooks, but without a key to verify them all requests fail (500).",
            "Set POSTAL_WEBHOOK_KEY to the output of `manage.py postal_webhook_key`.",
        )


def _check_order(routes: list[Route]) -> Iterator[CheckMessage]:
    ours = [number for number, route in enumerate(routes) if route.is_ours]
    theirs = [number for number, route in enumerate(routes) if route.view.__module__ == ANYMAIL_VIEWS]
    if not ours or not theirs:
        return
    shared = {routes[number].namespace for number in ours} & {routes[number].namespace for number in theirs}
    if min(theirs) < min(ours) or shared:
        yield warning(
            "W007",
            "The URLs include both our Postal webhooks and Anymail's, and it is not clear which are used.",
            "Include anymail_postal.urls before anymail.urls and with namespace='anymail_postal'.",
        )


# --- on deployed projects only ---


def _check_exposure(server: Server, routes: list[Route]) -> Iterator[CheckMessage]:
    dedupe = server.get("webhook_dedupe")
    uses_cache = dedupe == "cache" or (dedupe == "auto" and conf.store() is None)
    if uses_cache and settings.CACHES["default"]["BACKEND"].endswith(PRIVATE_CACHES):
        yield warning(
            "W004",
            f"{server.where('webhook_dedupe')} uses a cache that processes do not share: with several"
            " workers, repeated requests are not recognized.",
            f"Configure a shared cache in CACHES, or add {conf.STORE_APP!r} to INSTALLED_APPS.",
        )
    options = [route.options for route in routes if route.is_ours]
    has_own = any(each.keys() & {"webhook_secret", "basic_auth"} for each in options)
    if server.get("webhook_secret") == () and not has_own:
        yield warning(
            "W005",
            f"{server.where('webhook_secret')} is not set. A signature proves which installation of Postal"
            " sent a request, but not for which mail server: each owner of one can send requests to you.",
            "Set it to 'user:password', and use https://user:password@... as the URL in Postal.",
        )
    if server.get("webhook_allow_sha1"):
        yield information(
            "I001",
            f"{server.where('webhook_allow_sha1')} accepts SHA-1 signatures.",
            "Set it to False if your Postal is version 3.2.0 or newer, which signs with SHA-256 as well.",
        )
    if server.get("webhook_max_age") is None:
        yield information(
            "I002",
            f"{server.where('webhook_max_age')} is not set: a recorded request can be replayed once it is no"
            " longer remembered.",
            "Set it to 7200 seconds, unless your server repeats webhooks for longer than Postal.",
        )
