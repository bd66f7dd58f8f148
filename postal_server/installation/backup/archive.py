"""The file of a back-up: tar in gzip. Its first member, the manifest, lists the others.

What is read may come from anywhere. Nothing is extracted by its name: the members must be plain files,
exactly those of the manifest and in its order, and no more is read at once than a chunk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import re
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from postal_server.errors import BackupError

FORMAT = 1
PIPE = "-"  # in place of a file: standard output or input
MANIFEST = "manifest.json"
CONFIGURATION, SIGNING_KEY, SECRET_KEY = "postal.yml", "signing.key", "secret.key"
CERTIFICATE, CERTIFICATE_KEY = "smtp.cert", "smtp.key"
SMALL_FILES = (CONFIGURATION, SIGNING_KEY, SECRET_KEY, CERTIFICATE, CERTIFICATE_KEY)
DATABASES = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}

CHUNK_BYTES = 1 << 20
MAX_SMALL_BYTES = 1 << 20  # of every member but the database
MAX_HEADER_BYTES = 1 << 16  # between two members: one header of 512 bytes, and padding
# Level 6 takes three times as long for a tenth less. A dump is compressed by pg_dump already: not twice.
COMPRESSION = {"sqlite": 1, "postgresql": 0}
SHA256 = re.compile(r"[0-9a-f]{64}")
Report = Callable[[str, int, int | None], None]  # what is done, bytes so far, bytes in all if that is known


@dataclass(frozen=True)
class Member:
    """A file in the archive; `path` is where it was."""

    name: str
    size: int
    sha256: str
    path: str


@dataclass(frozen=True)
class Manifest:
    """What a back-up says of itself.

    `root` is the folder of the configuration, `rows` how many each table has, `last_message_id` the highest
    that was given, and `variables` the names of environment variables that were part of the configuration.
    """

    version: str
    made_at: datetime
    database: str  # a key of DATABASES
    database_version: str
    root: str
    members: tuple[Member, ...]
    migrations: tuple[str, ...]
    rows: Mapping[str, int]
    last_message_id: int
    variables: tuple[str, ...] = ()
    format: int = field(default=FORMAT)

    def member(self, name: str) -> Member | None:
        return next((member for member in self.members if member.name == name), None)

    @property
    def database_member(self) -> Member:
        return self.members[-1]

    def to_json(self) -> bytes:
        text = json.dumps({**dataclasses.asdict(self), "made_at": self.made_at.isoformat()}, indent=2)
        return f"{text}\n".encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Raises `BackupError` for anything that `to_json` does not write."""
        try:
            given = json.loads(text)
            if given["format"] != FORMAT:
                raise BackupError(
                    f"its format is {given['format']!r}, and this version reads {FORMAT}: "
                    f"it was made by postal-server {_text(given.get('version'))}."
                )
            found = cls(
                version=_text(given["version"]),
                made_at=_moment(given["made_at"]),
                database=_text(given["database"]),
                database_version=_text(given["database_version"]),
                root=_text(given["root"]),
                members=tuple(_member(each) for each in given["members"]),
                migrations=tuple(map(_text, given["migrations"])),
                rows={str(table): int(count) for table, count in given["rows"].items()},
                last_message_id=int(given["last_message_id"]),
                variables=tuple(map(_text, given["variables"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise BackupError(f"its manifest cannot be read: {type(error).__name__}: {error}.") from error
        names = [member.name for member in found.members]
        known = [*SMALL_FILES, DATABASES.get(found.database, "")]
        if names != [name for name in known if name in names] or not names or names[-1] != known[-1]:
            raise BackupError(f"its manifest lists other files than those of a back-up: {', '.join(names)}.")
        return found


def _member(given: Mapping[str, Any]) -> Member:
    member = Member(_text(given["name"]), int(given["size"]), _text(given["sha256"]), _text(given["path"]))
    is_small = member.name not in DATABASES.values()
    if member.size < 0 or (is_small and member.size > MAX_SMALL_BYTES) or not SHA256.fullmatch(member.sha256):
        raise ValueError(f"{member.name}: size or checksum")
    return member


def _text(value: object) -> str:
    """Text without what would command a terminal. A path may have bytes that are not UTF-8."""
    text = str(value)
    if not all(each.isprintable() or "\udc80" <= each <= "\udcff" for each in text):
        raise ValueError(f"{text!r} has control characters")
    return text


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment


# Writing


def sha256_of(path: Path, report: Report) -> str:
    """The checksum of a file, in hex."""
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            report("checksum", file.tell(), size)
    return digest.hexdigest()


class Out(Protocol):
    """Where an archive is written to."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


def write(out: Out, manifest: Manifest, small: Mapping[str, bytes], database: Path, report: Report) -> None:
    """Write an archive of the small files and the database, a chunk at a time; `out` may be a pipe."""
    made_at, level = int(manifest.made_at.timestamp()), COMPRESSION[manifest.database]
    with (
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=level, mtime=made_at) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.GNU_FORMAT) as tar,
        database.open("rb") as file,
    ):
        text = manifest.to_json()
        for name, content in {MANIFEST: text, **small}.items():
            tar.addfile(_header(name, len(content), made_at), io.BytesIO(content))
        member = manifest.database_member
        tar.addfile(_header(member.name, member.size, made_at), _Reported(file, member.size, report))


def _header(name: str, size: int, made_at: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, made_at
    return info


class _Reported(io.RawIOBase):
    """A file whose reading is reported."""

    def __init__(self, file: IO[bytes], size: int, report: Report) -> None:
        self._file, self._size, self._report = file, size, report

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._report("writing", self._file.tell(), self._size)
        return chunk


# Reading


@contextlib.contextmanager
def opened(file: str) -> Iterator[IO[bytes]]:
    """The file of this name, or standard input for `-`."""
    if file == PIPE:
        yield sys.stdin.buffer
    else:
        with Path(file).open("rb") as stream:
            yield stream


class Archive:
    """One pass over the members in their order. All methods raise `BackupError` for a damaged file."""

    def __init__(self, file: IO[bytes]) -> None:
        with _damage():
            if file.read(2) != b"\x1f\x8b":
                raise BackupError("it is no back-up of postal-server. Is it still encrypted?")
            self._stream = _Bounded(gzip.GzipFile(fileobj=_Rewound(b"\x1f\x8b", file)))
            self._tar = tarfile.open(fileobj=self._stream, mode="r:")  # noqa: SIM115 - holds no file itself
            header = self._next(MANIFEST)
            if not 0 < header.size <= MAX_SMALL_BYTES:
                raise BackupError(f"its manifest has {header.size:,} bytes.")
            self.manifest = Manifest.from_json(b"".join(self._content(header)))
        self._members = iter(self.manifest.members)

    def small_files(self) -> dict[str, bytes]:
        """The content of all members but the database, which comes after them."""
        found = {}
        for member in self.manifest.members[:-1]:
            content = io.BytesIO()
            self._copy(next(self._members), content, lambda *_: None)
            found[member.name] = content.getvalue()
        return found

    def save_database(self, path: Path, report: Report) -> None:
        """Write the last member to a new file; then there must be nothing more."""
        with path.open("xb") as file:
            path.chmod(0o600)
            self._copy(next(self._members), file, report)
        with _damage():
            if self._tar.next() is not None:
                raise BackupError("it has more files than its manifest lists.")
            while self._stream.read(tarfile.BLOCKSIZE):  # padding, and gzip's own checksum
                pass

    def _copy(self, member: Member, out: IO[bytes], report: Report) -> None:
        digest, done = hashlib.sha256(), 0
        for chunk in self._read(member):
            digest.update(chunk)
            out.write(chunk)
            done += len(chunk)
            report("unpacking", done, member.size)
        if digest.hexdigest() != member.sha256:
            raise BackupError(f"{member.name} in it is damaged: its checksum is another.")

    def _read(self, member: Member) -> Iterator[bytes]:
        with _damage():
            header = self._next(member.name)
            if header.size != member.size:
                raise BackupError(f"{member.name} in it has another size than its manifest says.")
            yield from self._content(header)

    def _next(self, name: str) -> tarfile.TarInfo:
        """The header of the next member, which must be a plain file of this name."""
        header = self._tar.next()
        if header is None:
            raise BackupError(f"it ends before {name}.")
        if header.name != name or header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise BackupError(f"it has {header.name[:100]!r} in the place of the file {name}.")
        return header

    def _content(self, header: tarfile.TarInfo) -> Iterator[bytes]:
        file = self._tar.extractfile(header)
        assert file is not None, "a plain file has content"
        left = header.size
        while left:
            self._stream.allow(CHUNK_BYTES)
            chunk = file.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise BackupError(f"it ends within {header.name}.")
            left -= len(chunk)
            yield chunk
        self._stream.allow(MAX_HEADER_BYTES)


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
        raise BackupError(f"it is damaged or not complete: {error}.") from error


class _Bounded(io.RawIOBase):
    """What is decompressed, as much as is allowed: headers that claim to be long are not read into memory."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self._left = MAX_HEADER_BYTES

    def allow(self, size: int) -> None:
        """So many bytes may be read from here on."""
        self._left = size

    def read(self, size: int = -1) -> bytes:
        self._spend(size)
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._spend(offset - self._file.tell())
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def _spend(self, size: int) -> None:
        if not 0 <= size <= self._left:
            raise BackupError("a header in it is longer than those of a back-up.")
        self._left -= size


class _Rewound(io.RawIOBase):
    """A stream from its beginning again; gzip asks for no more than to read it."""

    def __init__(self, begun: bytes, rest: IO[bytes]) -> None:
        self._begun, self._rest = begun, rest

    def read(self, size: int = -1) -> bytes:
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        return self._rest.read(size)
