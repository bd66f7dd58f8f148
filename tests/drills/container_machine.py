"""A machine with Podman in place of Docker, in namespaces of its own: no daemon, no registry of images.

Images come from a Debian that debootstrap makes, under the name that `Containerfile` has. In its namespaces
the machine has its own mounts, a network with loopback and those of its containers, and its own `/etc`.
"""

from __future__ import annotations

import contextlib
import os
import pty
import resource
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..interop import daemons
from ..readme import ROOT

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "anymail-postal-tests"
DEBIAN = "docker.io/library/debian:bookworm-slim"
# Without iptables, netavark fails once a container starts, and does not say what it misses.
PROGRAMS = ("podman", "debootstrap", "nsenter", "unshare", "ip", "crun", "tar", "iptables")
NETWORK_PROGRAMS = ("netavark", "aardvark-dns")
NETWORK_FOLDERS = ("/usr/lib/podman", "/usr/libexec/podman", "/usr/local/lib/podman")
SECONDS = 900
# crun takes one hierarchy of control groups, not both versions at once.
START = """\
set -e
if [ "$(stat --file-system --format %T /sys/fs/cgroup)" != cgroup2fs ]; then
    umount --recursive /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
fi
mount -t tmpfs none /run
mount -t overlay -o lowerdir=/etc,upperdir={folder}/etc,workdir={folder}/work none /etc
ip link set lo up
touch {folder}/started
while :; do sleep 60; done  # and bury what containers leave behind, as the first process of a machine does
"""
CONTAINERS = """\
[containers]
cgroups = "disabled"
default_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[network]
network_backend = "netavark"
"""
STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{folder}/images"
runroot = "{folder}/running"
"""
DOCKER = """\
#!/bin/sh
if [ "$1" = compose ]; then
    shift
    exec {python} -m podman_compose "$@"
fi
exec podman "$@"
"""
# What Docker's own image of Debian leaves out, too.
SLIM = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "var/lib/apt/lists",
    "var/log",
)
EXCLUDED = "".join(f"path-exclude /{path}/*\n" for path in SLIM[:4])


class ContainerMachine:
    """`docker` and `podman` here are the same. Use `running`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self._first_process = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[ContainerMachine]:
        self._write()
        start = START.format(folder=shlex.quote(str(self.folder)))
        namespaces = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--propagation", "private"]
        # With its first process, every other one of the machine ends.
        words = ["unshare", *namespaces, "--kill-child", "bash", "-c", start]
        process = subprocess.Popen(words)
        try:
            end = time.monotonic() + 30
            while not (self.folder / "started").exists():
                assert process.poll() is None, "the machine did not start"
                assert time.monotonic() < end, "the machine does not start"
                time.sleep(0.05)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii")
            [self._first_process] = children.split()
            yield self
        finally:
            process.kill()
            process.wait()

    def _write(self) -> None:
        for name in ("etc", "work", "bin", "images", "running"):
            (self.folder / name).mkdir()
        files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65_536)
        (self.folder / "containers.conf").write_text(CONTAINERS.format(files=files))
        (self.folder / "storage.conf").write_text(STORAGE.format(folder=self.folder, driver=self._driver()))
        docker = self.folder / "bin/docker"
        docker.write_text(DOCKER.format(python=sys.executable))
        docker.chmod(0o755)

    def _driver(self) -> str:
        """Overlay files cannot be laid over others: a machine that is a container itself copies instead."""
        kind = daemons.program("stat"), "--file-system", "--format", "%T", str(self.folder)
        named = subprocess.run(kind, capture_output=True, text=True, check=True).stdout.strip()
        return "vfs" if named == "overlayfs" else "overlay"

    @property
    def _environment(self) -> dict[str, str]:
        """Everything but what would configure our server, or another compose."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("POSTAL_", "COMPOSE_"))
        }
        return kept | {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
            "CONTAINERS_CONF": f"{self.folder}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.folder}/storage.conf",
            # Without a daemon, a build needs nothing but a folder that it changes its root to.
            "BUILDAH_ISOLATION": "chroot",
            "BUILDAH_FORMAT": "docker",
        }

    def _inside(self, line: str, *, has_internet: bool = False) -> list[str]:
        namespaces = ["--mount", "--pid"] if has_internet else ["--mount", "--pid", "--net"]
        within = f"cd {shlex.quote(str(self.project))} && {line}"
        return ["nsenter", *namespaces, "--target", self._first_process, "bash", "-c", within]

    def run(self, line: str, *, has_internet: bool = False, **environment: str) -> str:
        """What a command prints. Fails if its status is not 0. `has_internet`: it may leave the machine."""
        done = self.attempt(line, has_internet=has_internet, **environment)
        assert done.returncode == 0, f"{line} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def attempt(
        self, line: str, *, has_internet: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._inside(line, has_internet=has_internet),
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def python(self, code: str, *arguments: str) -> str:
        """What a program prints that speaks with the machine from the machine."""
        return self.run(shlex.join([sys.executable, "-c", code, *arguments]))

    def run_at_a_terminal(self, line: str, answers: dict[str, str]) -> str:
        """What a command prints at a terminal, where each question gets its answer, once."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            self._inside(line), env=self._environment, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        said, left, end = "", dict(answers), time.monotonic() + 120
        try:
            while time.monotonic() < end:
                if not select.select([ours], [], [], 1)[0]:
                    continue
                try:
                    said += os.read(ours, 4096).decode("utf-8", "replace")
                except OSError:  # the other side has closed it
                    break
                for question in [each for each in left if each in said]:
                    os.write(ours, left.pop(question).encode() + b"\n")
            assert process.wait(10) == 0, said
        finally:
            process.kill()
            os.close(ours)
        return said

    def make_image(self, name: str, containerfile: str) -> None:
        """Make an image of our own from Debian."""
        path = self.folder / "Containerfile.other"
        path.write_text(containerfile)
        self.run(
            f"podman build --layers=false --tag {name} --file {path} {self.folder}/bin", has_internet=True
        )


