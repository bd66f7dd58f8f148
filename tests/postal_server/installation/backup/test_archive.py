"""The file of a back-up: what is written is read again, and nothing else is taken for one."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import resource
import tarfile
from datetime import datetime, timezone

import pytest

from postal_server.errors import BackupError
from postal_server.installation.backup.archive import (
    CERTIFICATE,
    CONFIGURATION,
    DATABASES,
    MANIFEST,
    MAX_HEADER_BYTES,
    SECRET_KEY,
    SIGNING_KEY,
    Archive,
    Manifest,
    Member,
    write,
)
from tests.each import each

DATABASE = DATABASES["sqlite"]
SMALL = {CONFIGURATION: b"version: 2\n", SIGNING_KEY: b"key", SECRET_KEY: b"secret"}
CONTENT = b"a database" * 300_000
MB = 1 << 20


def nothing(*_):
    """The report that nobody reads."""


def member(name: str, content: bytes) -> Member:
    return Member(name, len(content), hashlib.sha256(content).hexdigest(), f"/var/lib/postal/{name}")


MANIFEST_OF_ALL = Manifest(
    version="1.2.3",
    made_at=datetime(2026, 12, 1, 3, 15, tzinfo=timezone.utc),
    database="sqlite",
    database_version="3.40.1",
    root="/var/lib/postal",
    members=(*(member(name, content) for name, content in SMALL.items()), member(DATABASE, CONTENT)),
    migrations=("postal_server.0001_initial",),
    rows={"postal_server_message": 12},
    last_message_id=34,
    variables=("STORAGE_URL",),
)


@pytest.fixture
def written(tmp_path) -> bytes:
    (tmp_path / "database").write_bytes(CONTENT)
    out = io.BytesIO()
    write(out, MANIFEST_OF_ALL, SMALL, tmp_path / "database", nothing)
    return out.getvalue()


class Pipe(io.RawIOBase):
    """What cannot seek, and is read in small pieces."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(min(size, 1000) if size >= 0 else 1000)


def read(archive: bytes, tmp_path) -> tuple[Manifest, dict[str, bytes]]:
    """All that is in an archive."""
    (tmp_path / "read").unlink(missing_ok=True)
    opened = Archive(Pipe(archive))
    small = opened.small_files()
    opened.save_database(tmp_path / "read", nothing)
    return opened.manifest, {**small, DATABASE: (tmp_path / "read").read_bytes()}


def test_what_is_written_is_read_again(written, tmp_path):
    assert read(written, tmp_path) == (MANIFEST_OF_ALL, {**SMALL, DATABASE: CONTENT})
    assert (tmp_path / "read").stat().st_mode & 0o777 == 0o600


def test_a_dump_is_not_compressed_twice(written, tmp_path):
    dump = member(DATABASES["postgresql"], CONTENT)
    members = (*MANIFEST_OF_ALL.members[:-1], dump)
    manifest = dataclasses.replace(MANIFEST_OF_ALL, database="postgresql", members=members)
    out = io.BytesIO()
    write(out, manifest, SMALL, tmp_path / "database", nothing)
    assert len(written) < len(CONTENT) / 10
    assert len(out.getvalue()) > len(CONTENT)
    assert read(out.getvalue(), tmp_path) == (manifest, {**SMALL, DATABASE: CONTENT})


def test_tar_unpacks_it_for_its_owner_only(written):
    with tarfile.open(fileobj=io.BytesIO(written), mode="r:gz") as tar:
        assert tar.getnames() == [MANIFEST, *SMALL, DATABASE]
        assert {each.mode for each in tar} == {0o600}


