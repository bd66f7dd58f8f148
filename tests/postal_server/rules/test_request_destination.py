from __future__ import annotations

import ipaddress

from postal_server.rules.request_destination import AllowedDestinations, is_public
from tests.each import each

NOT_PUBLIC = {
    "loopback": "127.0.0.1",
    "all of loopback": "127.255.0.9",
    "this host": "0.0.0.0",
    "private 10": "10.1.2.3",
    "private 172": "172.31.255.255",
    "private 192": "192.168.1.1",
    "link-local": "169.254.169.254",
    "CGNAT": "100.64.0.1",
    "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255",
    "benchmarking": "198.19.0.1",
    "IPv6 loopback": "::1",
    "unspecified": "::",
    "IPv6 link-local": "fe80::1",
    "unique local": "fd00::1",
    "IPv6 multicast": "ff02::1",
    "IPv4-mapped loopback": "::ffff:127.0.0.1",
    "IPv4-mapped private": "::ffff:10.0.0.1",
    "IPv4-compatible": "::127.0.0.1",
    "NAT64 of a private address": "64:ff9b::10.0.0.1",
    "NAT64 for local use": "64:ff9b:1::1",
    "6to4": "2002:7f00:1::1",
    "Teredo": "2001:0:1::1",
    "documentation": "2001:db8::1",
}


@each("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC)
def test_a_special_address_is_refused(address):
    assert not is_public(ipaddress.ip_address(address))
    assert not AllowedDestinations().permits("example.com", address)


@each(
    "address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_a_public_address_is_permitted(address):
    assert AllowedDestinations().permits("example.com", address)


@each(
    "entry, host, address, permitted",
    [
        ("10.0.0.0/8", "x", "10.1.1.1", True),
        ("10.0.0.0/8", "x", "192.168.0.1", False),
        ("10.0.0.0/8", "x", "::ffff:10.1.1.1", True),
        ("127.0.0.1", "x", "127.0.0.1", True),
        ("127.0.0.1", "x", "127.0.0.2", False),
        ("::1", "x", "::1", True),
        ("[::1]", "x", "::1", True),
        ("hooks.internal", "Hooks.Internal.", "10.0.0.1", True),
        ("hooks.internal", "other.internal", "10.0.0.1", False),
        ("fe80::/10", "x", "fe80::1%eth0", True),
    ],
)
def test_listed_networks_and_hosts_are_permitted(entry, host, address, permitted):
    assert AllowedDestinations.parse([entry]).permits(host, address) is permitted
