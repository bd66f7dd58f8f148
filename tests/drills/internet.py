"""All of the internet that a mail server meets: DNS, certificates, other people's mail hosts. On one machine.

It is a network namespace, joined by a cable to that of the server, and nothing else. Needs root and `ip`.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import re
import smtplib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dkim
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.reversename
import dns.rrset
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.faults.namespace import Machine

# Addresses of the real internet, of a military network that nobody asks: private ones would be refused.
SERVER, ELSEWHERE, PREFIX = "11.0.2.1", "11.0.2.2", 24
TTL = 5  # seconds
TIMEOUT = 20  # seconds
RECORD = re.compile(r"^(\S+)\. +IN +(\w+) +(.+)$", re.MULTILINE)
LIFETIME = datetime.timedelta(days=30)


class Zone:
    """Names with their records; what is not listed does not exist."""

    def __init__(self) -> None:
        self._records: dict[tuple[dns.name.Name, str], list[str]] = {}

    def add(self, name: str, kind: str, *values: str) -> None:
        key = (dns.name.from_text(name), kind)
        self._records[key] = list(dict.fromkeys([*self._records.get(key, []), *values]))

    def publish(self, text: str) -> int:
        """Add the lines of a zone file, and nothing else that the text has. How many they are."""
        found = RECORD.findall(text)
        for name, kind, value in found:
            self.add(name, kind, value)
        return len(found)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query, recursion_available=True)
        asked = query.question[0]
        name, kind = asked.name, dns.rdatatype.to_text(asked.rdtype)
        while kind != "CNAME" and (target := self._records.get((name, "CNAME"))):
            answer.answer.append(dns.rrset.from_text(name, TTL, "IN", "CNAME", *target))
            name = dns.name.from_text(target[0])
        if values := self._records.get((name, kind)):
            answer.answer.append(dns.rrset.from_text(name, TTL, "IN", kind, *values))
        elif not any(known.is_subdomain(name) for known, _ in self._records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


class Authority:
    """Whom everybody trusts to say whose certificate it is."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the drill")])
        self.certificate = self._sign(self._name, self._key, [])

    def issue(self, *hosts: str) -> tuple[str, str]:
        """A certificate for these hosts, with the authority's behind it, and its key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return f"{self._sign(name, key, hosts)}{self.certificate}", private.decode()

    def context(self, folder: Path, *hosts: str) -> ssl.SSLContext:
        """What a server with a certificate for these hosts needs."""
        chain, key = folder / f"{hosts[0]}.pem", folder / f"{hosts[0]}.key"
        for path, text in zip((chain, key), self.issue(*hosts), strict=True):
            path.write_text(text, "ascii")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        return context

    def trusted(self) -> ssl.SSLContext:
        """What a client needs that trusts this authority alone."""
        return ssl.create_default_context(cadata=self.certificate)

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, hosts: Any) -> str:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=not hosts, path_length=None), critical=True)
        )
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True)
class Arrived:
    """A mail that came to a mail host: its envelope, its bytes, and how it came."""

    sender: str
    recipients: list[str]
    content: bytes
    is_encrypted: bool
    signed_by: str  # the domain of the valid signature, looked up in DNS; empty without one


@dataclass
class Internet:
    """What there is besides the server. `resolver` asks its DNS, as everybody there does."""

    zone: Zone
    authority: Authority
    machine: Machine
    arrived: list[Arrived] = field(default_factory=list)

    def resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [ELSEWHERE]
        return resolver

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to a host that DNS knows, from here."""
        with self.machine.entered():
            [address] = self.resolver().resolve(host, "A")
            return socket.create_connection((address.to_text(), port), TIMEOUT)

    def fetch(self, url: str) -> str:
        """A page, over verified TLS if it is https."""
        parts = urlsplit(url)
        connected = self.connect(parts.netloc, 443 if parts.scheme == "https" else 80)
        if parts.scheme == "https":
            connected = self.authority.trusted().wrap_socket(connected, server_hostname=parts.netloc)
        client = http.client.HTTPConnection(parts.netloc)
        client.sock = connected
        with contextlib.closing(client):
            client.request("GET", parts.path)
            answer = client.getresponse()
            said = answer.read().decode()
            assert answer.status == http.HTTPStatus.OK, f"{url}: {answer.status} {said[:500]}"
            return said

    def mail_client(self, host: str, port: int = 25) -> smtplib.SMTP:
        """A session with a mail host, after STARTTLS with a valid certificate for its name."""
        client = smtplib.SMTP(local_hostname="mx.example.net", timeout=TIMEOUT)
        client.sock, client.file = self.connect(host, port), None
        client._host = host  # type: ignore[attr-defined] - whose certificate it has to be
        code, said = client.getreply()
        assert code == 220, said
        client.starttls(context=self.authority.trusted())
        return client

    def deliver(self, sender: str, recipient: str, mail: str) -> tuple[str, str]:
        """Hand a mail to the MX host of its recipient, as the mail host of somebody.

        The name of the host, and the version of TLS.
        """
        with self.machine.entered():
            [found] = self.resolver().resolve(recipient.rpartition("@")[2], "MX")
        host = found.exchange.to_text(omit_final_dot=True)  # type: ignore[attr-defined]
        with self.mail_client(host) as client:
            version = client.sock.version()  # type: ignore[union-attr]
            client.sendmail(sender, [recipient], mail.replace("\n", "\r\n").encode())
        return host, version


