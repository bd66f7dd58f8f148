"""The TLS that a recipient's domain requires: by DANE (RFC 7672), else by MTA-STS (RFC 8461), else none."""

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
from postal_server.transports.http.pool import HttpPool
from postal_server.transports.http.response import MAX_BODY_BYTES

logger = logging.getLogger(__name__)

DANE, MTA_STS = "DANE", "MTA-STS"
FETCH_TIMEOUT = timedelta(seconds=20)  # RFC 8461 section 3.3 allows a minute; a delivery waits for it
REFRESH_AFTER = timedelta(days=1)  # section 10.2
AFTER_A_FAILED_FETCH = timedelta(minutes=5)  # the same section
MAX_CACHED = 10_000

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


class PolicyUnavailable(Exception):
    """A policy could not be fetched; `failure` is the result type for TLS reports (RFC 8460 section 4.3)."""

    def __init__(self, failure: str, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure


@dataclass(frozen=True)
class DomainPolicy:
    """A domain's MTA-STS policy, or None; `failure` and `reason` say why a policy could not be fetched."""

    domain: str
    sts: mta_sts.Policy | None = None
    failure: str = ""
    reason: str = ""


@dataclass(frozen=True)
class TlsRequirement:
    """The TLS that one host must offer.

    `policy` is the name of the policy that requires it; without that TLS no mail is sent if `is_required`.
    `records` are the TLSA records that the certificate must match: empty, if the certificate is not checked;
    None, if the system's certificate authorities and the host's name decide. `base_domain` is where they were
    found (RFC 7671 section 7). A host with a `refusal` must not be used at all. `report` is the entry of a
    successful session in TLS reports.
    """

    policy: str = ""
    is_required: bool = False
    records: tuple[tlsa.Tlsa, ...] | None = None
    base_domain: str = ""
    refusal: str = ""
    report: TlsSession | None = None


@dataclass(frozen=True)
class CachedPolicy:
    """A policy in memory. `fetched_at` and `until` are in seconds of the monotonic clock."""

    record_id: str
    fetched_at: float
    policy: mta_sts.Policy

    @property
    def until(self) -> float:
        """When it ends."""
        return self.fetched_at + self.policy.max_age


class MtaSts:
    """The MTA-STS policies of domains, cached for their `max_age`; `store` keeps them across restarts.

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
        self._loading = asyncio.Lock()
        self._is_loaded = store is None
        self._cached: dict[str, CachedPolicy] = {}
        self._failed: dict[str, tuple[str, float, DomainPolicy]] = {}  # id, until, what failed
        self._fetching: dict[str, asyncio.Future[DomainPolicy]] = {}

    async def policy(self, domain: str) -> DomainPolicy:
        """The policy of a domain. Does not raise.

        A cached policy holds even if its record is gone or a newer policy cannot be fetched: otherwise
        somebody who tampers with DNS could end it (RFC 8461 section 10.2). For the same reason it is fetched
        again each day, in the background.
        """
        if not self._is_loaded:
            await self._load_stored()
        answer = await self._resolver.records(f"{mta_sts.RECORD_NAME}.{domain}", "TXT")
        record_id = mta_sts.record_id(answer.values)
        cached = self._unexpired(domain)
        if record_id is None or (cached and cached.record_id == record_id):
            if cached and self._clock() - cached.fetched_at >= REFRESH_AFTER.total_seconds():
                self._refresh(domain, cached)
            return DomainPolicy(domain, cached.policy if cached else None)
        fetched = await self._fetch_once(domain, record_id)
        return DomainPolicy(domain, cached.policy) if fetched.failure and cached else fetched

    def _unexpired(self, domain: str) -> CachedPolicy | None:
        cached = self._cached.get(domain)
        if cached is not None and cached.until <= self._clock():
            del self._cached[domain]
            return None
        return cached

    async def _load_stored(self) -> None:
        """Load the stored policies, once; while the store cannot be read, each call tries again."""
        assert self._store is not None
        async with self._loading:
            if self._is_loaded:
                return
            kept = await self._store.load()
            if kept is None:
                return
            self._is_loaded = True
        now = datetime.now(timezone.utc)
        for row in reversed(kept[:MAX_CACHED]):  # the oldest first: it is the first to be forgotten
            with suppress(HostileInput):
                policy = mta_sts.parse_policy(row.text.encode())
                age = max((now - row.fetched_at).total_seconds(), 0.0)
                self._cached.setdefault(row.domain, CachedPolicy(row.record_id, self._clock() - age, policy))

    def _refresh(self, domain: str, cached: CachedPolicy) -> None:
        _, until, _ = self._failed.get(domain, ("", 0.0, None))
        if domain not in self._fetching and until <= self._clock():
            self._start_fetch(domain, cached.record_id)

    async def _fetch_once(self, domain: str, record_id: str) -> DomainPolicy:
        """Fetch a policy once, however many deliveries wait for it, and not again at once if that fails."""
        failed, until, result = self._failed.get(domain, ("", 0.0, None))
        if result is not None and failed == record_id and until > self._clock():
            return result
        return await asyncio.shield(self._fetching.get(domain) or self._start_fetch(domain, record_id))

    def _start_fetch(self, domain: str, record_id: str) -> asyncio.Future[DomainPolicy]:
        fetching = self._fetching[domain] = asyncio.ensure_future(self._fetch_policy(domain, record_id))
        fetching.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return fetching

    async def _fetch_policy(self, domain: str, record_id: str) -> DomainPolicy:
        try:
            policy = mta_sts.parse_policy(await self._fetch(mta_sts.policy_url(domain)))
        except (PolicyUnavailable, HostileInput) as error:
            failure = error.failure if isinstance(error, PolicyUnavailable) else INVALID_POLICY
            result = DomainPolicy(domain, failure=failure, reason=str(error))
            until = self._clock() + AFTER_A_FAILED_FETCH.total_seconds()
            _cache(self._failed, domain, (record_id, until, result))
            if domain in self._cached:
                logger.warning("The MTA-STS policy of %s cannot be fetched again: %s", domain, error)
            return result
        self._failed.pop(domain, None)
        _cache(self._cached, domain, CachedPolicy(record_id, self._clock(), policy))
        if self._store is not None:
            now = datetime.now(timezone.utc)
            expires_at = now + timedelta(seconds=policy.max_age)
            await self._store.save(
                KeptPolicy(domain, record_id, "\n".join(_policy_lines(policy)), now, expires_at)
            )
        return DomainPolicy(domain, policy)


class TlsPolicies:
    """The TLS policies of domains and hosts.

    `sts` is None where MTA-STS is switched off. `dane`: honour TLSA records that the resolver has validated.
    """

    def __init__(self, resolver: Resolver, sts: MtaSts | None = None, *, dane: bool = False) -> None:
        self._resolver = resolver
        self._sts = sts
        self._dane = dane

    async def for_domain(self, domain: str) -> DomainPolicy:
        """The MTA-STS policy of a domain."""
        return await self._sts.policy(domain) if self._sts else DomainPolicy(domain)

    async def for_host(
        self, host: str, port: int, domain: DomainPolicy, *, is_secure: bool, canonical_name: str = ""
    ) -> TlsRequirement:
        """The TLS that a host of `domain` must offer. `is_secure`: DNSSEC validated its name and addresses.

        `canonical_name` is the name that `host` is an alias of: its TLSA records take precedence (RFC 7672
        section 2.2.2).
        """
        report = TlsSession(domain.domain, NO_POLICY, host=host)
        base_domains = [name for name in (canonical_name, host) if name] if self._dane and is_secure else []
        for base_domain in base_domains:
            answer = await self._resolver.records(f"_{port}._tcp.{base_domain}", "TLSA")
            if answer.lookup in (Lookup.FAILED, Lookup.TIMED_OUT):
                # In a signed zone only an attacker or a broken server withholds the answer (RFC 7672 section
                # 2.1.2).
                refusal = f"the TLSA records of {base_domain}: {answer.lookup.value}"
                report = replace(report, policy_type="tlsa", failure=NO_TLSA_ANSWER, reason=refusal)
                return TlsRequirement(DANE, True, refusal=refusal, report=report)
            if answer.values and answer.is_secure:
                report = replace(report, policy_type="tlsa", policy=answer.values)
                return TlsRequirement(DANE, True, tlsa.usable(answer.values), base_domain, report=report)
        return _sts_requirement(host, domain, report)


def _sts_requirement(host: str, domain: DomainPolicy, report: TlsSession) -> TlsRequirement:
    policy = domain.sts
    if policy is None or policy.mode is mta_sts.Mode.NONE:
        if domain.failure:
            report = replace(report, policy_type="sts", failure=domain.failure, reason=domain.reason)
        return TlsRequirement(report=report)
    report = replace(report, policy_type="sts", policy=_policy_lines(policy), hosts=policy.patterns)
    is_enforced = policy.mode is mta_sts.Mode.ENFORCE
    refusal = "" if policy.permits(host) else f"{host} is not among the hosts of {domain.domain}'s policy"
    if refusal:
        report = replace(report, failure=NOT_VALID, reason="mx-mismatch")
    return TlsRequirement(MTA_STS, is_enforced, refusal=refusal if is_enforced else "", report=report)


def _policy_lines(policy: mta_sts.Policy) -> tuple[str, ...]:
    hosts = (f"mx: {pattern}" for pattern in policy.patterns)
    return "version: STSv1", f"mode: {policy.mode.value}", *hosts, f"max_age: {policy.max_age}"


def policy_fetcher(pool: HttpPool, timeout: timedelta = FETCH_TIMEOUT) -> Fetch:
    """A function that fetches policies over this pool (RFC 8461 section 3.3): text only, without redirects.

    It takes a URL and returns the body; it raises `PolicyUnavailable`.
    """

    async def fetch(url: str) -> bytes:
        try:
            answer = await pool.get(url, timeout.total_seconds())
        except ssl.SSLCertVerificationError as error:
            raise PolicyUnavailable(BAD_WEB_CERTIFICATE, describe(error)) from error
        except (OSError, HostileInput, ValueError) as error:
            raise PolicyUnavailable(FETCH_ERROR, describe(error)) from error
        if answer.status != 200:
            raise PolicyUnavailable(FETCH_ERROR, f"HTTP status {answer.status}")
        if not answer.headers.get("content-type", "").lower().startswith("text/plain"):
            raise PolicyUnavailable(INVALID_POLICY, "the policy is not text/plain")
        if len(answer.body) >= MAX_BODY_BYTES:
            raise PolicyUnavailable(INVALID_POLICY, "the policy is too large")
        return bytes(answer.body)

    return fetch


def _cache(memory: dict[str, Any], domain: str, entry: Any) -> None:
    if len(memory) >= MAX_CACHED:
        memory.pop(next(iter(memory)))
    memory[domain] = entry
