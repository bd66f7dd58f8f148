"""A system that runs: systemd is its first process, in namespaces of its own.

Needs root, and version 2 of control groups beside whatever else the machine has.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.interop.daemons import program

from .debian import ENVIRONMENT, SECONDS, Debian

BOOT_SECONDS = 60.0
NAMESPACES = ("mount", "uts", "ipc", "net", "pid", "cgroup", "root", "wd")
# A control group for all of its processes. $1 is the root, $2 the group's name, $4 `--net` or nothing.
ENCLOSE = """\
set -e
mount -t cgroup2 none "$1/sys"
mkdir "$1/sys/$2"
echo $$ >"$1/sys/$2/cgroup.procs"
umount "$1/sys"
exec unshare --fork --kill-child --pid $4 --uts --ipc --cgroup sh -c "$3" sh "$1"
"""
BOOT = """\
set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs none run
mount -t tmpfs none tmp
mount -t tmpfs -o mode=755 none dev
for name in null zero full random urandom tty; do
    touch dev/$name
    mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
pivot_root . mnt
umount --lazy /mnt
exec env --ignore-environment container=other PATH="$PATH" /lib/systemd/systemd --log-target=journal
"""
REMOVE = """\
mount -t cgroup2 none "$1/sys"
find "$1/sys/$2" -depth -type d -exec rmdir {} +
"""


@dataclass(frozen=True)
class Booted:
    """A running system; `init` is its first process as this machine knows it."""

    debian: Debian
    init: int

    def done(
        self, command: str, given: str = "", *, is_outside: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """A command line of root's login shell that has ended; in `stdout` all that it printed.

        What `is_outside` has the network of the machine that runs the drill.
        """
        namespaces = [f"--{name}" for name in NAMESPACES if name != "net" or not is_outside]
        return subprocess.run(
            [program("nsenter"), "--target", str(self.init), *namespaces, "bash", "--login", "-c", command],
            env=ENVIRONMENT,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )

    def run(self, command: str, given: str = "") -> str:
        """What a command line prints. Fails with it if the command ends with another status than 0."""
        done = self.done(command, given)
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def journal(self, unit: str) -> str:
        return self.run(f"journalctl --no-pager --output=cat --unit={unit}")


@contextlib.contextmanager
def booted(debian: Debian, *, has_own_network: bool = True) -> Iterator[Booted]:
    """Start a system, which ends with the context.

    Its network is loopback alone, or else what the thread has that starts it.
    """
    root, group = str(debian.root), f"postal-drill-{os.getpid()}"
    net = "--net" if has_own_network else ""
    log = debian.root.parent / "boot.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program("unshare"), "--mount", "sh", "-c", ENCLOSE, "sh", root, group, BOOT, net],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield _running(debian, process, log)
    finally:
        process.kill()
        process.wait()
        _remove_group(root, group)


def _running(debian: Debian, process: subprocess.Popen[bytes], log: Path) -> Booted:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + BOOT_SECONDS
    state = "not even begun"
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text("utf-8")
        if (debian.root / "etc/machine-id").exists() and (found := children.read_text().split()):
            machine = Booted(debian, int(found[0]))
            state = machine.done("systemctl is-system-running").stdout.strip()
            if state == "running":
                return machine
        time.sleep(0.2)
    raise AssertionError(f"It did not boot in {BOOT_SECONDS:.0f} s ({state}):\n{log.read_text('utf-8')}")


def _remove_group(root: str, group: str) -> None:
    end = time.monotonic() + BOOT_SECONDS
    words = [program("unshare"), "--mount", "sh", "-c", REMOVE, "sh", root, group]
    while subprocess.run(words, capture_output=True).returncode and time.monotonic() < end:
        time.sleep(0.2)  # its last processes are ending
