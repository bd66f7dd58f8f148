"""A bare Debian 12 in a folder: what `debootstrap` makes. Needs root, Debian's mirror, and a package index.

What was downloaded is kept in the user's cache folder, and so is the system itself, for a week.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.interop.daemons import as_root, missing, program

SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "anymail-postal-tests"
KEPT_SECONDS = 7 * 24 * 3600
SECONDS = 900  # of a command: the slowest downloads packages
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
# Where the system finds what was downloaded before, below its root and below the cache folder.
DOWNLOADS = {"var/cache/apt/archives": "apt", "root/.cache/pip": "pip"}
# It has its own processes' view of /proc and /dev, which ends with the command. $1 is the root, $2 the cache.
ENTER = "; ".join(
    [
        "set -e",
        'mount -t proc proc "$1/proc"',
        'mount --rbind /dev "$1/dev"',
        *(f'mount --bind "$2/{kept}" "$1/{folder}"' for folder, kept in DOWNLOADS.items()),
        'root=$1; shift 2; exec chroot "$root" "$@"',
    ]
)
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
NO_DAEMONS = "#!/bin/sh\nexit 101\n"  # packages start nothing: there is no init


@dataclass(frozen=True)
class Debian:
    """A system in the folder `root`."""

    root: Path

    def entered(self, words: Sequence[str]) -> list[str]:
        """The command line that runs these words in the system, as root, and is replaced by them."""
        return [program("unshare"), "--mount", "sh", "-c", ENTER, "sh", str(self.root), str(CACHE), *words]

    def start(
        self, *words: str, output: IO[bytes] | int, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """A command that goes on. Its process is the command itself."""
        return subprocess.Popen(
            self.entered(words),
            env={**ENVIRONMENT, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def done(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """A command that has ended; in `stdout` all that it printed. `given` is its standard input."""
        return subprocess.run(
            self.entered(words),
            env=ENVIRONMENT,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            start_new_session=True,
        )

    def run(self, *words: str, given: str = "") -> str:
        """What a command prints. Fails with it if the command ends with another status than 0."""
        done = self.done(*words, given=given)
        assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def path(self, name: str | Path) -> Path:
        """Where a file of the system, named from its root, is on this machine."""
        return self.root / str(name).lstrip("/")

    def trust(self, name: str, certificate: str) -> None:
        """Let the system trust an authority, whose certificate is given as PEM."""
        self.write(f"usr/local/share/ca-certificates/{name}.crt", certificate)
        self.run("update-ca-certificates")

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)
        return path


@contextmanager
def bare(variant: str = "") -> Iterator[Debian]:
    """A new system that nobody has touched; `variant` is one of debootstrap's, such as `minbase`."""
    as_root()
    kept = _kept(variant)
    folder = Path(tempfile.mkdtemp(prefix="debian-"))
    try:
        root = folder / "root"
        root.mkdir()
        _tar("--extract", "--file", kept, "--directory", root)
        yield Debian(root)
    finally:
        shutil.rmtree(folder)  # nothing of this machine is mounted there: see ENTER


def _kept(variant: str) -> Path:
    """The system as a tar file."""
    kept = CACHE / f"{SUITE}{'-' * bool(variant)}{variant}.tar"
    if kept.exists() and time.time() - kept.stat().st_mtime < KEPT_SECONDS:
        return kept
    for name in DOWNLOADS.values():
        (CACHE / name).mkdir(parents=True, exist_ok=True)
    debootstrap = program("debootstrap")
    folder = Path(tempfile.mkdtemp(prefix="debootstrap-"))
    try:
        root = folder / "root"
        options = ["--include=ca-certificates", *([f"--variant={variant}"] if variant else [])]
        done = subprocess.run(
            [debootstrap, *options, SUITE, str(root), MIRROR],
            env={**ENVIRONMENT, "PATH": f"{os.environ['PATH']}:{ENVIRONMENT['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            missing(f"no Debian from {MIRROR}: {done.stdout[-300:]}")
        _settle(Debian(root))
        _tar("--create", "--file", folder / "new.tar", "--one-file-system", "--directory", root, ".")
        shutil.move(folder / "new.tar", kept)
    finally:
        shutil.rmtree(folder)
    return kept


def _settle(debian: Debian) -> None:
    """What an installer or a provider of machines would have done."""
    debian.write(
        "etc/apt/sources.list",
        f"deb {MIRROR} {SUITE} main\n"
        f"deb {MIRROR} {SUITE}-updates main\n"
        f"deb {SECURITY} {SUITE}-security main\n",
    )
    debian.write("usr/sbin/policy-rc.d", NO_DAEMONS, 0o755)
    for package in debian.path("var/cache/apt/archives").glob("*.deb"):
        package.unlink()
    debian.path("root/.cache/pip").mkdir(parents=True, exist_ok=True)
    if (names := Path("/etc/resolv.conf")).exists():
        debian.write(str(names), names.read_text("utf-8"))
    _trust_whom_this_machine_trusts(debian)


def _trust_whom_this_machine_trusts(debian: Debian) -> None:
    """Machines of companies reach package indexes through proxies with certificates of their own."""
    here, there = (
        set(PEM.findall(path.read_text("utf-8"))) for path in (AUTHORITIES, debian.path(AUTHORITIES))
    )
    for number, certificate in enumerate(sorted(here - there)):
        debian.trust(f"machine-{number}", certificate)


def _tar(*words: str | Path) -> None:
    subprocess.run([program("tar"), "--numeric-owner", *map(str, words)], check=True)