class _Names(socketserver.BaseRequestHandler):
    """DNS over UDP."""

    server: _NameServer

    def handle(self) -> None:
        data, answering = self.request
        answer = self.server.zone.answer(dns.message.from_wire(data))
        answering.sendto(answer.to_wire(), self.client_address)


class _NameServer(socketserver.ThreadingUDPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, zone: Zone) -> None:
        super().__init__((ELSEWHERE, 53), _Names)
        self.zone = zone


class _MailHost:
    """The handler of a mail host that takes everything, and looks whether it is signed."""

    def __init__(self, internet: Internet) -> None:
        self._internet = internet

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        content: bytes = envelope.content
        is_encrypted = session.ssl is not None
        signer = self._signer(content)
        mail = Arrived(envelope.mail_from or "", envelope.rcpt_tos, content, is_encrypted, signer)
        self._internet.arrived.append(mail)
        return "250 2.0.0 OK"

    def _signer(self, content: bytes) -> str:
        verifier = dkim.DKIM(content, timeout=10)
        return verifier.domain.decode() if verifier.verify(dnsfunc=self._text) else ""

    def _text(self, name: bytes, timeout: float = 5) -> bytes | None:
        try:
            [found] = self._internet.resolver().resolve(name.decode(), "TXT", lifetime=timeout)
        except dns.exception.DNSException:
            return None
        return b"".join(found.strings)  # type: ignore[attr-defined]


@contextlib.contextmanager
def connected(machine: Machine, folder: Path) -> Iterator[Internet]:
    """Everything runs on this machine, which has the address ELSEWHERE."""
    internet = Internet(Zone(), Authority(), machine)
    zone = internet.zone
    for name in ("example.net", "gmail-smtp-in.l.google.com"):
        zone.add(name, "MX", "10 mx.example.net.")
    for name in ("mx.example.net", "gmail-smtp-in.l.google.com", "www.example.com"):
        zone.add(name, "A", ELSEWHERE)
    zone.add(dns.reversename.from_address(ELSEWHERE).to_text(), "PTR", "mx.example.net.")
    with contextlib.ExitStack() as stack:
        with machine.entered():  # threads stay in the namespace in which they began
            names = _NameServer(zone)
            threading.Thread(target=names.serve_forever, daemon=True).start()
            stack.callback(names.server_close)
            stack.callback(names.shutdown)
            context = internet.authority.context(folder, "mx.example.net")
            host = Controller(
                _MailHost(internet), ELSEWHERE, 25, server_hostname="mx.example.net", tls_context=context
            )
            host.start()
            stack.callback(host.stop)
        yield internet
