"""Bring an installation back from a back-up: all of it or nothing, and what was there is kept.

Nothing is written outside of the chosen folder, whatever a back-up says, but a SQLite file that was asked
for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from postal_server import conf, files
from postal_server.conf import Config
from postal_server.engine import database
from postal_server.errors import BackupError

from ..configuration_file import value_of
from ..configuration_text import CannotChange, with_values
from ..running import nobody_uses
from . import postgresql, sqlite
from .archive import (
    CERTIFICATE,
    CERTIFICATE_KEY,
    CONFIGURATION,
    SECRET_KEY,
    SIGNING_KEY,
    Archive,
    Manifest,
    Report,
)
from .contents import gap_after
from .scratch import scratch
from .swap import swapped, undo
from .verifying import check_keys, check_smtp_keys, missing_migrations

# The keys of the configuration that name files.
PATH_KEYS = {
    SIGNING_KEY: "postal.signing_key_path",
    CERTIFICATE: "smtp_server.tls_certificate_path",
    CERTIFICATE_KEY: "smtp_server.tls_private_key_path",
}
SECRET_VARIABLES = {"RAILS_SECRET_KEY", "RAILS_SECRET_KEY_FILE"}  # a back-up has the secret itself
CHECK_INTERVAL = 1.0  # seconds; each process looks at the database twice in it (`engine.directory`)
IN_ROOT = "$config-file-root/{}"


@dataclass(frozen=True)
class Wish:
    """Where to restore to.

    `target` is the configuration file (`.yml`, `.yaml`) or its folder, `url` a database instead of the
    configuration's. With `replace`, what is there is kept under other names.
    """

    target: Path
    url: str | None
    replace: bool
    environ: Mapping[str, str]

    @property
    def root(self) -> Path:
        """The folder of the configuration."""
        is_file = self.target.suffix in (".yml", ".yaml")
        return (self.target.parent if is_file else self.target).absolute()

    def require_replace(self, what: str) -> None:
        """Raise `BackupError` unless it was asked for that `what` is replaced."""
        if not self.replace:
            raise BackupError(
                f"{what}: is there already. With --replace the back-up takes its place, and what is there is "
                "kept under another name."
            )


@dataclass
class Restored:
    """What was restored: the configuration, what to know about it, and what was kept of before."""

    config: Config
    manifest: Manifest
    last_message_id: int
    notes: list[str]
    kept: list[str]


def restore(file: IO[bytes], wish: Wish, now: datetime, report: Report) -> Restored:
    """Restore from a file. Raises `BackupError` or `OSError`; then all is as it was."""
    archive = Archive(file)
    manifest = archive.manifest
    missing = missing_migrations(manifest)
    small = archive.small_files()
    check_keys(small)
    with _folder(wish.root):
        notes = ["What an unfinished restore had replaced was brought back first."] if undo(wish.root) else []
        plan = _Plan(manifest, small, wish)
        load = _load_sqlite if manifest.database == "sqlite" else _load_postgresql
        last_message_id, kept = load(archive, plan, wish, now, report)
    notes += plan.notes
    if missing:
        notes.append(
            "The database is that of an older version. Run `postal-server upgrade` before it starts."
        )
    return Restored(plan.config, manifest, last_message_id, notes, kept)


class _Plan:
    """Which file goes where, and what the configuration says then.

    `files` are those that are not there yet as they shall be. Raises `BackupError` if there are others.
    """

    def __init__(self, manifest: Manifest, small: Mapping[str, bytes], wish: Wish) -> None:
        self.manifest = manifest
        self.small = dict(small)
        self.root = wish.root
        self.notes: list[str] = []
        self._note_missing_variables(wish.environ)
        places = self._places(wish)
        self.config = self._read(places.get(CONFIGURATION), wish.environ)
        changes = self._changes(places, wish)
        if CONFIGURATION in small and changes:
            self.small[CONFIGURATION] = self._changed(changes, places[CONFIGURATION]).encode()
            self.config = self._read(places[CONFIGURATION], wish.environ)
            self.notes += [f"{key} is another now: {CONFIGURATION} had to be changed." for key in changes]
        if self.config.rails.secret_key:
            self._require_secret(self.config.rails.secret_key)
            del places[SECRET_KEY]
        self._require_database(wish)
        self._note_missing_files()
        self.files = {
            place: self.small[name]
            for name, place in places.items()
            if not place.exists() or place.read_bytes() != self.small[name]
        }
        if there := [str(place) for place in self.files if place.exists()]:
            wish.require_replace(", ".join(there))

    def _changes(self, places: Mapping[str, Path], wish: Wish) -> dict[str, str]:
        """The keys of the configuration that have to name other places than before."""
        given = self.config
        changes = {
            key: IN_ROOT.format(self._inside(name) or name)
            for name, key in PATH_KEYS.items()
            if name in places and places[name] != Path(os.path.realpath(given.file(value_of(given, key))))
        }
        database_name = self.manifest.database_member.name
        if wish.url is not None:
            changes["storage.url"] = wish.url
        elif (file := given.sqlite_file) and (inside := self._inside(database_name)):
            # A relative path depends on the folder that a process is started in.
            is_as_before = not file.is_absolute() or str(file) == self.manifest.database_member.path
            if is_as_before and self.root / inside != file:
                changes["storage.url"] = f"sqlite:///{IN_ROOT.format(inside)}"
        return changes

    def _inside(self, name: str) -> Path | None:
        """Where a file was in the folder of the configuration; None if it was in another."""
        member = self.manifest.member(name)
        assert member is not None
        path, root = Path(member.path), Path(self.manifest.root)
        is_inside = path.is_relative_to(root) and ".." not in path.parts
        return path.relative_to(root) if is_inside else None

    def _places(self, wish: Wish) -> dict[str, Path]:
        """Where the files go. Those from other folders that are there stay as they are.

        Raises `BackupError` for links by which one would be written elsewhere.
        """
        places = {name: self.root / (self._inside(name) or name) for name in self.small}
        places[SECRET_KEY] = self.root / SECRET_KEY
        if CONFIGURATION in places and wish.target.absolute() != self.root:
            places[CONFIGURATION] = wish.target.absolute()
        for name in (SIGNING_KEY, CERTIFICATE, CERTIFICATE_KEY):
            if name in places and self._inside(name) is None and self._is_there(name):
                del places[name]
        return {name: self._within(place) for name, place in places.items()}

    def _within(self, place: Path, option: str = "") -> Path:
        """The place without links on the way to it. Raises `BackupError` if they lead out of the folder."""
        real = Path(os.path.realpath(place))
        if not real.is_relative_to(os.path.realpath(self.root)):
            raise BackupError(
                f"{place}: is a link, or in one, and leads out of {self.root} to {real}, which a restore "
                f"does not write. Remove the link{option}."
            )
        return real

    def _is_there(self, name: str) -> bool:
        """Is a file of another folder there? A certificate may have been renewed meanwhile."""
        member = self.manifest.member(name)
        assert member is not None
        path = Path(member.path)
        if name == SIGNING_KEY:
            return path.is_file() and path.read_bytes() == self.small[name]
        return path.is_file()

    def _read(self, path: Path | None, environ: Mapping[str, str]) -> Config:
        if path is None:
            return conf.parse({}, environ, self.root)
        return dataclasses.replace(conf.read_text(self._text, path, environ), root=self.root)

    @property
    def _text(self) -> str:
        """That of the configuration. Raises `BackupError`."""
        try:
            return self.small[CONFIGURATION].decode("utf-8")
        except UnicodeDecodeError as error:
            why = conf.why_unreadable(error)
            raise BackupError(f"{CONFIGURATION} in it cannot be read: {why}.") from error

    def _changed(self, changes: Mapping[str, str], path: Path) -> str:
        """The text of the configuration with these keys set. Raises `BackupError`."""
        try:
            return with_values(self._text, changes, path)
        except CannotChange as error:
            wanted = " ".join(f"{conf.variable(key)}={shlex.quote(value)}" for key, value in changes.items())
            raise BackupError(
                f"{error.why} Set in the environment, of this command and of the server: {wanted}"
            ) from error

    def _require_secret(self, secret: str) -> None:
        if secret.encode() != self.small[SECRET_KEY].strip():
            raise BackupError(
                "rails.secret_key is another than the secret of the back-up: RAILS_SECRET_KEY wins over the "
                "file. Unset it, or set it to that of the back-up."
            )

    def _require_database(self, wish: Wish) -> None:
        kind = "postgresql" if self.config.sqlite_file is None else "sqlite"
        if kind != self.manifest.database:
            raise BackupError(
                f"its database is {self.manifest.database}, and storage.url names one of {kind}. Name "
                "another by --database or STORAGE_URL: a back-up cannot be converted."
            )
        path = self.config.sqlite_file
        if path and path.is_relative_to(self.root):
            self._within(path, f", or name what it leads to by --database sqlite:///{os.path.realpath(path)}")
        if path and wish.url is None and not path.is_relative_to(self.root):
            raise BackupError(
                f"storage.url: {path} is not in {self.root}. Say where the database shall be: "
                f"--database sqlite:///{path.absolute()}, or --database 'sqlite:///$config-file-root/postal.sqlite3'."
            )

    def _note_missing_variables(self, environ: Mapping[str, str]) -> None:
        if missing := sorted(set(self.manifest.variables) - set(environ) - SECRET_VARIABLES):
            self.notes.append(
                "These environment variables were part of the configuration, and are not set here: "
                f"{', '.join(missing)}."
            )

    def _note_missing_files(self) -> None:
        """Note files that the configuration names, and that will not be there."""
        if not self.config.smtp_server.tls_enabled or CERTIFICATE in self.small:
            return
        for key in (PATH_KEYS[CERTIFICATE], PATH_KEYS[CERTIFICATE_KEY]):
            path = self.config.file(value_of(self.config, key))
            if not path.exists():
                self.notes.append(
                    f"{key}: {path} is not there, and not in the back-up. SMTP needs it to start."
                )


# Databases


def _load_sqlite(
    archive: Archive, plan: _Plan, wish: Wish, now: datetime, report: Report
) -> tuple[int, list[str]]:
    assert plan.config.sqlite_file is not None
    place = Path(os.path.realpath(plan.config.sqlite_file))
    with contextlib.ExitStack() as stack:
        if place.exists():
            wish.require_replace(str(place))
            stack.enter_context(nobody_uses(place))
        return _replace_sqlite(archive, plan, place, now, report)


def _replace_sqlite(
    archive: Archive, plan: _Plan, place: Path, now: datetime, report: Report
) -> tuple[int, list[str]]:
    place.parent.mkdir(files.FOLDER_MODE, parents=True, exist_ok=True)
    with scratch(place.parent) as folder, _drafts(plan) as drafts:
        sqlite.require_room(place.parent, plan.manifest.database_member.size)
        draft = folder / place.name
        archive.save_database(draft, report)
        check_smtp_keys(sqlite.encrypted_keys(draft), plan.small)
        last_message_id = sqlite.skip_ids(draft, gap_after(plan.manifest.made_at, now))
        _give_to_owner_of(place.parent, draft)
        # A log that a crash has left belongs to the old database, and must not be taken for the new one's.
        new = {**dict.fromkeys(sqlite.leftovers(place)), **drafts, place: draft}
        with (
            sqlite.open_alone(place) if place.exists() else contextlib.nullcontext(),
            swapped(plan.root, new, f".before-restore-{now:%Y%m%dT%H%M%S}") as kept,
        ):
            pass
    return last_message_id, [str(path) for path in kept]


def _load_postgresql(
    archive: Archive, plan: _Plan, wish: Wish, now: datetime, report: Report
) -> tuple[int, list[str]]:
    server = postgresql.Postgresql(database.settings(plan.config))
    with server.connection() as connection:
        server.require_unused(connection)
        time.sleep(CHECK_INTERVAL)  # a process that has no connection now has one before it ends
        server.require_unused(connection)
        tables = postgresql.tables(connection)
    if tables:
        wish.require_replace("storage.url: a database with tables")
    kept: list[str] = []
    with scratch(plan.root) as folder, _drafts(plan) as drafts:
        dump = folder / plan.manifest.database_member.name
        sqlite.require_room(plan.root, plan.manifest.database_member.size)
        archive.save_database(dump, report)
        check_smtp_keys(postgresql.encrypted_keys(dump), plan.small)

        @contextlib.contextmanager
        def with_files() -> Iterator[None]:
            with swapped(plan.root, drafts, f".before-restore-{now:%Y%m%dT%H%M%S}") as paths:
                kept.extend(map(str, paths))
                yield

        schema = f"{postgresql.KEPT_SCHEMA}{now:%Y%m%dt%H%M%S}" if tables else None
        last_message_id = server.load(
            dump,
            rows=plan.manifest.rows,
            gap=gap_after(plan.manifest.made_at, now),
            aside=schema,
            report=report,
            with_files=with_files,
        )
    return last_message_id, [*kept, f"the schema {schema} of the database"] if schema else kept


# Files


@contextlib.contextmanager
def _folder(root: Path) -> Iterator[None]:
    """The folder for the time of the block, and for good if that does not fail or the folder was there."""
    was_there = root.exists()
    root.mkdir(files.FOLDER_MODE, parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not was_there:
            with contextlib.suppress(OSError):  # something of somebody else's is in it
                root.rmdir()
        raise


@contextlib.contextmanager
def _drafts(plan: _Plan) -> Iterator[dict[Path, Path | None]]:
    """The small files near their places, on the disk."""
    with contextlib.ExitStack() as stack:
        folders: dict[Path, Path] = {}
        drafts: dict[Path, Path | None] = {}
        for place, content in plan.files.items():
            parent = place.parent
            if parent not in folders:
                parent.mkdir(files.FOLDER_MODE, parents=True, exist_ok=True)
                folders[parent] = stack.enter_context(scratch(parent))
            draft = folders[parent] / place.name
            files.write_private(draft, content)
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            _give_to_owner_of(parent, draft)
            drafts[place] = draft
        yield drafts


def _give_to_owner_of(folder: Path, path: Path) -> None:
    """What root restores shall be the server's, as what SQLite makes beside a database of it."""
    if os.geteuid() == 0:
        status = folder.stat()
        os.chown(path, status.st_uid, status.st_gid)
