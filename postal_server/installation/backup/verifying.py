"""Is a back-up whole, and would it start? Its sums, its database, its keys."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.db.migrations.loader import MigrationLoader

from postal_server.errors import BackupError
from postal_server.services.shared import credential
from postal_server.wire.signing import SigningKey

from . import postgresql, sqlite
from .archive import CERTIFICATE, CERTIFICATE_KEY, SECRET_KEY, SIGNING_KEY, Archive, Manifest, Report
from .scratch import scratch
from .sqlite import require_room


def verify(file: IO[bytes], report: Report) -> Manifest:
    """What is in a back-up, all of it read and tried. Raises `BackupError` for what is wrong with it."""
    archive = Archive(file)
    manifest = archive.manifest
    small = archive.small_files()
    check_keys(small)
    with scratch(Path(tempfile.gettempdir())) as folder:
        member = manifest.database_member
        database = folder / member.name
        require_room(folder.parent, member.size, "Set TMPDIR to a folder on another disk.")
        archive.save_database(database, report)
        kind = sqlite if manifest.database == "sqlite" else postgresql
        if wrong := kind.problems(database):
            raise BackupError(f"its database is damaged: {'; '.join(wrong)}.")
        if manifest.database == "sqlite" and sqlite.contents(database).rows != manifest.rows:
            raise BackupError("its database has other rows than its manifest says.")
        check_smtp_keys(kind.encrypted_keys(database), small)
    return manifest


def check_keys(small: Mapping[str, bytes]) -> None:
    """Raise `BackupError` unless the keys are keys, and the certificate's key is its own."""
    try:
        SigningKey.load(small[SIGNING_KEY])
    except KeyError:
        raise BackupError(f"it has no {SIGNING_KEY}.") from None
    except ValueError as error:
        raise BackupError(f"{SIGNING_KEY} in it is not a signing key: {error}.") from error
    if not small.get(SECRET_KEY, b"").strip():
        raise BackupError(f"it has no {SECRET_KEY}, or an empty one.")
    if CERTIFICATE in small:
        try:
            certificate = x509.load_pem_x509_certificates(small[CERTIFICATE])[0]
            key = load_pem_private_key(small.get(CERTIFICATE_KEY, b""), None)
        except (ValueError, TypeError) as error:
            raise BackupError(f"{CERTIFICATE} or {CERTIFICATE_KEY} in it cannot be read: {error}.") from error
        if certificate.public_key() != key.public_key():
            raise BackupError(f"{CERTIFICATE_KEY} in it is not the key of {CERTIFICATE}.")


def check_smtp_keys(encrypted: Sequence[str], small: Mapping[str, bytes]) -> None:
    """Raise `BackupError` unless the secret key decrypts the SMTP keys of the database."""
    secret = small[SECRET_KEY].decode("ascii", "replace").strip()
    if not all(credential.is_encrypted_with(key, secret) for key in encrypted):
        raise BackupError(f"{SECRET_KEY} in it does not decrypt the SMTP keys of its database.")


def known_migrations() -> set[str]:
    """The migrations of this version."""
    return {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}


def missing_migrations(manifest: Manifest) -> int:
    """How many migrations of this version a back-up lacks. Raises `BackupError` for those of a newer."""
    known = known_migrations()
    if newer := sorted(set(manifest.migrations) - known):
        raise BackupError(
            f"it was made by postal-server {manifest.version}, whose database this version does not know "
            f"({newer[0]}). Install that version or a newer one."
        )
    return len(known - set(manifest.migrations))
