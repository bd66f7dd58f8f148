"""Where mail goes: the internet, relays, or the catch (`delivery.mode`). Nothing leaves by accident."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

from postal_server.conf import Config
from postal_server.errors import ConfigurationError
from postal_server.mail.address import split_address
from postal_server.rules.request_destination import AllowedDestinations
from postal_server.services.shared.delivery_policy import policy_of
from postal_server.services.shared.entries import SMTPEndpointEntry
from postal_server.services.shared.work import Target

SSL_MODES = {mode.lower(): mode for mode in ("None", "Auto", "STARTTLS", "TLS")}


def for_recipient(recipient: str, config: Config, *, tls_optional: bool = False) -> Target:
    """Who takes mail for `recipient`: the catch, the relays in their order, or the MX of its domain.

    `tls_optional`: deliver whatever TLS policy the domain has (RFC 8689).
    """
    domain = split_address(recipient)[1]
    if policy_of(config).catches(recipient):
        return _catch(domain, config)
    if relays := _relays(config.postal.smtp_relays):
        first, *others = (replace(relay, domain=domain) for relay in relays)
        return replace(first, alternatives=tuple(others))
    return Target(domain, tls_optional=tls_optional)


def for_endpoint(endpoint: SMTPEndpointEntry, recipient: str, config: Config) -> Target:
    """Who takes what an SMTP endpoint gets for `recipient`."""
    domain = split_address(recipient)[1]
    if policy_of(config).catches(recipient):
        return _catch(domain, config)
    return Target(domain, host=endpoint.hostname, port=endpoint.port, ssl_mode=endpoint.ssl_mode)


def _catch(domain: str, config: Config) -> Target:
    return Target(domain, host=config.delivery.catch_host, port=config.delivery.catch_port)


def check_relays(config: Config) -> None:
    """Raise `ConfigurationError` for a relay that cannot be read: better at start than with every mail."""
    _relays(config.postal.smtp_relays)


def allowed_destinations(config: Config) -> AllowedDestinations:
    """Where posts may go besides the public internet. Raises `ConfigurationError`."""
    return _allowed("postal.allowed_request_destinations", config.postal.allowed_request_destinations)


def allowed_mail_hosts(config: Config) -> AllowedDestinations:
    """Where MX records and address literals may lead besides the public internet, in the same way."""
    return _allowed("delivery.allowed_destinations", config.delivery.allowed_destinations)


def _allowed(key: str, entries: Sequence[str]) -> AllowedDestinations:
    try:
        return AllowedDestinations.parse(entries)
    except ValueError as error:
        raise ConfigurationError(f"{key}: {error}") from error


@functools.lru_cache(maxsize=8)
def _relays(urls: tuple[str, ...]) -> tuple[Target, ...]:
    return tuple(read_relay(url) for url in urls)


def read_relay(url: str) -> Target:
    """A relay from `smtp://user:password@host:port?ssl_mode=Auto`. Raises `ConfigurationError`."""
    shown = url.rpartition("@")[2]  # no password, and no error of the parser either, which may quote it
    try:
        parts = urlsplit(url if "//" in url else f"smtp://{url}")
        mode = parse_qs(parts.query).get("ssl_mode", ["Auto"])[0]
        host, port = parts.hostname, parts.port or 25
        ssl_mode = SSL_MODES[mode.lower()]
    except (KeyError, ValueError):
        raise ConfigurationError(f"postal.smtp_relays: {shown!r} is not a host, port and ssl_mode.") from None
    if not host:
        raise ConfigurationError(f"postal.smtp_relays: {shown!r} names no host.")
    return Target(
        host,
        host=host,
        port=port,
        ssl_mode=ssl_mode,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
