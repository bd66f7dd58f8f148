"""The DNS records of an installation, as lines of a zone file."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterable, Iterator, Sequence

from postal_server.conf import Config
from postal_server.mail import dkim
from postal_server.models import Domain
from postal_server.rules.request_destination import is_public
from postal_server.services.operations.domain_checks import records_to_publish
from postal_server.services.shared.keys import installation_key

STRING_BYTES = 255  # of one string of a TXT record (RFC 1035 section 3.3.14)
NAME_WIDTH = 44  # columns
# Addresses that nobody has, to look up from which address of this machine the internet is reached.
ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def zone(config: Config, domains: Iterable[Domain], addresses: Sequence[str]) -> Iterator[str]:
    """All lines. `addresses` are the public ones of this machine."""
    yield "; DNS records, as lines of zone files. What begins with ; is optional, or not known here."
    yield from _of_installation(config, addresses)
    for domain in domains:
        yield ""
        yield from of_domain(domain, config)


def public_addresses() -> list[str]:
    """The addresses from which this machine reaches the internet, if they are public ones. Sends nothing."""
    found = []
    for family, elsewhere in ELSEWHERE:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            address = probe.getsockname()[0]
            if is_public(ipaddress.ip_address(address.partition("%")[0])):
                found.append(address)
    return found


def _of_installation(config: Config, addresses: Sequence[str]) -> Iterator[str]:
    web, smtp, dns = config.postal.web_hostname, config.postal.smtp_hostname, config.dns
    mail_hosts = [f"10 {host}." for host in dns.mx_records]
    for name in dict.fromkeys((web, smtp, dns.track_domain)):
        yield from _addresses(name, addresses)
    yield f"; The reverse name (PTR) of each address, which its provider sets: {smtp}."
    spf = " ".join(f"ip{_version(each)}:{each}" for each in addresses)
    networks = spf or "ip4:ADDRESS"
    yield _line(dns.spf_include, "TXT", text_value(f"v=spf1 {networks} ~all"), is_comment=not spf)
    if config.postal.smtp_relays:
        yield f"; Mail leaves by relays: let {dns.spf_include} include what their operator names."
    for host in mail_hosts:
        yield _line(dns.return_path_domain, "MX", host)
    yield _line(dns.return_path_domain, "TXT", text_value(f"v=spf1 a mx include:{dns.spf_include} ~all"))
    selector = f"{dns.dkim_identifier}._domainkey.{dns.return_path_domain}"
    yield _line(selector, "TXT", text_value(dkim.public_record(installation_key(config))))
    for host in mail_hosts:
        yield _line(dns.route_domain, "MX", host)


def _addresses(name: str, addresses: Sequence[str]) -> Iterator[str]:
    for address in addresses:
        yield _line(name, "A" if _version(address) == 4 else "AAAA", address)
    if not addresses:
        yield _line(name, "A", "ADDRESS", is_comment=True)


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version


def of_domain(domain: Domain, config: Config) -> Iterator[str]:
    """Its MX records only count where it receives mail here: otherwise they would lead its mail astray."""
    receives = domain.routes.exists()
    for record in records_to_publish(domain, config):
        value = text_value(record.value) if record.kind == "TXT" else f"{record.value}."
        is_comment = record.kind == "MX" and not receives
        if is_comment:
            yield f"; Only if {domain.name} shall receive mail here:"
        if record.kind == "TXT" and record.value.startswith("v=spf1 "):
            yield from _of_another_spf(record.name, config.dns.spf_include)
        yield _line(record.name, record.kind, value, is_comment=is_comment)
    if not domain.track_domains.exists():
        yield f"; Only for opens and clicks, with a tracking domain `click` of {domain.name}:"
        yield _line(f"click.{domain.name}", "CNAME", f"{config.dns.track_domain}.", is_comment=True)
    policy = f"v=DMARC1; p=none; rua=mailto:postmaster@{domain.name}"
    yield "; To begin with; reports go to this address:"
    yield _line(f"_dmarc.{domain.name}", "TXT", text_value(policy))


def _of_another_spf(name: str, include: str) -> Iterator[str]:
    """What is to be done where the domain sends from elsewhere already (RFC 7208 section 3.2)."""
    yield f"; If {name} has an SPF record already, add `include:{include}` to that one instead:"
    yield "; two of them are a permanent error, by which SPF fails for all mail of the domain."


def _line(name: str, kind: str, value: str, *, is_comment: bool = False) -> str:
    return f"{'; ' if is_comment else ''}{name + '.':<{NAME_WIDTH}} IN {kind:<5} {value}"


def text_value(value: str) -> str:
    """The strings of a TXT record."""
    parts = [value[start : start + STRING_BYTES] for start in range(0, len(value), STRING_BYTES)]
    return " ".join(f'"{part}"' for part in parts)
