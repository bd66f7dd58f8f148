"""The scanners as Debian has them, each in a folder of its own, without network and without root's rights."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postal_server.testing import free_ports

from . import daemons

# Written in two pieces, so that nobody's scanner takes this file for what it describes.
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
OFFER = "A marvellous offer"

HEADER = (
    b"From: Ann <ann@example.org>\r\nTo: Bob <bob@example.com>\r\nSubject: Lunch on Friday\r\n"
    b"Date: Tue, 03 Nov 2026 10:00:00 +0000\r\nMessage-ID: <lunch@example.org>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
)
CLEAN = HEADER + b"Shall we meet at noon?\r\n"
BAD = {
    "rspamd": HEADER + OFFER.encode() + b"\r\n",
    "spamd": HEADER + GTUBE.encode() + b"\r\n",
    "clamav": HEADER + EICAR.encode() + b"\r\n",
}

RSPAMD = """\
options {{
  filters = "regexp";
  pidfile = "{folder}/rspamd.pid";
  url_tld = "{folder}/tld";
  tempdir = "{folder}"; dbdir = "{folder}"; hs_cache_dir = "{folder}"; rrd = "";
  control_socket = "{folder}/rspamd.sock mode=0600";
  dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{ type = "console"; level = "notice"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
actions {{ reject = 15; add_header = 6; }}
lua = "{folder}/rules.lua";
"""
RSPAMD_RULES = """\
config["regexp"] = {
  BAD_OFFER = { re = "/marvellous offer/i{body}", score = 8.5, description = "an offer", group = "own" },
  NO_WORDS = { re = "/marvellous offer/i{body}", score = 3.0, group = "own" },
}
"""
CLAMD = """\
Foreground yes
TCPAddr 127.0.0.1
TCPSocket {port}
DatabaseDirectory {folder}/db
{user}
"""


@dataclass(frozen=True)
class Scanner:
    """`prepare` writes what the daemon reads in its folder, and is told its port; the command starts it."""

    name: str  # of its group in postal.yml
    program: str
    prepare: Callable[[Path, int], Sequence[str]]

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[int]:
        """Start it and say on which port."""
        path = daemons.program(self.program)
        [port] = free_ports(1)
        folder.chmod(0o777)
        command = [path, *self.prepare(folder, port)]
        with daemons.running(command, port, folder / "log", {"HOME": str(folder), "TMPDIR": str(folder)}):
            yield port


def is_root() -> bool:
    return os.geteuid() == 0


def rspamd(folder: Path, port: int) -> Sequence[str]:
    (folder / "tld").write_text("com\norg\n")
    (folder / "rules.lua").write_text(RSPAMD_RULES)
    (folder / "rspamd.conf").write_text(RSPAMD.format(folder=folder, port=port))
    return [
        "-f", "-c", str(folder / "rspamd.conf"), *(["-u", "nobody", "-g", "nogroup"] if is_root() else []),
    ]  # fmt: skip


def spamd(folder: Path, port: int) -> Sequence[str]:
    """With Debian's own rules, those apart that ask somebody."""
    children = [f"--{name}=1" for name in ("max-children", "min-children", "min-spare", "max-spare")]
    return [
        "--local", "--nouser-config", "--listen=127.0.0.1", f"--port={port}", "--cf=use_bayes 0",
        "--cf=dns_available no", f"--pidfile={folder}/spamd.pid", "--syslog=stderr", *children,
        *(["--username=nobody"] if is_root() else []),
    ]  # fmt: skip


def clamd(folder: Path, port: int) -> Sequence[str]:
    (folder / "db").mkdir()
    (folder / "db/own.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.encode().hex()}\n")
    user = "User nobody" if is_root() else ""
    (folder / "clamd.conf").write_text(CLAMD.format(folder=folder, port=port, user=user))
    return ["-c", str(folder / "clamd.conf")]


SCANNERS = {
    "rspamd": Scanner("rspamd", "rspamd", rspamd),
    "spamd": Scanner("spamd", "spamd", spamd),
    "clamav": Scanner("clamav", "clamd", clamd),
}
