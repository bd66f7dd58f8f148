"""The files of a new installation: configuration, signing key, secret, certificate. Never overwrites one."""

from __future__ import annotations

import datetime
import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from .conf import Config

SIGNING_KEY_BITS = 2048
CERTIFICATE_DAYS = 3650

# Development defaults: everything on loopback, nothing leaves the machine.
TEMPLATE = """\
# Configuration of postal-server. Keys are Postal's own, with ours beside them; all of them are described
# in the documentation. Environment variables win: POSTAL_WEB_HOSTNAME, WEB_SERVER_DEFAULT_PORT, ...
version: 2

postal:
  web_hostname: localhost
  web_protocol: http
  smtp_hostname: localhost
  # Webhooks and HTTP endpoints on this machine. Remove the loopback networks in production.
  allowed_request_destinations: [127.0.0.0/8, "::1/128"]

web_server:
  default_port: 5000
  default_bind_address: 127.0.0.1

smtp_server:
  default_port: 2525
  default_bind_address: 127.0.0.1
  tls_enabled: true
  plaintext_auth: true

dns:
  return_path_domain: rp.localhost
  route_domain: routes.localhost
  track_domain: track.localhost
  spf_include: spf.localhost
  mx_records: [localhost]

delivery:
  # catch: all mail stays here. mx: mail goes to the internet. Relays: see postal.smtp_relays.
  mode: catch
  catch_port: 2526

storage:
  url: sqlite:///$config-file-root/postal.sqlite3
"""


def write_configuration(path: Path) -> bool:
    """Write a development configuration to `path`. False where there is one already."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEMPLATE, "utf-8")
    return True


def write_secrets(config: Config) -> list[Path]:
    """Make the keys that are missing, readable by the owner alone, and return their paths."""
    made = []
    signing = config.file(config.postal.signing_key_path)
    if not signing.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=SIGNING_KEY_BITS)
        _write_private(signing, _pem(key))
        made.append(signing)
    secret = config.root / "secret.key"
    if not config.rails.secret_key and not secret.exists():
        _write_private(secret, secrets.token_urlsafe(48).encode("ascii"))
        made.append(secret)
    if config.smtp_server.tls_enabled:
        made += _write_certificate(config)
    return made


def _write_certificate(config: Config) -> list[Path]:
    """A self-signed certificate for the SMTP host, where neither it nor its key is there."""
    certificate = config.file(config.smtp_server.tls_certificate_path)
    private = config.file(config.smtp_server.tls_private_key_path)
    if certificate.exists() or private.exists():
        return []
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, config.postal.smtp_hostname[:64])])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(config.postal.smtp_hostname)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    _write_private(private, _pem(key))
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return [private, certificate]


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
