"""DNS look-ups, cached for the TTL of their records; failures only for a moment, to spare the servers."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
import dns.reversename
from dns.rdtypes.ANY.TXT import TXT

from postal_server.engine.ports import Answer, Lookup

logger = logging.getLogger(__name__)

DNS_PORT = 53
MIN_TTL = 1.0  # seconds; a TTL of 0 would repeat the look-up for every mail of a batch
MAX_TTL = 86_400.0
NEGATIVE_TTL = 300.0  # where the answer has no SOA
# Shorter than RFC 2308 section 5 allows: a negative answer fails mail for good, and a domain that is
# registered or repaired today would be undeliverable until tomorrow.
MAX_NEGATIVE_TTL = 3600.0
FAILURE_TTL = 5.0
MAX_REMEMBERED = 20_000


class DnsResolver:
    """Implements `engine.ports.Resolver` with dnspython.

    `servers` are `(address, port)`; without any, those of the file `resolv_conf`. `timeout` is for one
    question, all servers and tries included. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        servers: Sequence[tuple[str, int]] = (),
        *,
        resolv_conf: Path = Path("/etc/resolv.conf"),
        timeout: timedelta = timedelta(seconds=5),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        if not servers:
            self._read(resolv_conf)
            servers = [(str(address), DNS_PORT) for address in self._resolver.nameservers]
        self._resolver.nameservers = [_Nameserver(address, port) for address, port in servers]
        self._resolver.lifetime = timeout.total_seconds()
        self._resolver.timeout = timeout.total_seconds() / 2
        self._resolver.use_edns(0, dns.flags.DO, 1232)
        self._clock = clock
        self._answers: dict[tuple[str, str], tuple[float, Answer]] = {}
        self._asking: dict[tuple[str, str], asyncio.Future[Answer]] = {}

    def _read(self, resolv_conf: Path) -> None:
        """Read the resolvers. Without a usable file all look-ups fail; catch mode makes none."""
        try:
            self._resolver.read_resolv_conf(str(resolv_conf))
        except dns.resolver.NoResolverConfiguration:
            logger.warning("%s names no resolver: DNS look-ups will fail", resolv_conf)

    async def records(self, name: str, kind: str) -> Answer:
        """The records as text; TXT strings joined, names without their final dot."""
        key = (name.lower().rstrip("."), kind)
        until, answer = self._answers.get(key, (0.0, None))
        if answer is not None and until > self._clock():
            return answer
        asking = self._asking.get(key)
        if asking is None:
            # One query for all mails that wait for it, and it goes on if one of them is cancelled.
            asking = self._asking[key] = asyncio.ensure_future(self._ask(*key))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def mail_hosts(self, domain: str) -> Answer:
        """Hosts by preference, equals shuffled (RFC 5321 section 5.1); the domain itself without an MX."""
        answer = await self.records(domain, "MX")
        if answer.lookup is Lookup.NO_DATA:
            return Answer(Lookup.FOUND, (domain,), answer.is_secure)
        if answer.lookup is not Lookup.FOUND:
            return answer
        pairs = [(int(preference), host) for preference, host in map(str.split, answer.values)]
        if [host for _, host in pairs] == ["."]:
            return Answer(Lookup.NULL_MX)
        random.shuffle(pairs)
        hosts = [host for _, host in sorted(pairs, key=lambda pair: pair[0]) if host != "."]
        return Answer(Lookup.FOUND, tuple(dict.fromkeys(hosts)), answer.is_secure)

    async def addresses(self, host: str) -> Answer:
        """All IPv6, then all IPv4 addresses of a host; an IP address is its own answer."""
        try:
            return Answer(Lookup.FOUND, (str(ipaddress.ip_address(host)),))
        except ValueError:
            six, four = await asyncio.gather(self.records(host, "AAAA"), self.records(host, "A"))
        values = six.values + four.values
        if not values:
            return four if four.lookup is not Lookup.NO_DATA else six
        parts = [part for part in (six, four) if part.values]
        is_secure = all(part.is_secure for part in parts)
        return Answer(Lookup.FOUND, values, is_secure, parts[0].canonical_name)

    async def host_addresses(self, host: str) -> Answer:
        """Like `addresses`, for a name that may be short: the search list of `resolv_conf` completes it."""
        names = [host]
        if not host.endswith("."):
            longer = [f"{host}.{suffix.to_text(omit_final_dot=True)}" for suffix in self._resolver.search]
            ndots = 1 if self._resolver.ndots is None else self._resolver.ndots
            names = [host, *longer] if host.count(".") >= ndots else [*longer, host]
        for name in names:
            answer = await self.addresses(name)
            if answer.lookup not in (Lookup.NO_DATA, Lookup.NO_DOMAIN):
                break
        return answer

    async def name_of(self, address: str) -> str | None:
        """The first PTR name of an address; None without one or an answer, and for loopback addresses."""
        try:
            if ipaddress.ip_address(address).is_loopback:
                return None
            name = dns.reversename.from_address(address).to_text()
        except (ValueError, dns.exception.DNSException):
            return None
        answer = await self.records(name, "PTR")
        return answer.values[0] if answer.values else None

    async def _ask(self, name: str, kind: str) -> Answer:
        answer, ttl = await self._answer(name, kind)
        if len(self._answers) >= MAX_REMEMBERED:
            self._answers.pop(next(iter(self._answers)))
        self._answers[name, kind] = self._clock() + min(max(ttl, MIN_TTL), MAX_TTL), answer
        return answer

    async def _answer(self, name: str, kind: str) -> tuple[Answer, float]:
        """The answer, and its TTL in seconds."""
        try:
            found = await self._resolver.resolve(f"{name}.", kind, search=False)
        except dns.resolver.NXDOMAIN as error:
            responses = error.kwargs["responses"].values()
            return Answer(Lookup.NO_DOMAIN), min(map(_negative_ttl, responses), default=NEGATIVE_TTL)
        except dns.resolver.NoAnswer as error:
            response = error.kwargs["response"]
            return Answer(Lookup.NO_DATA, is_secure=_is_validated(response)), _negative_ttl(response)
        except dns.exception.Timeout:
            return Answer(Lookup.TIMED_OUT), FAILURE_TTL
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
            return Answer(Lookup.NO_DOMAIN), MAX_TTL  # no such name can exist
        except (dns.exception.DNSException, OSError) as error:
            logger.info("DNS: %s %s: %s", name, kind, error)
            return Answer(Lookup.FAILED), FAILURE_TTL
        values = tuple(_text(record) for record in _records(found))
        is_secure = _is_validated(found.response)
        canonical = found.canonical_name.to_text(omit_final_dot=True).lower()
        answer = Answer(Lookup.FOUND, values, is_secure, canonical if canonical != name else "")
        return answer, float(found.chaining_result.minimum_ttl)


