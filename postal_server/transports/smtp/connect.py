"""Opens a session for a target: finds its hosts and their addresses, and decides how much TLS to ask for."""

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
from postal_server.net.dialling import NoneConnected, describe, interleave_families, race

from .policy import NO_STARTTLS, DomainPolicy, TlsPolicies, TlsRequirement
from .session import Login, SmtpConnection, SmtpError, SmtpSession, Timeouts, TlsError, TlsOptions

DEFAULT_PORT = 25
MAX_ADDRESSES = 8  # of one host: a long list of dead ones must not hold a delivery for ever
MAX_HOSTS = 10
TLS_PROBLEM_TTL = timedelta(hours=1)
MAX_TLS_PROBLEMS = 10_000
# The process that has the catch may just be starting anew: mail is not put off for minutes because of that.
CATCH_PATIENCE = timedelta(seconds=20)
CATCH_RETRY = 0.5  # seconds
NOT_PUBLIC = "no address that mail may be sent to"  # which ones it has is not disclosed
NOT_REACHABLE = "no address that the source can reach"

Permits = Callable[[str, str], bool]


@dataclass(frozen=True)
class Host:
    """A host to deliver to. `ssl_mode` is Postal's term: None, Auto, STARTTLS or TLS."""

    name: str
    port: int = DEFAULT_PORT
    ssl_mode: str = "Auto"
    login: Login | None = None


@dataclass(frozen=True)
class ResolvedHosts:
    """The hosts of a target, in the order in which to try them; none unless `lookup` is FOUND.

    `domain` is the domain whose MX hosts they are, empty for hosts named in the configuration. `is_secure`:
    the MX records were validated with DNSSEC. `is_untrusted`: the hosts follow from a recipient's address and
    not from the configuration of this server. `patience`: how long to try until one of them can be used.
    """

    lookup: Lookup
    hosts: tuple[Host, ...] = ()
    domain: str = ""
    is_secure: bool = False
    is_untrusted: bool = False
    patience: timedelta = timedelta()


class HostFinder(Protocol):
    """Finds the hosts of targets."""

    async def find(self, target: Target) -> ResolvedHosts:
        """The hosts that accept mail for a target. Does not raise."""


class MxHosts:
    """Finds the target's own host, or the MX hosts of its domain."""

    def __init__(self, resolver: Resolver, port: int = DEFAULT_PORT) -> None:
        self._resolver = resolver
        self._port = port

    async def find(self, target: Target) -> ResolvedHosts:
        if target.host is not None:
            return ResolvedHosts(Lookup.FOUND, tuple(self._host(t) for t in (target, *target.alternatives)))
        literal = literal_address(target.domain)
        if literal is not None:
            return ResolvedHosts(
                Lookup.FOUND, (Host(literal, self._port, target.ssl_mode),), is_untrusted=True
            )
        try:
            domain = domain_to_ascii(target.domain)
        except ValueError:
            return ResolvedHosts(Lookup.NO_DOMAIN)
        answer = await self._resolver.mail_hosts(domain)
        hosts = (Host(name, self._port, target.ssl_mode) for name in answer.values[:MAX_HOSTS])
        return ResolvedHosts(answer.lookup, tuple(hosts), domain, answer.is_secure, is_untrusted=True)

    def _host(self, target: Target) -> Host:
        login = None
        if target.username:
            login = Login(target.username, target.password, may_use_clear=target.ssl_mode == "None")
        return Host(target.host or "", target.port or self._port, target.ssl_mode, login)


class CatchHosts:
    """Finds the same listener for every target: nothing leaves this machine, and nothing is looked up."""

    def __init__(self, address: str, port: int, patience: timedelta = CATCH_PATIENCE) -> None:
        self._resolved = ResolvedHosts(Lookup.FOUND, (Host(address, port),), patience=patience)

    async def find(self, target: Target) -> ResolvedHosts:
        return self._resolved


@dataclass(frozen=True)
class HostsByDomain:
    """Finds hosts by `others` where mail may reach the target's domain, and by `catch` where it may not."""

    may_reach: Callable[[str], bool]
    others: HostFinder
    catch: HostFinder

    async def find(self, target: Target) -> ResolvedHosts:
        finder = self.others if self.may_reach(target.domain) else self.catch
        return await finder.find(target)


@dataclass
class ConnectLog:
    """What happened while connecting: failed attempts, and for TLS reports all sessions, good ones too."""

    attempts: list[Attempt] = field(default_factory=list)
    tls_sessions: list[TlsSession] = field(default_factory=list)


class Unreachable(Exception):
    """No host could be used. `stage` is RESOLVE where the target has no hosts, else CONNECT."""

    def __init__(self, lookup: Lookup, log: ConnectLog, stage: Stage) -> None:
        super().__init__(lookup.value)
        self.lookup = lookup
        self.log = log
        self.stage = stage


@dataclass(frozen=True)
class HostPlan:
    """How to connect to one host: from which source address, and with how much TLS.

    `domain` is the domain whose MX host it is, empty for others.
    """

    host: Host
    source: Source | None
    requirement: TlsRequirement
    domain: str


