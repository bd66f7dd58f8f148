"""Make a back-up of an installation while it runs, into one file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

from postal_server import conf, files
from postal_server.conf import Config
from postal_server.conf_environment import with_files
from postal_server.engine import database
from postal_server.errors import BackupError

from . import sqlite
from .archive import (
    CERTIFICATE,
    CERTIFICATE_KEY,
    CONFIGURATION,
    DATABASES,
    MAX_SMALL_BYTES,
    PIPE,
    SECRET_KEY,
    SIGNING_KEY,
    Manifest,
    Member,
    Report,
    sha256_of,
    write,
)
from .contents import Contents
from .postgresql import Postgresql
from .scratch import scratch


def make(
    config: Config,
    file: str,
    now: datetime,
    *,
    environ: Mapping[str, str],
    with_certificate: bool,
    report: Report,
) -> tuple[Manifest, int]:
    """Write a back-up to `file`, `-` for standard output; what is in it, and its size in bytes.

    Whatever was acknowledged before this began is in it: nothing is acknowledged before it is committed.
    Raises `BackupError`, or `OSError` where the disk is full; then there is no file.
    """
    small, paths = _small_files(config, with_certificate=with_certificate)
    is_pipe = file == PIPE
    target = Path(file).absolute()
    if not is_pipe:
        _require_new(target)
    with scratch(Path(tempfile.gettempdir()) if is_pipe else target.parent) as folder:
        kind = "postgresql" if config.sqlite_file is None else "sqlite"
        copy = folder / DATABASES[kind]
        contents = _copy_database(config, copy, report)
        members = [
            Member(name, len(content), hashlib.sha256(content).hexdigest(), str(paths[name].absolute()))
            for name, content in small.items()
        ]
        place = str(config.sqlite_file.absolute()) if config.sqlite_file else ""
        members.append(Member(copy.name, copy.stat().st_size, sha256_of(copy, report), place))
        manifest = Manifest(
            version=version("anymail-postal"),
            made_at=now,
            database=kind,
            database_version=contents.version,
            root=str(config.root),
            members=tuple(members),
            migrations=contents.migrations,
            rows=contents.rows,
            last_message_id=contents.last_message_id,
            variables=_variables(environ),
        )
        with _standard_output() if is_pipe else _new_file(target, folder) as out:
            counted = _Counted(out)
            write(counted, manifest, small, copy, report)
    return manifest, counted.size


def _small_files(config: Config, *, with_certificate: bool) -> tuple[dict[str, bytes], dict[str, Path]]:
    """Content and place of all but the database, by their names in the archive."""
    paths = {SIGNING_KEY: config.file(config.postal.signing_key_path)}
    if config.path:
        paths = {CONFIGURATION: config.path, **paths}
    paths[SECRET_KEY] = config.root / "secret.key"
    if with_certificate and config.smtp_server.tls_enabled:
        paths[CERTIFICATE] = config.file(config.smtp_server.tls_certificate_path)
        paths[CERTIFICATE_KEY] = config.file(config.smtp_server.tls_private_key_path)
    # The secret may stand in an environment variable instead of the file; it is the same to a server.
    given = {SECRET_KEY: conf.secret_key(config).encode()}
    return {name: given.get(name) or _content(path) for name, path in paths.items()}, paths


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SMALL_BYTES + 1)
    except OSError as error:
        raise BackupError(
            f"{path}: cannot be read ({error.strerror}). Run this command as the server's user, "
            "or with --without-certificate if it belongs to the certificate."
        ) from error
    if len(content) > MAX_SMALL_BYTES:
        raise BackupError(f"{path}: has more than {MAX_SMALL_BYTES:,} bytes, unlike keys and configurations.")
    return content


def _copy_database(config: Config, target: Path, report: Report) -> Contents:
    if config.sqlite_file is not None:
        return sqlite.copy(config.sqlite_file, target, report)
    return Postgresql(database.settings(config)).dump(target, report)


def _variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The environment variables that are part of the configuration. Their values may be secrets."""
    return tuple(sorted(set(with_files(conf.variables())) & set(environ)))


def _require_new(target: Path) -> None:
    if target.exists():
        raise BackupError(f"{target}: is there already, and is not overwritten.")
    if not target.parent.is_dir():
        raise BackupError(f"{target}: cannot be made, as there is no folder {target.parent}.")


@contextlib.contextmanager
def _new_file(target: Path, folder: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name once it is whole and on the disk; for its owner only."""
    draft = folder / "draft"
    with draft.open("xb") as out:
        draft.chmod(0o600)
        yield out
        out.flush()
        os.fsync(out.fileno())
    _require_new(target)  # still
    draft.rename(target)
    files.sync_folder(target.parent)


@contextlib.contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    if sys.stdout.isatty():
        raise BackupError("a back-up is not written to a terminal: `postal-server backup - | gpg ...`.")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


class _Counted:
    """A stream that counts what is written to it."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return self._out.write(data)

    def flush(self) -> None:
        self._out.flush()
