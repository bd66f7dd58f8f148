"""Which addresses customers may have this server connect to, by HTTP or with mail.

A customer chooses the URL or the recipient, and this server sits inside somebody's network: only addresses of
the public internet are connected to, unless the configuration lists more
(`postal.allowed_request_destinations`, `delivery.allowed_destinations`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

REQUEST_URL = r"(?i)^https?://[a-z0-9\-._?=&/+:%@]+\Z"  # of webhooks and HTTP endpoints

# IANA's special-purpose registries, without the globally reachable entries. Listed here because the result of
# `is_global` differs between the Python versions that we support.
NOT_PUBLIC_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_V6 = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)  # Teredo and 6to4, which lead to IPv4 addresses, among them
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def is_request_url(text: str) -> bool:
    """Can it be the URL of a webhook or an HTTP endpoint?"""
    try:
        parts = urlsplit(text)
        return bool(re.match(REQUEST_URL, text) and parts.hostname and parts.port != 0)
    except ValueError:
        return False


def effective_address(address: Address) -> Address:
    """The IPv4 address that a connection ends at, where an IPv6 address embeds one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Is it an address of the public internet?"""
    address = effective_address(address)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_V4)
    return address in PUBLIC_V6 and not any(address in network for network in NOT_PUBLIC_V6)


@dataclass(frozen=True)
class AllowedDestinations:
    """Networks and host names (lower-case) that may be connected to although they are not public."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, entries: Sequence[str]) -> AllowedDestinations:
        """From a list of addresses, networks and host names. Raises ValueError for a broken network."""
        networks: list[Network] = []
        hosts = set()
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError as error:
                if "/" in entry:
                    raise ValueError(f"{entry!r} is no network: {error}") from error
                hosts.add(entry.lower().rstrip("."))
        return cls(tuple(networks), frozenset(hosts))

    def permits(self, host: str, address: str) -> bool:
        """May this host be connected to at this address, which it resolved to?"""
        parsed = ipaddress.ip_address(address.partition("%")[0])
        if is_public(parsed) or host.lower().rstrip(".") in self.hosts:
            return True
        candidates = {parsed, effective_address(parsed)}
        return any(
            candidate in network
            for candidate in candidates
            for network in self.networks
            if candidate.version == network.version
        )
