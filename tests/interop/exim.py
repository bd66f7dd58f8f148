"""An Exim of our own: unpacked from Debian's package, as the package cannot be installed beside Postfix."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from postal_server.testing import free_ports

from . import daemons

PACKAGES = ("exim4-daemon-light", "libidn12")
UNPACKED = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "anymail-postal-tests" / "exim"
DOWNLOAD_SECONDS = 120
# Exim looks its user up by name. It finds it in files that only its own processes see.
USER = "Debian-exim"
NUMBER = 7913
START = """\
mount --bind {folder}/passwd /etc/passwd && mount --bind {folder}/group /etc/group || exit 1
exec {program} -C {folder}/exim.conf -bdf
"""
CONFIGURATION = """\
primary_hostname = exim.example
exim_path = {program}
keep_environment = LD_LIBRARY_PATH
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
never_users =
deliver_drop_privilege
tls_advertise_hosts =
acl_smtp_rcpt = check_recipient

begin acl
check_recipient:
  accept domains = late.example
  require verify = recipient
  accept

begin routers
reports:
  driver = manualroute
  domains = rp.localhost
  route_list = * 127.0.0.1::{reports} byname
  self = send
  transport = remote
mailbox:
  driver = accept
  domains = example.org : late.example
  local_parts = bob : full
  transport = mailbox
team:
  driver = redirect
  domains = late.example
  local_parts = team
  data = bob@late.example, gone@elsewhere.example, left@elsewhere.example

begin transports
remote:
  driver = smtp
  allow_localhost
mailbox:
  driver = appendfile
  file = {folder}/mail/$local_part_data
  quota = ${{if eq{{$local_part_data}}{{full}}{{100}}{{100M}}}}

begin retry
* quota
* * F,1h,1m
"""


def unpack(to: Path) -> Path:
    """Put Debian's Exim and its library below `to`; its path. Without it the test is skipped."""
    if not UNPACKED.exists():
        _download()
    shutil.copytree(UNPACKED, to, symlinks=True)  # root's cache is closed to Exim's user
    return to / "usr/sbin/exim4"


def _download() -> None:
    """Download the packages, and unpack them into the cache: all of them or none."""
    apt, dpkg = daemons.program("apt-get"), daemons.program("dpkg")
    UNPACKED.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=UNPACKED.parent))
    folder.chmod(0o755)
    try:
        done = subprocess.run(
            [apt, "download", *PACKAGES], cwd=folder, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS
        )
        if done.returncode:
            daemons.missing(f"Exim cannot be downloaded: {done.stderr.strip()}")
        for package in folder.glob("*.deb"):
            subprocess.run([dpkg, "-x", str(package), str(folder / "files")], check=True, timeout=60)
        (folder / "files/usr/sbin/exim4").chmod(0o755)  # without the bit that makes everybody root
        with contextlib.suppress(OSError):  # another run was faster
            (folder / "files").rename(UNPACKED)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Exim:
    """Takes mail for bob@example.org and refuses others there; for late.example it finds out too late."""

    def __init__(self, folder: Path, *, reports: int) -> None:
        [self.port] = free_ports(1)
        self.folder = folder
        self._reports = reports

    @contextlib.contextmanager
    def running(self) -> Iterator[Exim]:
        daemons.as_root()
        path = unpack(self.folder / "unpacked")
        self._write(path)
        libraries = ":".join(str(found) for found in self.folder.glob("unpacked/usr/lib/*-linux-*"))
        command = [daemons.program("unshare"), "--mount", "sh", str(self.folder / "start")]
        log, environment = self.folder / "exim.log", {"LD_LIBRARY_PATH": libraries}
        with daemons.running(command, self.port, log, environment):
            yield self

    def _write(self, path: Path) -> None:
        values = {"folder": self.folder, "program": path, "port": self.port, "reports": self._reports}
        for name in ("spool", "log", "mail"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, NUMBER, NUMBER)
        passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
        (self.folder / "passwd").write_text(f"{USER}:x:{NUMBER}:{NUMBER}::/:/bin/false\n{passwd}")
        (self.folder / "group").write_text(f"{USER}:x:{NUMBER}:\n{group}")
        (self.folder / "exim.conf").write_text(CONFIGURATION.format(**values))
        (self.folder / "start").write_text(START.format(**values))

    @property
    def log(self) -> str:
        path = self.folder / "log/mainlog"
        return path.read_text("utf-8", "replace") if path.exists() else ""
