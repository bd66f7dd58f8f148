"""What a recipient's domain demands of TLS: DANE (RFC 7672), else MTA-STS (RFC 8461), else nothing."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from postal_server.engine.ports import KeptPolicy, Lookup, PolicyStore, Resolver, TlsSession
from postal_server.errors import HostileInput
from postal_server.mail import mta_sts, tlsa
from postal_server.net.dialling import describe
from postal_server.transports.http.answer import MAX_BODY_BYTES
from postal_server.transports.http.pool import HttpPool

logger = logging.getLogger(__name__)

DANE, MTA_STS = "DANE", "MTA-STS"
FETCH_TIMEOUT = timedelta(seconds=20)  # RFC 8461 section 3.3 allows a minute; a delivery waits for it
REFRESH_AFTER = timedelta(days=1)  # section 10.2
AFTER_A_FAILED_FETCH = timedelta(minutes=5)  # the same section
MAX_REMEMBERED = 10_000

# Result types of RFC 8460 section 4.3.
NO_STARTTLS = "starttls-not-supported"
FETCH_ERROR, INVALID_POLICY, BAD_WEB_CERTIFICATE = (
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "sts-webpki-invalid",
)
NO_TLSA_ANSWER = "dnssec-invalid"
NOT_VALID = "validation-failure"
NO_POLICY = "no-policy-found"

Fetch = Callable[[str], Awaitable[bytes]]


class Unavailable(Exception):
    """A policy that cannot be had; `failure` is its result type."""

    def __init__(self, failure: str, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure


@dataclass(frozen=True)
class DomainPolicy:
    """A domain's MTA-STS policy, null without one; `failure` and `reason` where it could not be had."""

    domain: str
    sts: mta_sts.Policy | None = None
    failure: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Demand:
    """What one host must give.

    `policy` names who demands it. If it `is_required`, mail is not sent without. `records` are what its
    certificate must match, none: it is not looked at; null: the system's authorities and its name decide.
    `base` is the name that they were found at. A host with a `refusal` is not to be used at all. `report` is
    what a TLS report says of a success.
    """

    policy: str = ""
    is_required: bool = False
    records: tuple[tlsa.Tlsa, ...] | None = None
    base: str = ""
    refusal: str = ""
    report: TlsSession | None = None


@dataclass(frozen=True)
class Known:
    """A policy in memory; `fetched_at` is of the clock that is monotonic."""

    number: str
    fetched_at: float
    policy: mta_sts.Policy

    @property
    def until(self) -> float:
        return self.fetched_at + self.policy.max_age


