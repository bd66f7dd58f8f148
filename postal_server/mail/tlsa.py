"""TLSA records (RFC 6698), and what mail makes of them (RFC 7672): is this certificate the one they name?"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from postal_server.errors import HostileInput

TRUST_ANCHOR, END_ENTITY = 2, 3  # usages; the others are not for SMTP (RFC 7672 section 3.1.3)
WHOLE, PUBLIC_KEY = 0, 1  # selectors
MAX_RECORDS = 50
MAX_CHAIN = 10

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
NO_MATCH = "the certificate matches no TLSA record"
WRONG_NAME = "the certificate is for another host"
WRONG_DATE = "the certificate has expired, or is not valid yet"


@dataclass(frozen=True)
class Tlsa:
    """One record. `matching`: 0 the bytes themselves, 1 their SHA-256, 2 their SHA-512."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @classmethod
    def parse(cls, text: str) -> Tlsa:
        """From its presentation form, `3 1 1 9f86...`. Raises `HostileInput`."""
        try:
            usage, selector, matching, *data = text.split()
            return cls(int(usage), int(selector), int(matching), bytes.fromhex("".join(data)))
        except ValueError as error:
            raise HostileInput("not a TLSA record") from error

    @property
    def is_usable(self) -> bool:
        """Can mail be delivered by this record? (RFC 7672 section 3.1.)"""
        sizes = {1: 32, 2: 64}
        return (
            self.usage in (TRUST_ANCHOR, END_ENTITY)
            and self.selector in (WHOLE, PUBLIC_KEY)
            and self.matching in (0, 1, 2)
            and bool(self.data)
            and len(self.data) == sizes.get(self.matching, len(self.data))
        )

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"

    def matches(self, certificate: x509.Certificate) -> bool:
        """Does the record stand for this certificate?"""
        if self.selector == PUBLIC_KEY:
            key = certificate.public_key()
            content = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            content = certificate.public_bytes(Encoding.DER)
        if self.matching:
            content = (hashlib.sha256 if self.matching == 1 else hashlib.sha512)(content).digest()
        return hmac.compare_digest(content, self.data)


def usable(records: Sequence[str]) -> tuple[Tlsa, ...]:
    """Those of the records that can be used, in their order; garbage is passed over."""
    usable_records = []
    for text in records[:MAX_RECORDS]:
        try:
            record = Tlsa.parse(text)
        except HostileInput:
            continue
        if record.is_usable:
            usable_records.append(record)
    return tuple(usable_records)


def problem(chain: Sequence[bytes], records: Sequence[Tlsa], names: Sequence[str], now: datetime) -> str:
    """Why a host with this chain (DER, its own certificate first) is not the one meant; empty if it is.

    `names` are the host's and the domain's. A record for the certificate itself (usage 3) needs neither name
    nor date (RFC 7672 section 3.1.1); one for an authority (usage 2) needs both, and a chain up to it.
    """
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain[:MAX_CHAIN]]
        if not certificates:
            return "the host has no certificate"
        leaf = certificates[0]
        if any(record.usage == END_ENTITY and record.matches(leaf) for record in records):
            return ""
        anchors = [record for record in records if record.usage == TRUST_ANCHOR]
        certificates += _in_records(anchors)
        if not _leads_to(leaf, certificates, anchors, now):
            return NO_MATCH
        if not any(_is_for(leaf, name) for name in names):
            return WRONG_NAME
        return "" if _is_valid(leaf, now) else WRONG_DATE
    except UNREADABLE as error:
        return f"the certificate cannot be read: {error}"[:200]


def _in_records(anchors: Sequence[Tlsa]) -> Iterator[x509.Certificate]:
    """Authorities that a host need not send, because the record has them whole (RFC 7671 section 5.2.2)."""
    for record in anchors:
        if record.selector == WHOLE and record.matching == 0:
            yield x509.load_der_x509_certificate(record.data)


def _leads_to(
    leaf: x509.Certificate,
    candidates: Sequence[x509.Certificate],
    anchors: Sequence[Tlsa],
    now: datetime,
) -> bool:
    """Is there a way from `leaf`, certificate by certificate that has signed the one before, to an anchor?"""
    subject, left = leaf, list(candidates)
    for depth in range(MAX_CHAIN):
        if any(record.matches(subject) for record in anchors):
            return depth > 0 or _is_self_signed(subject)
        left = [candidate for candidate in left if candidate != subject]
        issuer = next((c for c in left if _has_signed(c, subject) and _may_sign(c, depth, now)), None)
        if issuer is None:
            return False
        subject = issuer
    return False


def _has_signed(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_self_signed(certificate: x509.Certificate) -> bool:
    return _has_signed(certificate, certificate)


def _may_sign(certificate: x509.Certificate, below: int, now: datetime) -> bool:
    """Is it an authority, with room for `below` others between it and the host's own?"""
    try:
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    is_deep_enough = limits.path_length is None or limits.path_length >= below
    return limits.ca and is_deep_enough and _is_valid(certificate, now)


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _is_for(certificate: x509.Certificate, name: str) -> bool:
    """Is `name` one of its names, or below one with `*` in front?"""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    wanted = name.lower().rstrip(".")
    known = {known.lower().rstrip(".") for known in names.get_values_for_type(x509.DNSName)}
    return wanted in known or f"*.{wanted.partition('.')[2]}" in known
