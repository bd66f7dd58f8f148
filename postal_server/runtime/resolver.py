"""The DNS resolver that the configuration names."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from postal_server import conf
from postal_server.conf import Config
from postal_server.engine.sync_dns import DomainQuestions
from postal_server.errors import ConfigurationError
from postal_server.services.shared.dns_questions import Answers, Question
from postal_server.transports.dns import DNS_PORT, DnsResolver


def resolver(config: Config) -> DnsResolver:
    """A resolver as the configuration names it. Raises `ConfigurationError`."""
    return DnsResolver(
        [_server(text) for text in config.dns.resolvers],
        resolv_conf=Path(config.dns.resolv_conf_path),
        timeout=timedelta(seconds=config.dns.timeout),
    )


def ask_now(questions: Sequence[Question]) -> Answers:
    """What DNS answers now: nothing is remembered from earlier. For threads without an event loop."""
    return asyncio.run(DomainQuestions(resolver(conf.config())).ask(questions))


def _server(text: str) -> tuple[str, int]:
    """`address`, `address:port` or `[address]:port`."""
    host, port = text, str(DNS_PORT)
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":") or str(DNS_PORT)
    elif text.count(":") == 1:
        host, port = text.split(":")
    try:
        return str(ipaddress.ip_address(host)), int(port)
    except ValueError as error:
        raise ConfigurationError(
            f"dns.resolvers: {text!r} is not an address with or without a port."
        ) from error
