"""From a target to an open session: which hosts, which addresses, and how much TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Protocol

from postal_server.engine.ports import Answer, Attempt, Lookup, Resolver, Source, Stage, Target, TlsSession
from postal_server.mail import tlsa
from postal_server.mail.address import domain_to_ascii, literal_address
from postal_server.net.dialling import NoneConnected, describe, in_turn, race

from .policy import NO_STARTTLS, Demand, DomainPolicy, TlsPolicies
from .session import Connection, Login, Security, Session, SmtpError, Timeouts, TlsError

DEFAULT_PORT = 25
MAX_ADDRESSES = 8  # of one host: a long list of dead ones must not hold a delivery for ever
MAX_HOSTS = 10
FORGET_TLS_AFTER = timedelta(hours=1)
MAX_REMEMBERED = 10_000
NOT_PUBLIC = "no address that mail may be sent to"  # which ones it has is nobody's business
NOT_REACHABLE = "no address that the source can reach"

Permits = Callable[[str, str], bool]


@dataclass(frozen=True)
class Host:
    """A host to deliver to. `ssl_mode` is Postal's word: None, Auto, STARTTLS or TLS."""

    name: str
    port: int = DEFAULT_PORT
    ssl_mode: str = "Auto"
    login: Login | None = None


@dataclass(frozen=True)
class Found:
    """Hosts in the order to try them; none unless `lookup` is FOUND.

    `domain` is the one whose MX they are, empty for hosts that somebody named. `is_secure`: DNSSEC says so.
    `is_strangers`: a recipient's domain or address leads to them, not somebody who runs this server.
    """

    lookup: Lookup
    hosts: tuple[Host, ...] = ()
    domain: str = ""
    is_secure: bool = False
    is_strangers: bool = False


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
            return Found(Lookup.FOUND, (Host(literal, self._port, target.ssl_mode),), is_strangers=True)
        try:
            domain = domain_to_ascii(target.domain)
        except ValueError:
            return Found(Lookup.NO_DOMAIN)
        answer = await self._resolver.mail_hosts(domain)
        hosts = (Host(name, self._port, target.ssl_mode) for name in answer.values[:MAX_HOSTS])
        return Found(answer.lookup, tuple(hosts), domain, answer.is_secure, is_strangers=True)

    def _host(self, target: Target) -> Host:
        login = None
        if target.username:
            login = Login(target.username, target.password, may_use_clear=target.ssl_mode == "None")
        return Host(target.host or "", target.port or self._port, target.ssl_mode, login)


class CatchHosts:
    """One listener for every target: nothing leaves this machine, and nothing is looked up.

    The second of two locks: `services.target` names the catch already; this one holds for whatever target
    some mistake makes.
    """

    def __init__(self, address: str, port: int) -> None:
        self._found = Found(Lookup.FOUND, (Host(address, port),))

    async def find(self, target: Target) -> Found:
        return self._found


@dataclass
class Tried:
    """What became of hosts: attempts that failed, and sessions, good ones too, for TLS reports."""

    attempts: list[Attempt] = field(default_factory=list)
    tls_sessions: list[TlsSession] = field(default_factory=list)


class Unreachable(Exception):
    """No host could be used."""

    def __init__(self, lookup: Lookup, tried: Tried, stage: Stage) -> None:
        super().__init__(lookup.value)
        self.lookup = lookup
        self.tried = tried
        self.stage = stage


@dataclass(frozen=True)
class Road:
    """How one host is to be spoken to: from where, and with how much TLS."""

    host: Host
    source: Source | None
    demand: Demand
    domain: str


class HostSlots(Protocol):
    """Limits the sessions with one host."""

    async def acquire(self, host: str) -> None: ...

    def release(self, host: str) -> None: ...