@contextlib.contextmanager
def machine() -> Iterator[ContainerMachine]:
    """A machine that has Debian's image, and the project without what is not part of it in `project`."""
    daemons.as_root()
    for name in PROGRAMS:
        daemons.program(name)
    for name in NETWORK_PROGRAMS:
        if not any(Path(folder, name).exists() for folder in NETWORK_FOLDERS):
            daemons.missing(f"{name} is not installed")
    debian = _debian()
    folder = Path(tempfile.mkdtemp(prefix="containers-"))
    try:
        left_out = shutil.ignore_patterns(".venv", ".tox", "*_cache", "__pycache__", "_build", "node_modules")
        shutil.copytree(ROOT, folder / "project", ignore=left_out)
        with ContainerMachine(folder).running() as made:
            made.run(f"podman import {debian} {DEBIAN}")
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _debian() -> Path:
    """Debian as an archive, made once. It trusts whom this machine trusts: an index may be behind a proxy."""
    archive = CACHE / "debian-bookworm.tar"
    if archive.exists():
        return archive
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as made:
        root, draft = Path(made, "root"), Path(made, "tar")
        words = ["debootstrap", "--variant=minbase", "bookworm", str(root)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
        if done.returncode:
            daemons.missing(f"debootstrap cannot make a Debian: {done.stdout[-500:]}{done.stderr[-500:]}")
        for path in (*SLIM, "var/cache/apt"):
            shutil.rmtree(root / path)
            (root / path).mkdir()
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(EXCLUDED)
        local = Path("usr/local/share/ca-certificates")
        if (Path("/") / local).is_dir():
            shutil.copytree(Path("/") / local, root / local, dirs_exist_ok=True)
        subprocess.run(["tar", "-C", str(root), "-cf", str(draft), "."], check=True, timeout=SECONDS)
        draft.rename(archive)
    return archive