class HostSlots(Protocol):
    """Limits the number of sessions with one host."""

    async def acquire(self, host: str) -> None:
        """Wait until there may be one more session with this host."""

    def release(self, host: str) -> None:
        """Give back what `acquire` has taken."""


async def find_refused_hosts(resolver: Resolver, domain: str, permits: Permits) -> list[str]:
    """The names of the hosts that accept mail for `domain`, but have no address that mail may be sent to."""
    resolved = await MxHosts(resolver).find(Target(domain))
    refused = []
    for host in resolved.hosts:
        addresses = (await resolver.addresses(host.name)).values
        if addresses and not any(permits(host.name, address) for address in addresses):
            refused.append(host.name)
    return refused


class TlsMemory:
    """TLS problems by host, kept for an hour: with `Auto`, connections do not try again what failed."""

    def __init__(self) -> None:
        self._problems: dict[str, tuple[float, TlsError]] = {}

    def problem(self, host: str, now: float) -> TlsError | None:
        """What went wrong with this host's TLS. `now` is in seconds of a monotonic clock."""
        until, error = self._problems.get(host, (0.0, None))
        return error if until > now else None

    def remember(self, host: str, error: TlsError, now: float) -> None:
        """Keep `error` as the host's problem for an hour."""
        if len(self._problems) >= MAX_TLS_PROBLEMS:
            self._problems.pop(next(iter(self._problems)))
        self._problems[host] = now + TLS_PROBLEM_TTL.total_seconds(), error