async def refused_hosts(resolver: Resolver, domain: str, permits: Permits) -> list[str]:
    """The hosts that take mail for `domain` and are at no address that mail may be sent to."""
    found = await MxHosts(resolver).find(Target(domain))
    refused = []
    for host in found.hosts:
        addresses = (await resolver.addresses(host.name)).values
        if addresses and not any(permits(host.name, address) for address in addresses):
            refused.append(host.name)
    return refused


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
    """Opens sessions. `helo` gives the EHLO name for a source (null: the machine's choice).

    `before_dot` is awaited before each final dot. `policies` says what domains demand of TLS.
    `permits(host, address)`: may mail go to this address of a host that a stranger chose?
    """

    def __init__(
        self,
        finder: HostFinder,
        resolver: Resolver,
        helo: Callable[[Source | None], str],
        permits: Permits,
        *,
        policies: TlsPolicies | None = None,
        timeouts: Timeouts | None = None,
        verifying: ssl.SSLContext | None = None,
        before_dot: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._finder = finder
        self._resolver = resolver
        self._helo = helo
        self._permits = permits
        self._timeouts = timeouts or Timeouts()
        self._verifying = verifying or ssl.create_default_context()
        self._trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trusting.check_hostname = False
        self._trusting.verify_mode = ssl.CERT_NONE
        self._before_dot = before_dot
        self._policies = policies or TlsPolicies(resolver)
        self._memory = TlsMemory()

    async def connect(self, target: Target, source: Source | None, slots: HostSlots) -> tuple[Session, Tried]:
        """A session with the first host that completes its greeting, and what was tried before it.

        The caller must release the slot of `session.host`. Raises `Unreachable`.
        """
        found = await self._finder.find(target)
        has_policy = bool(found.hosts and found.domain and not target.tls_optional)
        policy = await self._policies.of_domain(found.domain) if has_policy else None
        tried = Tried()
        for host in found.hosts:
            await slots.acquire(host.name)
            session = None
            try:
                session = await self._try_host(host, source, found, policy, tried)
            finally:
                if session is None:
                    slots.release(host.name)
            if session is not None:
                return session, tried
        raise Unreachable(found.lookup, tried, Stage.CONNECT if found.hosts else Stage.RESOLVE)

    async def _try_host(
        self, host: Host, source: Source | None, found: Found, policy: DomainPolicy | None, tried: Tried
    ) -> Session | None:
        answer = await self._resolver.addresses(host.name)
        usable = answer.values
        if found.is_strangers:  # checked are the very addresses that are connected to
            usable = tuple(address for address in usable if self._permits(host.name, address))
        left = order(usable, source)[:MAX_ADDRESSES]
        if not left:
            why = answer.lookup.value if not answer.values else NOT_PUBLIC if not usable else NOT_REACHABLE
            tried.attempts.append(Attempt(host.name, "", host.port, f"{host.name}: {why}"))
            return None
        road = Road(host, source, await self._demand(host, found, policy, answer), found.domain)
        if road.demand.refusal:
            error = TlsError(road.demand.refusal, failure="")
            self._note(road, tried, error)
            tried.attempts.append(_failed(road, "", error))
            return None
        while left:
            try:
                connection, address = await race(
                    left, lambda address: self._dial(address, host.port, source), SmtpError
                )
            except NoneConnected as failed:
                tried.attempts += [
                    Attempt(host.name, a, host.port, str(why)) for a, why in failed.errors.items()
                ]
                return None
            left.remove(address)
            try:
                return await self._open(connection, road, address, tried)
            except SmtpError as error:
                tried.attempts.append(_failed(road, address, error))
        return None

    async def _demand(
        self, host: Host, found: Found, policy: DomainPolicy | None, addresses: Answer
    ) -> Demand:
        if policy is None:
            return Demand()
        return await self._policies.demand(
            host.name,
            host.port,
            policy,
            is_secure=found.is_secure and addresses.is_secure,
            canonical_name=addresses.canonical_name,
        )

    async def _open(self, connection: Connection, road: Road, address: str, tried: Tried) -> Session:
        """Greet; with `Auto`, again with less TLS where TLS is what fails. Raises `SmtpError`."""
        host, loop = road.host, asyncio.get_running_loop()
        while True:
            security, problem = self._security(road)
            source = road.source.for_peer(address) if road.source else None
            session = Session(
                connection, host.name, address, host.port, before_dot=self._before_dot, source=source
            )
            try:
                await session.open(self._helo(road.source), security, host.login)
            except TlsError as error:
                if security.is_required:
                    self._note(road, tried, error, session)
                    raise
                self._memory.remember(host.name, error, loop.time())
            else:
                self._note(road, tried, problem, session)
                return session
            connection = await self._dial(address, host.port, road.source)

    def _security(self, road: Road) -> tuple[Security, TlsError | None]:
        """What to ask for, and what has gone wrong with this host's TLS within the hour."""
        host, demand = road.host, road.demand
        if demand.is_required:
            return self._as_demanded(road), None
        if host.ssl_mode == "None":
            return Security(), None
        if host.ssl_mode in ("TLS", "STARTTLS"):
            return Security(self._verifying, is_implicit=host.ssl_mode == "TLS", is_required=True), None
        problem = self._memory.problem(host.name, asyncio.get_running_loop().time())
        if problem is None:
            return Security(self._verifying, policy=demand.policy), None
        if not problem.is_certificate:
            return Security(), problem
        return Security(self._trusting, problem=str(problem), policy=demand.policy), problem

    def _as_demanded(self, road: Road) -> Security:
        demand = road.demand
        if demand.records is None:
            return Security(self._verifying, is_required=True, policy=demand.policy)
        if not demand.records:
            # Encrypted, whoever answers (RFC 7672 section 2.2).
            return Security(
                self._trusting, is_required=True, problem="no usable TLSA record", policy=demand.policy
            )
        judge = partial(_judge, demand.records, (demand.base, road.host.name, road.domain))
        return Security(self._trusting, is_required=True, judge=judge, policy=demand.policy, name=demand.base)

    @staticmethod
    def _note(road: Road, tried: Tried, problem: TlsError | None, session: Session | None = None) -> None:
        """Remember a session for TLS reports: with `problem`, or in clear, it is one that failed.

        Where the domain has no policy, nobody said that certificates matter.
        """
        report = road.demand.report
        if report is None:
            return
        if session is not None:
            report = replace(report, address=session.address, source=session.source or "")
        if problem is not None and problem.failure and (road.demand.policy or not problem.is_certificate):
            report = replace(report, failure=problem.failure, reason=str(problem))
        elif session is not None and session.tls is None and not report.failure:
            report = replace(report, failure=NO_STARTTLS)
        tried.tls_sessions.append(report)

    async def _dial(self, address: str, port: int, source: Source | None) -> Connection:
        """Raises `SmtpError`."""
        loop = asyncio.get_running_loop()
        local = (source.for_peer(address), 0) if source else None
        dialling = loop.create_connection(lambda: Connection(self._timeouts), address, port, local_addr=local)
        try:
            _, connection = await asyncio.wait_for(dialling, self._timeouts.seconds(Stage.CONNECT))
        except (OSError, asyncio.TimeoutError) as error:
            raise SmtpError(Stage.CONNECT, describe(error)) from error
        return connection


def _failed(road: Road, address: str, error: SmtpError) -> Attempt:
    """An attempt that came to nothing; TLS that falls short of a policy names the policy."""
    policy = road.demand.policy if road.demand.is_required and isinstance(error, TlsError) else ""
    text = f"{policy}: {error}" if policy else str(error)
    return Attempt(road.host.name, address, road.host.port, text, policy)


def _judge(records: Sequence[tlsa.Tlsa], names: Sequence[str], chain: Sequence[bytes]) -> str:
    return tlsa.problem(chain, records, names, datetime.now(timezone.utc))


def order(addresses: Sequence[str], source: Source | None) -> list[str]:
    """Those that can be reached from `source`, families in turn."""
    if source is not None:
        addresses = [address for address in addresses if source.for_peer(address)]
    return in_turn(addresses)
