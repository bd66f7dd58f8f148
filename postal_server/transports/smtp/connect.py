"""From a target to an open session: which hosts, which addresses, and how much TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import Protocol

from postal_server.engine.ports import Attempt, Lookup, Resolver, Stage, Target
from postal_server.mail.address import domain_to_ascii, literal_address
from postal_server.transports.network import describe

from .session import Connection, Login, Security, Session, SmtpError, Timeouts, TlsError

DEFAULT_PORT = 25
FALL_BACK_AFTER = timedelta(milliseconds=250)  # RFC 8305 section 5: to the next address
MAX_ADDRESSES = 8  # of one host: a long list of dead ones must not hold a delivery for ever
MAX_HOSTS = 10
FORGET_TLS_AFTER = timedelta(hours=1)
MAX_REMEMBERED = 10_000


@dataclass(frozen=True)
class Host:
    """A host to deliver to. `ssl_mode` is Postal's word: None, Auto, STARTTLS or TLS."""

    name: str
    port: int = DEFAULT_PORT
    ssl_mode: str = "Auto"
    login: Login | None = None


@dataclass(frozen=True)
class Found:
    """Hosts in the order to try them; none unless `lookup` is FOUND."""

    lookup: Lookup
    hosts: tuple[Host, ...] = ()


class HostFinder(Protocol):
    async def find(self, target: Target) -> Found:
        """The hosts that take mail for a target."""


class MxHosts:
    """The target's own host, or the MX hosts of its domain."""

    def __init__(self, resolver: Resolver, port: int = DEFAULT_PORT) -> None:
        self._resolver = resolver
        self._port = port

    async def find(self, target: Target) -> Found:
        if target.host is not None:
            return Found(Lookup.FOUND, tuple(self._host(t) for t in (target, *target.alternatives)))
        literal = literal_address(target.domain)
        if literal is not None:
            return Found(Lookup.FOUND, (Host(literal, self._port, target.ssl_mode),))
        try:
            answer = await self._resolver.mail_hosts(domain_to_ascii(target.domain))
        except ValueError:
            return Found(Lookup.NO_DOMAIN)
        names = answer.values[:MAX_HOSTS]
        return Found(answer.lookup, tuple(Host(name, self._port, target.ssl_mode) for name in names))

    def _host(self, target: Target) -> Host:
        login = None
        if target.username:
            login = Login(target.username, target.password, may_use_clear=target.ssl_mode == "None")
        return Host(target.host or "", target.port or self._port, target.ssl_mode, login)


class CatchHosts:
    """One listener for every target: nothing leaves this machine, and nothing is looked up."""

    def __init__(self, address: str, port: int) -> None:
        self._found = Found(Lookup.FOUND, (Host(address, port),))

    async def find(self, target: Target) -> Found:
        return self._found


class Unreachable(Exception):
    """No host could be used."""

    def __init__(self, lookup: Lookup, attempts: Sequence[Attempt], stage: Stage) -> None:
        super().__init__(lookup.value)
        self.lookup = lookup
        self.attempts = tuple(attempts)
        self.stage = stage


class HostSlots(Protocol):
    """Limits the sessions with one host."""

    async def acquire(self, host: str) -> None: ...

    def release(self, host: str) -> None: ...


class TlsMemory:
    """What went wrong with TLS, per host: with `Auto`, the next connection does not try it again at once."""

    def __init__(self) -> None:
        self._problems: dict[str, tuple[float, TlsError]] = {}

    def problem(self, host: str, now: float) -> TlsError | None:
        until, error = self._problems.get(host, (0.0, None))
        return error if until > now else None

    def remember(self, host: str, error: TlsError, now: float) -> None:
        if len(self._problems) >= MAX_REMEMBERED:
            self._problems.pop(next(iter(self._problems)))
        self._problems[host] = now + FORGET_TLS_AFTER.total_seconds(), error