class Connector:
    """Opens sessions.

    `helo(source)` is the EHLO name for a source; None stands for an address of the system's choice.
    `before_dot` is awaited before each final dot. `policies` knows the TLS policies of domains.
    `permits(host, address)`: may mail be sent to this address of an untrusted host?
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
        self._verifying_context = verifying or ssl.create_default_context()
        self._trusting_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trusting_context.check_hostname = False
        self._trusting_context.verify_mode = ssl.CERT_NONE
        self._before_dot = before_dot
        self._policies = policies or TlsPolicies(resolver)
        self._tls_memory = TlsMemory()

    async def connect(
        self, target: Target, source: Source | None, slots: HostSlots
    ) -> tuple[SmtpSession, ConnectLog]:
        """A session with the first host that completes the handshake, and a log of what was tried before.

        The caller must release the slot of `session.host`. Raises `Unreachable`.
        """
        resolved = await self._finder.find(target)
        has_policy = bool(resolved.hosts and resolved.domain and not target.tls_optional)
        policy = await self._policies.for_domain(resolved.domain) if has_policy else None
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + resolved.patience.total_seconds()
        while True:
            try:
                return await self._connect_to(resolved, policy, source, slots)
            except Unreachable:
                if loop.time() >= ends_at:
                    raise
            await asyncio.sleep(CATCH_RETRY)

    async def _connect_to(
        self, resolved: ResolvedHosts, policy: DomainPolicy | None, source: Source | None, slots: HostSlots
    ) -> tuple[SmtpSession, ConnectLog]:
        """Try each host once."""
        log = ConnectLog()
        for host in resolved.hosts:
            await slots.acquire(host.name)
            session = None
            try:
                session = await self._try_host(host, source, resolved, policy, log)
            finally:
                if session is None:
                    slots.release(host.name)
            if session is not None:
                return session, log
        raise Unreachable(resolved.lookup, log, Stage.CONNECT if resolved.hosts else Stage.RESOLVE)

    async def _try_host(
        self,
        host: Host,
        source: Source | None,
        resolved: ResolvedHosts,
        policy: DomainPolicy | None,
        log: ConnectLog,
    ) -> SmtpSession | None:
        answer = await self._resolver.addresses(host.name)
        usable = answer.values
        if resolved.is_untrusted:  # the addresses that are checked are those that are connected to
            usable = tuple(address for address in usable if self._permits(host.name, address))
        left = order_addresses(usable, source)[:MAX_ADDRESSES]
        if not left:
            why = answer.lookup.value if not answer.values else NOT_PUBLIC if not usable else NOT_REACHABLE
            log.attempts.append(Attempt(host.name, "", host.port, f"{host.name}: {why}"))
            return None
        plan = HostPlan(
            host, source, await self._tls_requirement(host, resolved, policy, answer), resolved.domain
        )
        if plan.requirement.refusal:
            error = TlsError(plan.requirement.refusal, failure="")
            self._log_tls_session(plan, log, error)
            log.attempts.append(_failed_attempt(plan, "", error))
            return None
        while left:
            try:
                connection, address = await race(
                    left, lambda address: self._dial(address, host.port, source), SmtpError
                )
            except NoneConnected as failed:
                log.attempts += [
                    Attempt(host.name, a, host.port, str(why)) for a, why in failed.errors.items()
                ]
                return None
            left.remove(address)
            try:
                return await self._open_session(connection, plan, address, log)
            except SmtpError as error:
                log.attempts.append(_failed_attempt(plan, address, error))
        return None

    async def _tls_requirement(
        self, host: Host, resolved: ResolvedHosts, policy: DomainPolicy | None, addresses: Answer
    ) -> TlsRequirement:
        if policy is None:
            return TlsRequirement()
        return await self._policies.for_host(
            host.name,
            host.port,
            policy,
            is_secure=resolved.is_secure and addresses.is_secure,
            canonical_name=addresses.canonical_name,
        )

    async def _open_session(
        self, connection: SmtpConnection, plan: HostPlan, address: str, log: ConnectLog
    ) -> SmtpSession:
        """Greet the host; with `Auto`, again with less TLS if TLS fails. Raises `SmtpError`."""
        host, loop = plan.host, asyncio.get_running_loop()
        while True:
            tls_options, problem = self._tls_options(plan)
            source = plan.source.for_peer(address) if plan.source else None
            session = SmtpSession(
                connection, host.name, address, host.port, before_dot=self._before_dot, source=source
            )
            try:
                await session.open(self._helo(plan.source), tls_options, host.login)
            except TlsError as error:
                if tls_options.is_required:
                    self._log_tls_session(plan, log, error, session)
                    raise
                self._tls_memory.remember(host.name, error, loop.time())
            else:
                self._log_tls_session(plan, log, problem, session)
                return session
            connection = await self._dial(address, host.port, plan.source)

    def _tls_options(self, plan: HostPlan) -> tuple[TlsOptions, TlsError | None]:
        """The TLS to ask for, and what went wrong with this host's TLS in the last hour."""
        host, requirement = plan.host, plan.requirement
        if requirement.is_required:
            return self._required_tls_options(plan), None
        if host.ssl_mode == "None":
            return TlsOptions(), None
        if host.ssl_mode in ("TLS", "STARTTLS"):
            return TlsOptions(
                self._verifying_context, is_implicit=host.ssl_mode == "TLS", is_required=True
            ), None
        problem = self._tls_memory.problem(host.name, asyncio.get_running_loop().time())
        if problem is None:
            return TlsOptions(self._verifying_context, policy=requirement.policy), None
        if not problem.is_certificate:
            return TlsOptions(), problem
        return TlsOptions(self._trusting_context, problem=str(problem), policy=requirement.policy), problem

    def _required_tls_options(self, plan: HostPlan) -> TlsOptions:
        requirement = plan.requirement
        if requirement.records is None:
            return TlsOptions(self._verifying_context, is_required=True, policy=requirement.policy)
        if not requirement.records:
            # Encryption without authentication (RFC 7672 section 2.2).
            return TlsOptions(
                self._trusting_context,
                is_required=True,
                problem="no usable TLSA record",
                policy=requirement.policy,
            )
        verify_chain = partial(
            _verify_chain, requirement.records, (requirement.base_domain, plan.host.name, plan.domain)
        )
        return TlsOptions(
            self._trusting_context,
            is_required=True,
            verify_chain=verify_chain,
            policy=requirement.policy,
            name=requirement.base_domain,
        )

    @staticmethod
    def _log_tls_session(
        plan: HostPlan, log: ConnectLog, problem: TlsError | None, session: SmtpSession | None = None
    ) -> None:
        """Log a session for TLS reports: with `problem`, or in plain text, as one that failed.

        Certificates matter only where the domain has a policy.
        """
        report = plan.requirement.report
        if report is None:
            return
        if session is not None:
            report = replace(report, address=session.address, source=session.source or "")
        if (
            problem is not None
            and problem.failure
            and (plan.requirement.policy or not problem.is_certificate)
        ):
            report = replace(report, failure=problem.failure, reason=str(problem))
        elif session is not None and session.tls is None and not report.failure:
            report = replace(report, failure=NO_STARTTLS)
        log.tls_sessions.append(report)

    async def _dial(self, address: str, port: int, source: Source | None) -> SmtpConnection:
        """Connect to one address. Raises `SmtpError`."""
        loop = asyncio.get_running_loop()
        local = (source.for_peer(address), 0) if source else None
        dialling = loop.create_connection(
            lambda: SmtpConnection(self._timeouts), address, port, local_addr=local
        )
        try:
            _, connection = await asyncio.wait_for(dialling, self._timeouts.seconds(Stage.CONNECT))
        except (OSError, asyncio.TimeoutError) as error:
            raise SmtpError(Stage.CONNECT, describe(error)) from error
        return connection


def _failed_attempt(plan: HostPlan, address: str, error: SmtpError) -> Attempt:
    """The record of a failed attempt, which names the policy where TLS falls short of one."""
    policy = plan.requirement.policy if plan.requirement.is_required and isinstance(error, TlsError) else ""
    text = f"{policy}: {error}" if policy else str(error)
    return Attempt(plan.host.name, address, plan.host.port, text, policy)


def _verify_chain(records: Sequence[tlsa.Tlsa], names: Sequence[str], chain: Sequence[bytes]) -> str:
    return tlsa.problem(chain, records, names, datetime.now(timezone.utc))


def order_addresses(addresses: Sequence[str], source: Source | None) -> list[str]:
    """The addresses that can be reached from `source`, IPv6 and IPv4 in turn."""
    if source is not None:
        addresses = [address for address in addresses if source.for_peer(address)]
    return interleave_families(addresses)
