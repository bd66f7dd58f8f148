"""The files of an installation: creates the missing ones, and closes them to other users of the machine.

Never overwrites a file.
"""

from __future__ import annotations

import contextlib
import datetime
import glob
import os
import secrets
import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from .conf import Config

SIGNING_KEY_BITS = 2048
CERTIFICATE_DAYS = 3650
FOLDER_MODE, FILE_MODE = 0o700, 0o600


def new_secret(config: Config) -> str:
    """A secret for the file `secret.key`; empty if the installation has one."""
    has_one = config.rails.secret_key or (config.root / "secret.key").exists()
    return "" if has_one else secrets.token_urlsafe(48)


def write_secrets(config: Config, secret: str | None = None) -> list[Path]:
    """Make the missing keys, and the folder of the database; return the paths of the new keys.

    `secret` is what `new_secret` returned, if it is in use already.
    """
    made = []
    if config.sqlite_file:
        _make_folder(config.sqlite_file.parent)
    signing = config.file(config.postal.signing_key_path)
    if not signing.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=SIGNING_KEY_BITS)
        write_private(signing, _pem(key))
        made.append(signing)
    if secret := secret or new_secret(config):
        path = config.root / "secret.key"
        write_private(path, secret.encode("ascii"))
        made.append(path)
    if config.smtp_server.tls_enabled and makes_certificate(config):
        made += _write_certificate(config)
    return made


def certificate_paths(config: Config) -> tuple[Path, Path]:
    """The certificate for SMTP, and its key."""
    given = config.smtp_server
    return config.file(given.tls_certificate_path), config.file(given.tls_private_key_path)


def makes_certificate(config: Config) -> bool:
    """Is the certificate for SMTP one of the installation's own files? Others belong to other programs."""
    return all(config.root in path.parents for path in certificate_paths(config))


def _write_certificate(config: Config) -> list[Path]:
    """Make a self-signed certificate for the SMTP host, unless it or its key exists."""
    certificate, private = certificate_paths(config)
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
    write_private(private, _pem(key))
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return [private, certificate]


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def write_private(path: Path, content: bytes) -> None:
    """Create a file that only its owner can open, and its folder if that is missing."""
    _make_folder(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _make_folder(folder: Path) -> None:
    folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# Closing existing files to others


def open_to_others(config: Config) -> list[str]:
    """A sentence for each file or folder of the installation that other users of the machine can open."""
    return [
        f"{path}: other users of this machine can open it (mode {stat.S_IMODE(path.stat().st_mode):04o}); "
        f"`chmod go-rwx {path}` ends that."
        for path in _private(config)
        if _rights_of_others(path)
    ]


def keep_others_out(config: Config) -> list[Path]:
    """Take the permissions of others away; returns the paths whose modes were changed.

    Files of other owners stay as they are, and are reported by `open_to_others`.
    """
    changed = []
    for path in _private(config):
        rights = _rights_of_others(path)
        with contextlib.suppress(PermissionError):
            if rights:
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~rights)
                changed.append(path)
    return changed


def _private(config: Config) -> list[Path]:
    """The files of the installation that exist, and those of its folders that hold nothing else.

    A folder that holds more, such as a home or a project, keeps the mode that its owner chose; so does one
    that everybody shares, such as /tmp.
    """
    certificate, private_key = certificate_paths(config)
    named = [config.file(config.postal.signing_key_path), config.root / "secret.key", private_key]
    folders = {config.root}
    if config.path:
        named.append(config.path)
    if database := config.sqlite_file:
        named += [database, *_beside(database)]
        folders.add(database.parent)
    ours = {*named, certificate}
    return [
        *(folder for folder in sorted(folders) if _holds_only(folder, ours)),
        *(path for path in dict.fromkeys(named) if os.path.isfile(path)),  # False where we have no access
    ]


def _beside(database: Path) -> list[Path]:
    """The files of SQLite and `engine.database` beside the database's own: `-wal`, locks, ballast.

    A user who can open a lock can hold it, and so stop the server.
    """
    return sorted(database.parent.glob(f"{glob.escape(database.name)}-*"))


def _holds_only(folder: Path, files: set[Path]) -> bool:
    try:
        if folder.stat().st_mode & stat.S_ISVTX:
            return False
        return all(path in files for path in folder.iterdir())
    except OSError:  # it does not exist, or has another owner
        return False


def _rights_of_others(path: Path) -> int:
    """The mode bits for users who are neither the owner nor in a group that the file was shared with."""
    status = path.stat()
    has_usual_group = (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    others = stat.S_IRWXO | (stat.S_IRWXG if has_usual_group else 0)
    return stat.S_IMODE(status.st_mode) & others