def test_each_byte_that_is_missing_or_another_is_noticed(written, tmp_path):
    """At the beginning, in each member, and in what gzip ends with."""
    size = len(written)
    for place in (0, 5, 400, size // 2, size - 6, size - 1):
        with pytest.raises(BackupError):
            read(written[:place], tmp_path)
        changed = bytearray(written)
        changed[place] ^= 0x55
        # Of gzip's own header, such as its time, nothing depends on all bytes.
        with pytest.raises(BackupError) if place != 5 else contextlib.nullcontext():
            read(bytes(changed), tmp_path)


# --- made by somebody else ---


def header(name: str, content: bytes = b"", **values) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in values.items():
        setattr(info, key, value)
    return info, content


def made(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=format) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


GIVEN = header(MANIFEST, MANIFEST_OF_ALL.to_json())
REST = [header(name, content) for name, content in SMALL.items()]
BASE = header(DATABASE, CONTENT)


def manifest(**values) -> tuple[tarfile.TarInfo, bytes]:
    return header(MANIFEST, dataclasses.replace(MANIFEST_OF_ALL, **values).to_json())


def changed_member(**values) -> tuple[Member, ...]:
    first, *others = MANIFEST_OF_ALL.members
    return (dataclasses.replace(first, **values), *others)


HOSTILE = {
    "no manifest": [BASE],
    "manifest not first": [*REST, GIVEN, BASE],
    "a link in the place of the database": [
        GIVEN,
        *REST,
        header(DATABASE, type=tarfile.SYMTYPE, linkname="/x"),
    ],
    "a hard link": [GIVEN, header(CONFIGURATION, type=tarfile.LNKTYPE, linkname="../../etc/passwd")],
    "a device": [GIVEN, header(CONFIGURATION, type=tarfile.CHRTYPE, devmajor=1)],
    "a sparse file": [GIVEN, header(CONFIGURATION, type=tarfile.GNUTYPE_SPARSE)],
    "a folder": [GIVEN, header(CONFIGURATION, type=tarfile.DIRTYPE)],
    "a path upwards": [GIVEN, header(f"../{CONFIGURATION}", SMALL[CONFIGURATION]), *REST[1:], BASE],
    "an absolute path": [GIVEN, header(f"/{CONFIGURATION}", SMALL[CONFIGURATION]), *REST[1:], BASE],
    "one more file": [GIVEN, *REST, BASE, header("more", b"x")],
    "a file twice": [GIVEN, REST[0], *REST, BASE],
    "another order": [GIVEN, *reversed(REST), BASE],
    "a file less": [GIVEN, *REST[1:], BASE],
    "another size": [manifest(members=changed_member(size=5)), *REST, BASE],
    "another checksum": [manifest(members=changed_member(sha256="0" * 64)), *REST, BASE],
    "no checksum": [manifest(members=changed_member(sha256="")), *REST, BASE],
    "a key as large as a disk": [manifest(members=changed_member(size=1 << 40)), *REST, BASE],
    "a negative size": [manifest(members=changed_member(size=-1)), *REST, BASE],
    "a name that is none of ours": [manifest(members=changed_member(name="../x")), *REST, BASE],
    "the name of the other database": [manifest(database="postgresql"), *REST, BASE],
    "an unknown database": [manifest(database="mysql"), *REST, BASE],
    "no files at all": [manifest(members=()), *REST, BASE],
    "a time without a zone": [manifest(made_at=datetime(2026, 12, 1)), *REST, BASE],
    "a path that commands a terminal": [manifest(members=changed_member(path="/x\x1b[2J")), *REST, BASE],
    "a version that does": [manifest(version="1.2.3\x1b[2J"), *REST, BASE],
    "a migration that does": [manifest(migrations=("a.\x9b2J",)), *REST, BASE],
    "a newer version that does": [manifest(version="9\x1b[2J", format=2), *REST, BASE],
    "text in the manifest": [header(MANIFEST, b"version: 2"), *REST, BASE],
    "an empty object in it": [header(MANIFEST, b"{}"), *REST, BASE],
    "a list in it": [header(MANIFEST, b"[" * 5000 + b"]" * 5000), *REST, BASE],
}


@each("what", HOSTILE)
def test_hostile_archives_are_refused(what, tmp_path):
    with pytest.raises(BackupError) as error:
        read(made(*HOSTILE[what]), tmp_path)
    assert str(error.value).isprintable()


def test_a_path_may_have_bytes_that_are_not_utf_8(tmp_path):
    members = changed_member(path="/var/lib/caf\udce9/postal.yml")
    found, _ = read(made(manifest(members=members), *REST, BASE), tmp_path)
    assert found.members == members


def test_a_newer_format_is_named(tmp_path):
    with pytest.raises(BackupError, match=r"its format is 2, .* made by postal-server 1\.2\.3"):
        read(made(manifest(format=2), *REST, BASE), tmp_path)


def test_what_is_not_compressed_may_be_encrypted(tmp_path):
    with pytest.raises(BackupError, match="Is it still encrypted"):
        read(b"-----BEGIN PGP MESSAGE-----", tmp_path)


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_headers_that_claim_to_be_long_are_not_read_into_memory(tmp_path):
    """100 MB of zeros are 400 KB in the file."""
    zeros = 100 * MB
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as compressed:
            info, _ = header("x", type=kind)
            info.size = zeros
            compressed.write(info.tobuf(tarfile.GNU_FORMAT))
            for _ in range(zeros // MB):
                compressed.write(bytes(MB))
        before = peak()
        with pytest.raises(BackupError, match="a header in it is longer"):
            read(out.getvalue(), tmp_path)
        assert peak() - before < 30 * MB


def test_zeros_behind_the_end_are_not_read_for_ever(tmp_path, written):
    endless = written + gzip.compress(bytes(2 * MAX_HEADER_BYTES))
    with pytest.raises(BackupError):
        read(endless, tmp_path)


def test_a_certificate_is_kept_before_the_database(tmp_path):
    content = b"certificate"
    with_certificate = (
        *MANIFEST_OF_ALL.members[:-1],
        member(CERTIFICATE, content),
        MANIFEST_OF_ALL.members[-1],
    )
    archive = made(manifest(members=with_certificate), *REST, header(CERTIFICATE, content), BASE)
    assert read(archive, tmp_path)[1][CERTIFICATE] == content
