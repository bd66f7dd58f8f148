"""The certificate that SMTP shows: is it there, ours to read, whole, valid, and for our host?"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from .values import user_name

HOOK = "`postal-server service install --certbot` lets certbot's take its place."
CERTBOT = "sudo certbot certonly --standalone --domain {host}"


def problem(certificate: Path, key: Path, host: str, now: datetime) -> str:
    """Why SMTP at `host` cannot use them; empty if it can. `now` is aware."""
    if why := unreadable(certificate, key, host, now):
        return why
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except ValueError:
        return f"{certificate}: is not a certificate in PEM format."
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError):
        return f"{key}: is not a private key in PEM format without a password."
    leaf = chain[0]
    if _public(leaf.public_key()) != _public(private.public_key()):
        return f"{key}: is not the key of {certificate}."
    if leaf.not_valid_after_utc < now:
        return (
            f"{certificate}: expired on {leaf.not_valid_after_utc:%Y-%m-%d}. `sudo certbot renew` renews it."
        )
    if leaf.not_valid_before_utc > now:
        return f"{certificate}: is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}."
    if not is_self_signed(leaf) and not is_for(leaf, host):
        listed = ", ".join(names_of(leaf)) or "no host"
        return f"{certificate}: is for {listed}, not for {host} (postal.smtp_hostname)."
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        return f"{certificate}: cannot be used: {error}."
    return ""


def unreadable(certificate: Path, key: Path, host: str, now: datetime) -> str:
    """Why the files cannot be read; empty if they can."""
    return next(filter(None, (_unreadable(path, host) for path in (certificate, key))), "")


def remarks(certificate: Path, host: str) -> Iterator[str]:
    """What a certificate that can be used lacks."""
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    if not is_self_signed(leaf):
        return
    if is_for(leaf, host):
        yield f"{certificate} is self-signed: others cannot verify it. {HOOK}"
    else:
        yield (
            f"{certificate} is self-signed, and for {', '.join(names_of(leaf))} instead of {host}. Delete it "
            "and its key, and run this again: another one is made."
        )


def is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def is_for(certificate: x509.Certificate, host: str) -> bool:
    return any(_covers(name, host) for name in names_of(certificate))


def names_of(certificate: x509.Certificate) -> list[str]:
    """The host names that a certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [str(each.value) for each in found]
    return [*extension.value.get_values_for_type(x509.DNSName)]


def _unreadable(path: Path, host: str) -> str:
    """Why a file cannot be read. Says how certbot makes it, and how this user gets to read it."""
    try:
        path.read_bytes()
    except FileNotFoundError:
        return (
            f"{path}: there is no such file. `{CERTBOT.format(host=host)}` makes a certificate and its key."
        )
    except PermissionError:
        return f"{path}: the user {user_name(os.geteuid())} may not read it. Leave it out. {HOOK}"
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror})."
    return ""


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _covers(name: str, host: str) -> bool:
    """RFC 6125 section 6.4.3: a wildcard stands for one label."""
    name, host = name.lower(), host.lower()
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])