class _Nameserver(dns.nameserver.Do53Nameserver):
    """Keeps every CNAME of a name. There must be only one; of several, dnspython would return the last."""

    async def async_query(
        self, request: dns.message.QueryMessage, *args: Any, **options: Any
    ) -> dns.message.Message:
        options["one_rr_per_rrset"] = request.question[0].rdtype == dns.rdatatype.CNAME
        return await super().async_query(request, *args, **options)


def _records(found: dns.resolver.Answer) -> Iterator[dns.rdata.Rdata]:
    """The records of an answer; for CNAME, all that the name has."""
    if found.rdtype != dns.rdatatype.CNAME:
        yield from found
        return
    for rrset in found.response.answer:
        if rrset.rdtype == dns.rdatatype.CNAME and rrset.name == found.qname:
            yield from rrset


def _is_validated(response: dns.message.Message) -> bool:
    return bool(response.flags & dns.flags.AD)


def _text(record: dns.rdata.Rdata) -> str:
    if isinstance(record, TXT):
        return b"".join(record.strings).decode("utf-8", "replace")
    text = record.to_text()
    return text[:-1] if text.endswith(".") and not text.endswith(" .") else text


def _negative_ttl(response: dns.message.Message) -> float:
    """The TTL of a negative answer in seconds: the least of the SOA's TTL, its minimum, and aliases' TTLs.

    Source: RFC 2308 section 5.
    """
    soa = [rrset for rrset in response.authority if rrset.rdtype == dns.rdatatype.SOA]
    ttl = min((min(rrset.ttl, rrset[0].minimum) for rrset in soa), default=NEGATIVE_TTL)
    return float(min([ttl, MAX_NEGATIVE_TTL, *(alias.ttl for alias in response.answer)]))