class Connector:
    """Opens sessions. `helo` gives the EHLO name for a source address (null: the machine's choice).

    `before_dot` is awaited before each final dot.
    """

    def __init__(
        self,
        finder: HostFinder,
        resolver: Resolver,
        helo: Callable[[str | None], str],
        *,
        timeouts: Timeouts | None = None,
        verifying: ssl.SSLContext | None = None,
        before_dot: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._finder = finder
        self._resolver = resolver
        self._helo = helo
        self._timeouts = timeouts or Timeouts()
        self._verifying = verifying or ssl.create_default_context()
        self._trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trusting.check_hostname = False
        self._trusting.verify_mode = ssl.CERT_NONE
        self._before_dot = before_dot
        self._memory = TlsMemory()

    async def connect(
        self, target: Target, source: str | None, slots: HostSlots
    ) -> tuple[Session, list[Attempt]]:
        """A session with the first host that completes its greeting, and what was tried before it.

        The caller must release the slot of `session.host`. Raises `Unreachable`.
        """
        found = await self._finder.find(target)
        attempts: list[Attempt] = []
        for host in found.hosts:
            await slots.acquire(host.name)
            session = None
            try:
                session = await self._try_host(host, source, attempts)
            finally:
                if session is None:
                    slots.release(host.name)
            if session is not None:
                return session, attempts
        raise Unreachable(found.lookup, attempts, Stage.CONNECT if found.hosts else Stage.RESOLVE)

    async def _try_host(self, host: Host, source: str | None, attempts: list[Attempt]) -> Session | None:
        answer = await self._resolver.addresses(host.name)
        left = order(answer.values, source)[:MAX_ADDRESSES]
        if not left:
            attempts.append(Attempt(host.name, "", host.port, f"{host.name}: {answer.lookup.value}"))
        while left:
            try:
                connection, address = await self._race(left, host.port, source)
            except ConnectFailed as failed:
                attempts += [Attempt(host.name, a, host.port, why) for a, why in failed.errors.items()]
                return None
            left.remove(address)
            try:
                return await self._open(connection, host, address, source)
            except SmtpError as error:
                attempts.append(Attempt(host.name, address, host.port, str(error)))
        return None

    async def _open(self, connection: Connection, host: Host, address: str, source: str | None) -> Session:
        """Greet; with `Auto`, again with less TLS where TLS is what fails. Raises `SmtpError`."""
        loop = asyncio.get_running_loop()
        while True:
            security = self._security(host)
            session = Session(connection, host.name, address, host.port, self._before_dot)
            try:
                await session.open(self._helo(source), security, host.login)
            except TlsError as error:
                if security.is_required:
                    raise
                self._memory.remember(host.name, error, loop.time())
            else:
                return session
            connection = await self._dial(address, host.port, source)

    def _security(self, host: Host) -> Security:
        if host.ssl_mode == "None":
            return Security()
        if host.ssl_mode in ("TLS", "STARTTLS"):
            return Security(self._verifying, is_implicit=host.ssl_mode == "TLS", is_required=True)
        problem = self._memory.problem(host.name, asyncio.get_running_loop().time())
        if problem is None:
            return Security(self._verifying)
        return Security(self._trusting, problem=str(problem)) if problem.is_certificate else Security()

    async def _race(self, addresses: Sequence[str], port: int, source: str | None) -> tuple[Connection, str]:
        """The first connection to any of the addresses (happy eyeballs). Raises `ConnectFailed`."""
        tasks: dict[asyncio.Task[Connection], str] = {}
        errors: dict[str, str] = {}
        waiting = list(addresses)
        try:
            while waiting or tasks:
                if waiting:
                    address = waiting.pop(0)
                    tasks[asyncio.ensure_future(self._dial(address, port, source))] = address
                pause = FALL_BACK_AFTER.total_seconds() if waiting else None
                done, _ = await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    address = tasks.pop(task)
                    try:
                        return task.result(), address
                    except SmtpError as error:
                        errors[address] = str(error)
            raise ConnectFailed(errors)
        finally:
            for task in tasks:
                task.cancel()
                task.add_done_callback(_drop)

    async def _dial(self, address: str, port: int, source: str | None) -> Connection:
        """Raises `SmtpError`."""
        loop = asyncio.get_running_loop()
        dialling = loop.create_connection(
            lambda: Connection(self._timeouts), address, port, local_addr=(source, 0) if source else None
        )
        try:
            _, connection = await asyncio.wait_for(dialling, self._timeouts.seconds(Stage.CONNECT))
        except (OSError, asyncio.TimeoutError) as error:
            raise SmtpError(Stage.CONNECT, describe(error)) from error
        return connection


class ConnectFailed(Exception):
    """No address took the connection; `errors` says why, by address."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(", ".join(errors.values()))
        self.errors = errors


def _drop(task: asyncio.Task[Connection]) -> None:
    """Close a connection that came too late."""
    with suppress(SmtpError, asyncio.CancelledError):
        task.result().abort()


def order(addresses: Sequence[str], source: str | None) -> list[str]:
    """Those that can be reached from `source`, families in turn, IPv6 first (RFC 8305 section 4)."""
    if source is not None:
        version = ipaddress.ip_address(source).version
        return [a for a in addresses if ipaddress.ip_address(a).version == version]
    sixes = [a for a in addresses if ":" in a]
    fours = [a for a in addresses if ":" not in a]
    return [address for address in _alternate(sixes, fours) if address]


def _alternate(sixes: Sequence[str], fours: Sequence[str]) -> Iterator[str]:
    for pair in zip_longest(sixes, fours, fillvalue=""):
        yield from pair
