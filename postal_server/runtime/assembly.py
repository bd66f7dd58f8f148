"""What the process commands are made of: the one place where edges, transports and engine meet."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from postal_server.conf import Config
from postal_server.conf import SmtpServer as SmtpServerConfig
from postal_server.engine.ports import Resolver, Source
from postal_server.engine.sts_policy_store import StoredPolicies
from postal_server.engine.worker import MakeTransports, Transports
from postal_server.errors import ConfigurationError, NotNow
from postal_server.net.listening import CannotListen
from postal_server.services.preparation.target import allowed_destinations, allowed_mail_hosts
from postal_server.services.shared.delivery_policy import policy_of
from postal_server.services.shared.throttle import Limits as LoginLimits
from postal_server.smtpd import catch, metrics
from postal_server.smtpd.mail_handler import MailHandler
from postal_server.smtpd.options import Options, logs_no_client
from postal_server.smtpd.server import ListenAddress, SmtpServer
from postal_server.smtpd.tls import Certificates
from postal_server.transports.http.hosts import HostResolver
from postal_server.transports.http.pool import HttpPool
from postal_server.transports.smtp.connect import CatchHosts, Connector, HostFinder, HostsByDomain, MxHosts
from postal_server.transports.smtp.policy import MtaSts, TlsPolicies, policy_fetcher
from postal_server.transports.smtp.pool import PoolLimits, SmtpPool
from postal_server.transports.smtp.session import Timeouts
from postal_server.web.server import HttpServer

from . import web
from .acceptance import AcceptanceCore
from .process import Addresses, MakeListener, Process, ProcessSpec
from .resolver import resolver
from .role import Role, health_place, smtp_place, web_place


def run(config: Config, roles: Sequence[Role], ready_file: Path | None = None) -> None:
    """Serve these roles until SIGTERM. Raises `ConfigurationError` or `OSError` where a part cannot start."""
    Process(config, process_spec(config, roles, ready_file)).run()


def process_spec(config: Config, roles: Sequence[Role], ready_file: Path | None = None) -> ProcessSpec:
    """The parts of a process. `PORT` and its like are Postal's, and for processes of one role.

    Raises `ConfigurationError`.
    """
    alone = len(roles) == 1
    policy = policy_of(config)  # a wrong list is said by every process
    listeners: list[MakeListener] = []
    if Role.SMTP in roles:
        listeners.append(partial(SmtpListener, honour_environment=alone))
        if policy.needs_catch:
            listeners.append(CatchListener)
    if Role.WEB in roles:
        listeners.append(partial(WebListener, honour_environment=alone))
    return ProcessSpec(
        roles=frozenset(roles),
        listeners=listeners,
        make_transports=_transports(config) if Role.WORKER in roles else None,
        health=_health(config, roles),
        ready_file=ready_file,
    )


class SmtpListener:
    """Mail in and submission; on a port of its own with TLS from the first byte, where one is given."""

    name = "smtp"

    def __init__(self, core: AcceptanceCore, *, honour_environment: bool) -> None:
        config = core.config
        given = config.smtp_server
        place = smtp_place(config, honour_environment=honour_environment)
        self._addresses = [ListenAddress(place.host, place.port)]
        self._host_key, self._port_keys = place.host_key, {place.port: place.port_key}
        if given.submission_port:
            self._addresses.append(ListenAddress(place.host, given.submission_port))
            self._port_keys[given.submission_port] = "smtp_server.submission_port"
        if given.implicit_tls_port:
            self._addresses.append(ListenAddress(place.host, given.implicit_tls_port, implicit_tls=True))
            self._port_keys[given.implicit_tls_port] = "smtp_server.implicit_tls_port"
        self._server = SmtpServer(
            MailHandler(config, core.directory, core.journal),
            Options(
                hostname=config.postal.smtp_hostname,
                plaintext_auth=config.plaintext_auth,
                proxy_protocol=given.proxy_protocol,
                logs_client=_logged_clients(given),
                max_message_bytes=config.max_message_bytes,
                max_header_bytes=config.max_header_bytes,
                max_header_fields=given.max_header_fields,
                max_unfinished_bytes=given.max_memory << 20,
                max_unfinished_bytes_before_auth=given.max_memory_before_auth << 20,
                max_recipients=given.max_recipients,
                max_connections=given.max_connections,
                max_connections_per_client=given.max_connections_per_client,
                max_recipients_per_client=given.max_recipients_per_client,
                login_limits=LoginLimits.of(config),
            ),
            _certificates(config),
            resolver(config).name_of,
            metrics.count,
        )
        metrics.UNFINISHED.set_function(lambda: self._server.room.held)

    async def start(self) -> Addresses:
        with naming(self._host_key, self._port_keys):
            return await self._server.start(self._addresses)

    async def stop(self) -> None:
        await self._server.stop()


class CatchListener:
    """The catch, on loopback, or in a private network that the `smtp` process shares with workers."""

    name = "catch"

    def __init__(self, core: AcceptanceCore) -> None:
        self._config = core.config
        require_own_network(self._config.delivery.catch_host)

    async def start(self) -> Addresses:
        given = self._config.delivery
        host, port = self._config.smtp_server.default_bind_address, self._config.smtp_server.default_port
        own = ("127.0.0.1" if ipaddress.ip_address(host).is_unspecified else host, port)
        certificates = _certificates(self._config)
        tls = certificates.context() if certificates else None
        with naming("delivery.catch_host", {given.catch_port: "delivery.catch_port"}):
            self._server, self._handler = await catch.listen(given.catch_host, given.catch_port, own, tls)
        return [(given.catch_host, given.catch_port)]

    async def stop(self) -> None:
        self._server.close()
        await self._handler.close()


def require_own_network(catch_host: str) -> None:
    """Raise `ConfigurationError` where strangers could reach the catch, which takes mail from anybody.

    It is a `NotNow` if the host has no address.
    """
    try:
        found = socket.getaddrinfo(catch_host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotNow(f"delivery.catch_host: {catch_host}: {error.strerror}.") from error
    for address in {ipaddress.ip_address(each[4][0]) for each in found}:
        if address.is_unspecified or not address.is_private:
            raise ConfigurationError(
                f"delivery.catch_host: {catch_host} is {address}; a loopback or private address is required."
            )


class WebListener:
    """The web application; requests that wait for the database do so in threads."""

    name = "web"

    def __init__(self, core: AcceptanceCore, *, honour_environment: bool) -> None:
        given = core.config.web_server
        self._place = web_place(core.config, honour_environment=honour_environment)
        application = web.create(
            core.config,
            journal=core.journal,
            directory=core.directory,
            resolver=resolver(core.config),
            problem=core.problem,
        )
        self._server = HttpServer(
            application,
            given.max_threads,
            given.max_connections,
            given.max_connections_per_client,
            application.is_proxy,
        )

    async def start(self) -> Addresses:
        place = self._place
        with naming(place.host_key, {place.port: place.port_key}):
            return [await self._server.start(place.host, place.port)]

    async def stop(self) -> None:
        await self._server.stop()


def helo_name(config: Config, source: Source | None) -> str:
    """The EHLO name of a source address; None if the system chooses the address (contract 6.8)."""
    return (source.hostname if source else "") or config.dns.helo_hostname or config.postal.smtp_hostname


def host_finder(config: Config, names: Resolver) -> HostFinder:
    """Finds the mail hosts, but only the catch for a domain of which nobody may get mail.

    This is the second safeguard: `services.preparation.target` names the catch already, and this one holds
    whatever target a mistake produces.
    """
    mx_hosts = MxHosts(names, config.smtp_client.port)
    policy = policy_of(config)
    if not policy.needs_catch:
        return mx_hosts
    catch_hosts = CatchHosts(config.delivery.catch_host, config.delivery.catch_port)
    return HostsByDomain(policy.may_reach, mx_hosts, catch_hosts)


def _transports(config: Config) -> MakeTransports:
    def make(before_dot: Callable[[], Awaitable[None]]) -> Transports:
        names = resolver(config)
        given = config.smtp_client
        allowed = allowed_destinations(config)
        poster = HttpPool(allowed.permits, HostResolver(names.host_addresses))
        sts = MtaSts(names, policy_fetcher(poster), store=StoredPolicies()) if given.mta_sts else None
        connector = Connector(
            host_finder(config, names),
            names,
            partial(helo_name, config),
            allowed_mail_hosts(config).permits,
            policies=TlsPolicies(names, sts, dane=given.dane),
            timeouts=Timeouts.limited(
                timedelta(seconds=given.open_timeout), timedelta(seconds=given.read_timeout)
            ),
            before_dot=before_dot,
        )
        limits = PoolLimits(
            per_destination=config.worker.connections_per_destination, total=config.worker.max_connections
        )
        return Transports(SmtpPool(connector, limits), poster, names)

    return make


def _logged_clients(given: SmtpServerConfig) -> Callable[[str], bool]:
    excluded = given.log_ip_address_exclusion_matcher
    if not given.log_connections:
        return logs_no_client
    return lambda address: not (excluded and re.search(excluded, address))


def _certificates(config: Config) -> Certificates | None:
    given = config.smtp_server
    if not given.tls_enabled:
        return None
    certificate, key = config.file(given.tls_certificate_path), config.file(given.tls_private_key_path)
    try:
        return Certificates(certificate, key, given.tls_ciphers)
    except PermissionError as error:
        raise ConfigurationError(
            f"smtp_server.tls_certificate_path: this user may not read {certificate} and {key}. Of those of "
            "certbot, name copies: `postal-server service install --certbot` keeps them current."
        ) from error
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            f"smtp_server.tls_certificate_path: {certificate}, {key}: {error}"
        ) from error


def _health(config: Config, roles: Sequence[Role]) -> tuple[str, int, str] | None:
    """Postal's SMTP and worker processes have a health server; the web process answers for itself."""
    place = health_place(config, roles)
    return (place.host, place.port, place.port_key) if place and place.port else None


@contextlib.contextmanager
def naming(host_key: str, port_keys: Mapping[int, str]) -> Iterator[None]:
    """Tell of an address that cannot be listened on with the key that says so: `NotNow`."""
    try:
        yield
    except CannotListen as error:
        key = host_key if error.is_host else port_keys[error.port]
        raise NotNow(f"{key}: {error.strerror}.") from error
