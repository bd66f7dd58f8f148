"""Check the settings, and the Postal servers that they name."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from anymail.exceptions import AnymailConfigurationError, AnymailInvalidAddress
from anymail.signals import tracking
from anymail.utils import parse_single_address
from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.urls import NoReverseMatch, resolve, reverse

from ... import checks, conf, delivery_mode, events, keys, signals
from ...api import tls_hint
from ...client import PostalClient
from ...errors import PostalAPIError, PostalAuthError, PostalSenderError
from ...signatures import parse_jwks
from ...webhooks import PostalWebhookView

OK, NOTE, FAIL = "ok", "note", "FAIL"
SIGN = "sign"  # a consequence of another failure: printed as FAIL, but not counted
BEYOND_POSTAL = (
    "only postal_server has such events, and only for webhooks that are beyond Postal"
    " (postal-server webhooks set ID --beyond-postal yes)"
)
Result = tuple[str, str]  # one of these, and a sentence


class Command(BaseCommand):
    help = (
        "Check the settings, and ask the Postal servers about the public keys, the API key and the From "
        "addresses; print the URLs of the webhooks. Nothing is sent to anybody. Ends with status 1 if "
        "anything is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--server", help="only this server; by default all that the settings name")
        parser.add_argument(
            "--from",
            dest="senders",
            action="append",
            metavar="ADDRESS",
            help="an address that mail is sent from, may be repeated (by default DEFAULT_FROM_EMAIL, and "
            "SERVER_EMAIL where ADMINS or MANAGERS get mail)",
        )

    def handle(self, *args: Any, server: str | None, senders: list[str] | None, **options: Any) -> None:
        self.failures = self.signs = 0
        self.report("settings", check_settings())
        self.report("settings", check_backend())
        self.has_wrong_settings = self.failures > 0
        try:
            configs = [conf.server(name) for name in ([server] if server else conf.server_names())]
        except AnymailConfigurationError as error:
            raise CommandError(str(error)) from error
        for config in configs:
            self.stdout.write(f"Server {config.name!r}:")
            self.report("public keys", check_keys(config))
            self.report("API", check_api(config, senders or default_senders()))
            self.report("delivery", check_delivery(config))
            self.report("webhooks", check_webhooks(config))
            self.report("webhooks", check_events(config))
        if wrong := self.failures or min(self.signs, 1):
            raise CommandError("1 thing is wrong." if wrong == 1 else f"{wrong} things are wrong.")

    def report(self, what: str, results: Iterator[Result]) -> None:
        """Print results as they come. A configuration error is a result as well."""
        try:
            for verdict, sentence in results:
                self.say(verdict, what, sentence)
        except AnymailConfigurationError as error:
            self.say(SIGN if self.has_wrong_settings else FAIL, what, str(error))

    def say(self, verdict: str, what: str, sentence: str) -> None:
        """Print one result."""
        self.failures += verdict == FAIL
        self.signs += verdict == SIGN
        verdict = FAIL if verdict == SIGN else verdict
        style = self.style.ERROR if verdict == FAIL else self.style.SUCCESS
        self.stdout.write(f"  {style(verdict.ljust(4))}  {what}: {sentence}")


def check_settings() -> Iterator[Result]:
    """Run the system checks, those for deployment included."""
    messages = run_checks(tags=[checks.TAG], include_deployment_checks=True)
    for message in messages:
        yield FAIL if message.level >= ERROR else NOTE, f"{message.msg} {message.hint} ({message.id})"
    if not messages:
        yield OK, "the system checks find nothing"


def check_backend() -> Iterator[Result]:
    """Check that Django sends its mail through our backend, by `EMAIL_BACKEND` or any of `MAILERS`."""
    used = conf.backends()
    if any(conf.is_our_backend(path) for path in used):
        return
    for path in used:
        if path.startswith("anymail_postal."):
            yield FAIL, f"there is no e-mail backend {path!r}; it is {conf.BACKEND!r}"
            return
    named = ", ".join(map(repr, used)) or "none"
    yield NOTE, f"Django's mail does not go through Postal: the e-mail backend is {named}"


def check_keys(config: conf.ServerConfig) -> Iterator[Result]:
    """Check that the public keys can be read, and that Postal signs with them."""
    if config.webhook_key is None and config.webhook_jwks_url is None:
        yield NOTE, "none are set, so webhooks cannot be received"
        return
    sources = keys.sources(config)
    pinned = {key.id for key in sources.pinned}
    for key in sources.pinned:
        yield OK, f"{key.id[:12]}... is pinned, {key.rsa.key_size} bits"
    urls = sources.urls or ((keys.jwks_url(config),) if config.api_url else ())
    for url in urls:
        try:
            published = parse_jwks(keys.fetch_json(url))
        except (requests.RequestException, ValueError, RecursionError) as error:
            verdict = FAIL if sources.urls else NOTE
            if verdict == FAIL and is_api(url, config):
                verdict = SIGN  # usually the API cannot be reached either
            yield verdict, f"{url} cannot be read: {error}{tls_hint(error)}"
            continue
        for key in published:
            if sources.urls or key.id in pinned:
                yield OK, f"{key.id[:12]}... is published at {url}"
            else:
                yield FAIL, f"{url} has the key {key.id[:12]}..., which is not pinned: see postal_webhook_key"


def is_api(url: str, config: conf.ServerConfig) -> bool:
    """Is this URL on the host of the API?"""
    return config.api_url is not None and urlsplit(url).netloc == urlsplit(config.api_url).netloc


def check_api(config: conf.ServerConfig, senders: Iterable[str]) -> Iterator[Result]:
    """Check that Postal knows the API key, and which senders may use it."""
    if config.api_key is None and config.api_url is None:
        yield NOTE, "neither key nor URL is set, so nothing can be sent"
        return
    with PostalClient(config.name) as client:
        try:
            client.ping()
        except PostalAuthError:
            yield FAIL, "Postal does not know the key: see the mail server's credentials"
            return
        except PostalAPIError as error:
            yield FAIL, str(error)
            return
        yield OK, f"{config.api_url} knows the key"
        for sender in senders:
            yield check_sender(client, sender)


def default_senders() -> list[str]:
    """The addresses that Django sends from. Error reports have their own, root@localhost by default."""
    reports = [settings.SERVER_EMAIL] if settings.ADMINS or settings.MANAGERS else []
    return list(dict.fromkeys([settings.DEFAULT_FROM_EMAIL, *reports]))


def check_sender(client: PostalClient, sender: str) -> Result:
    """Check that mail may be sent from an address.

    Postal checks the sender of `send/raw` before the recipients, of which this call has none (contract 1.10).
    """
    try:
        address = parse_single_address(sender).addr_spec
    except AnymailInvalidAddress as error:
        return FAIL, f"mail from {sender!r} cannot be sent: {error}"
    mail = f"From: {address}\r\nSubject: postal_check\r\n\r\n"
    try:
        client.send_raw(address, [], mail.encode())
    except PostalSenderError:
        domain = address.rpartition("@")[2]
        return FAIL, f"mail from {address} is refused: add and verify the domain {domain} in Postal"
    except PostalAPIError as error:
        return FAIL, f"cannot find out whether mail may be sent from {address}: {error}"
    return OK, f"mail may be sent from {address}"


def check_delivery(config: conf.ServerConfig) -> Iterator[Result]:
    """Say if the server delivers mail. A Postal does not say, and does."""
    mode = delivery_mode.fetch_mode(config.api_url) if config.api_url else None
    if kept := delivery_mode.what_is_kept(mode):
        yield NOTE, f"the server {kept} (delivery.mode: {mode})"
        if mode == "catch":
            yield NOTE, "as long as it does, it may accept senders that it will refuse later: see its domains"
    elif mode:
        yield OK, f"the server sends mail (delivery.mode: {mode})"


def check_webhooks(config: conf.ServerConfig) -> Iterator[Result]:
    """Report the URLs for Postal."""
    for kind, menu in (("tracking", "Webhooks"), ("inbound", "HTTP endpoints")):
        path = find_path(kind, config.name)
        if path is None:
            yield NOTE, f"there is no URL for {kind} requests: include anymail_postal.urls"
        else:
            yield OK, f"the path for Postal's {menu} is {path}"
    yield OK, f"requests with incoming mail may have {config.inbound_max_bytes} bytes"


def check_events(config: conf.ServerConfig) -> Iterator[Result]:
    """Say if events that only a webhook beyond Postal gets are waited for, and none has come.

    Which webhooks are beyond Postal, only their server knows: what can be seen here is what came.
    """
    store = conf.store()
    if store is None:
        if signals.suppression_changed.has_listeners():
            yield NOTE, f"suppression_changed has receivers, {BEYOND_POSTAL}"
    elif signals.suppression_changed.has_listeners() or tracking.has_listeners():
        try:
            names = store.event_names(config.name)
        except DatabaseError as error:
            yield FAIL, f"the store cannot be read, run migrate: {error}"
            return
        if names and not names & events.BEYOND_POSTAL:
            yield (
                NOTE,
                f"no complaint, automatic reply or change of a suppression list has come: {BEYOND_POSTAL}",
            )


def find_path(kind: str, server: str) -> str | None:
    """The path of our view, None if it is not in the URLs."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return None
    is_default = server == conf.DEFAULT_SERVER
    name = f"postal_{kind}_webhook" if is_default else f"postal_server_{kind}_webhook"
    for namespace in ("anymail_postal", "anymail"):
        try:
            path = reverse(f"{namespace}:{name}", kwargs=None if is_default else {"server": server})
        except NoReverseMatch:
            continue
        view = getattr(resolve(path).func, "view_class", None)
        if isinstance(view, type) and issubclass(view, PostalWebhookView):
            return path
    return None