class MtaSts:
    """Policies by domain, kept for their `max_age`, in `store` beyond the life of this process.

    `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        resolver: Resolver,
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
        store: PolicyStore | None = None,
    ) -> None:
        self._resolver = resolver
        self._fetch = fetch
        self._clock = clock
        self._store = store
        self._reading = asyncio.Lock()
        self._is_read = store is None
        self._known: dict[str, Known] = {}
        self._failed: dict[str, tuple[str, float, DomainPolicy]] = {}  # id, until, what failed
        self._fetching: dict[str, asyncio.Future[DomainPolicy]] = {}

    async def policy(self, domain: str) -> DomainPolicy:
        """The domain's policy. One that is known holds although its record is gone or a newer one cannot be
        fetched: else who tampers with DNS could end it (RFC 8461 section 10.2). For the same reason it is
        fetched again each day, and nobody waits for that.
        """
        if not self._is_read:
            await self._read()
        answer = await self._resolver.records(f"{mta_sts.RECORD_NAME}.{domain}", "TXT")
        number = mta_sts.record_id(answer.values)
        known = self._current(domain)
        if number is None or (known and known.number == number):
            if known and self._clock() - known.fetched_at >= REFRESH_AFTER.total_seconds():
                self._refresh(domain, known)
            return DomainPolicy(domain, known.policy if known else None)
        fetched = await self._once(domain, number)
        return DomainPolicy(domain, known.policy) if fetched.failure and known else fetched

    def _current(self, domain: str) -> Known | None:
        known = self._known.get(domain)
        if known is not None and known.until <= self._clock():
            del self._known[domain]
            return None
        return known

    async def _read(self) -> None:
        """Take over what was kept, once; while the store cannot be read it is tried again."""
        assert self._store is not None
        async with self._reading:
            if self._is_read:
                return
            kept = await self._store.load()
            if kept is None:
                return
            self._is_read = True
        now = datetime.now(timezone.utc)
        for row in reversed(kept[:MAX_REMEMBERED]):  # the oldest first: it is the first to be forgotten
            with suppress(HostileInput):
                policy = mta_sts.parse_policy(row.text.encode())
                age = max((now - row.fetched_at).total_seconds(), 0.0)
                self._known.setdefault(row.domain, Known(row.record_id, self._clock() - age, policy))

    def _refresh(self, domain: str, known: Known) -> None:
        _, until, _ = self._failed.get(domain, ("", 0.0, None))
        if domain not in self._fetching and until <= self._clock():
            self._start(domain, known.number)

    async def _once(self, domain: str, number: str) -> DomainPolicy:
        """Fetch, however many mails wait for it, and not again at once if that fails."""
        failed, until, result = self._failed.get(domain, ("", 0.0, None))
        if result is not None and failed == number and until > self._clock():
            return result
        return await asyncio.shield(self._fetching.get(domain) or self._start(domain, number))

    def _start(self, domain: str, number: str) -> asyncio.Future[DomainPolicy]:
        fetching = self._fetching[domain] = asyncio.ensure_future(self._fetched(domain, number))
        fetching.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return fetching

    async def _fetched(self, domain: str, number: str) -> DomainPolicy:
        try:
            policy = mta_sts.parse_policy(await self._fetch(mta_sts.policy_url(domain)))
        except (Unavailable, HostileInput) as error:
            failure = error.failure if isinstance(error, Unavailable) else INVALID_POLICY
            result = DomainPolicy(domain, failure=failure, reason=str(error))
            until = self._clock() + AFTER_A_FAILED_FETCH.total_seconds()
            _remember(self._failed, domain, (number, until, result))
            if domain in self._known:
                logger.warning("The MTA-STS policy of %s cannot be fetched again: %s", domain, error)
            return result
        self._failed.pop(domain, None)
        _remember(self._known, domain, Known(number, self._clock(), policy))
        if self._store is not None:
            now = datetime.now(timezone.utc)
            expires_at = now + timedelta(seconds=policy.max_age)
            await self._store.save(KeptPolicy(domain, number, "\n".join(_lines(policy)), now, expires_at))
        return DomainPolicy(domain, policy)


class TlsPolicies:
    """What hosts must give. `sts` null: MTA-STS is not asked; `dane`: TLSA records that the resolver has
    validated are honoured.
    """

    def __init__(self, resolver: Resolver, sts: MtaSts | None = None, *, dane: bool = False) -> None:
        self._resolver = resolver
        self._sts = sts
        self._dane = dane

    async def of_domain(self, domain: str) -> DomainPolicy:
        return await self._sts.policy(domain) if self._sts else DomainPolicy(domain)

    async def demand(
        self, host: str, port: int, domain: DomainPolicy, *, is_secure: bool, canonical_name: str = ""
    ) -> Demand:
        """What this host must give. `is_secure`: its name and its addresses come validated.

        `canonical_name` is what it is an alias of: the records of that name come first (RFC 7672 section
        2.2.2).
        """
        report = TlsSession(domain.domain, NO_POLICY, host=host)
        bases = [name for name in (canonical_name, host) if name] if self._dane and is_secure else []
        for base in bases:
            answer = await self._resolver.records(f"_{port}._tcp.{base}", "TLSA")
            if answer.lookup in (Lookup.FAILED, Lookup.TIMED_OUT):
                # In a zone that is signed nobody but an attacker, or a broken server, hides the answer
                # (RFC 7672 section 2.1.2).
                refusal = f"the TLSA records of {base}: {answer.lookup.value}"
                report = replace(report, policy_type="tlsa", failure=NO_TLSA_ANSWER, reason=refusal)
                return Demand(DANE, True, refusal=refusal, report=report)
            if answer.values and answer.is_secure:
                report = replace(report, policy_type="tlsa", policy=answer.values)
                return Demand(DANE, True, tlsa.usable(answer.values), base, report=report)
        return _by_sts(host, domain, report)


def _by_sts(host: str, domain: DomainPolicy, report: TlsSession) -> Demand:
    policy = domain.sts
    if policy is None or policy.mode is mta_sts.Mode.NONE:
        if domain.failure:
            report = replace(report, policy_type="sts", failure=domain.failure, reason=domain.reason)
        return Demand(report=report)
    report = replace(report, policy_type="sts", policy=_lines(policy), hosts=policy.patterns)
    is_enforced = policy.mode is mta_sts.Mode.ENFORCE
    refusal = "" if policy.permits(host) else f"{host} is not among the hosts of {domain.domain}'s policy"
    if refusal:
        report = replace(report, failure=NOT_VALID, reason="mx-mismatch")
    return Demand(MTA_STS, is_enforced, refusal=refusal if is_enforced else "", report=report)


def _lines(policy: mta_sts.Policy) -> tuple[str, ...]:
    hosts = (f"mx: {pattern}" for pattern in policy.patterns)
    return "version: STSv1", f"mode: {policy.mode.value}", *hosts, f"max_age: {policy.max_age}"


def fetch_with(pool: HttpPool, timeout: timedelta = FETCH_TIMEOUT) -> Fetch:
    """Fetch policies over this pool (RFC 8461 section 3.3): no redirects, and text only."""

    async def fetch(url: str) -> bytes:
        try:
            answer = await pool.get(url, timeout.total_seconds())
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(BAD_WEB_CERTIFICATE, describe(error)) from error
        except (OSError, HostileInput, ValueError) as error:
            raise Unavailable(FETCH_ERROR, describe(error)) from error
        if answer.status != 200:
            raise Unavailable(FETCH_ERROR, f"HTTP status {answer.status}")
        if not answer.headers.get("content-type", "").lower().startswith("text/plain"):
            raise Unavailable(INVALID_POLICY, "the policy is not text/plain")
        if len(answer.body) >= MAX_BODY_BYTES:
            raise Unavailable(INVALID_POLICY, "the policy is too large")
        return bytes(answer.body)

    return fetch


def _remember(memory: dict[str, Any], domain: str, entry: Any) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.pop(next(iter(memory)))
    memory[domain] = entry
