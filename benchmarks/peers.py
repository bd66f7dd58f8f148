"""Other mail servers to compare with, each in a separate folder on loopback.

A peer is started only if it is installed: Postfix and OpenDKIM from Debian, Haraka by npm (`HARAKA`
below). All of them accept mail from loopback without a password. With `deliver` they relay it to the
sink; otherwise it is held (Postfix) or discarded (Haraka and aiosmtpd, which store nothing on disk) after
the acknowledgement.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from postal_server.mail import dkim

from .processes import free_port, running, temporary_folder, wait_for_port
from .sink import SMTP_PORT

# npm install --prefix .benchmarks/haraka Haraka
HARAKA = Path(".benchmarks/haraka/node_modules/Haraka/bin/haraka")
SINK_HOST = "127.0.1.1"
SELECTOR = "bench"
SIGNED_DOMAIN = "sender.example"

POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
smtpd_tls_security_level = none
"""
POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""
# Recommended by its documentation on performance for a machine that only relays.
POSTFIX_TUNED = """\
in_flow_delay = 0
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
default_process_limit = 200
smtp_destination_concurrency_limit = 50
initial_destination_concurrency = 20
"""
OPENDKIM = """\
Syslog no
UserID root
Mode s
Domain {domain}
Selector {selector}
KeyFile {key}
RequireSafeKeys no
Canonicalization relaxed/relaxed
Socket inet:{port}@127.0.0.1
PidFile {folder}/opendkim.pid
"""
HARAKA_PLUGIN = """\
exports.register = function () {
  this.register_hook('connect', 'let_relay');
  this.register_hook('rcpt', 'take');
  this.register_hook('get_mx', 'to_sink');
  DISCARD
};
exports.let_relay = (next, connection) => { connection.relaying = true; next(); };
exports.take = (next) => next(OK);
exports.to_sink = (next) => next(OK, { priority: 0, exchange: 'HOST', port: PORT });
exports.discard = (next) => next(OK);
"""
AIOSMTPD = """\
import asyncio, sys
import uvloop
from aiosmtpd.smtp import SMTP

class Taker:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"

async def serve():
    def connection():
        return SMTP(Taker(), hostname="aiosmtpd.example")

    await asyncio.get_running_loop().create_server(connection, "127.0.0.1", int(sys.argv[1]))
    await asyncio.Event().wait()

uvloop.run(serve())
"""


@dataclass(frozen=True)
class Peer:
    """A running server: its port, and the first of its processes."""

    port: int
    pids: tuple[int, ...]


Start = Callable[..., contextlib.AbstractContextManager[Peer]]


def installed() -> dict[str, Start]:
    """Every peer that can be started here, by the name in the tables."""
    found: dict[str, Start] = {"aiosmtpd": aiosmtpd}
    if shutil.which("postfix", path="/usr/sbin:/usr/bin"):
        found["Postfix"] = postfix
        found["Postfix, tuned"] = postfix_tuned
        if shutil.which("opendkim", path="/usr/sbin:/usr/bin"):
            found["Postfix + OpenDKIM, tuned"] = postfix_opendkim
    if HARAKA.exists() and shutil.which("node"):
        found["Haraka"] = haraka
    return found


@contextlib.contextmanager
def postfix(*, deliver: bool, more: str = "") -> Iterator[Peer]:
    """Postfix with Debian's settings, except for loopback and `more`."""
    with temporary_folder() as folder:
        folder.chmod(0o755)  # Postfix's processes are not root
        port = free_port()
        onward = (
            f"transport_maps = static:smtp:[{SINK_HOST}]:{SMTP_PORT}\n"
            if deliver
            else "smtpd_client_restrictions = check_client_access static:HOLD\n"
        )
        (folder / "main.cf").write_text(POSTFIX_MAIN.format(folder=folder) + onward + more)
        (folder / "master.cf").write_text(POSTFIX_MASTER.format(port=port))
        (folder / "queue").mkdir()
        (folder / "data").mkdir()
        shutil.chown(folder / "data", "postfix")
        _postfix(folder, "start")
        try:
            wait_for_port(port)
            yield Peer(port, (int((folder / "queue" / "pid" / "master.pid").read_text()),))
        finally:
            _postfix(folder, "stop")


def _postfix(folder: Path, action: str) -> None:
    subprocess.run(["/usr/sbin/postfix", "-c", folder, action], check=True, capture_output=True)


def postfix_tuned(*, deliver: bool) -> contextlib.AbstractContextManager[Peer]:
    return postfix(deliver=deliver, more=POSTFIX_TUNED)


@contextlib.contextmanager
def postfix_opendkim(*, deliver: bool) -> Iterator[Peer]:
    """Postfix, tuned, whose mail OpenDKIM signs with RSA-2048."""
    with temporary_folder() as folder:
        port = free_port()
        key = folder / "key.pem"
        key.write_text(dkim.generate_rsa())
        configuration = folder / "opendkim.conf"
        configuration.write_text(
            OPENDKIM.format(domain=SIGNED_DOMAIN, selector=SELECTOR, key=key, port=port, folder=folder)
        )
        milter = f"smtpd_milters = inet:127.0.0.1:{port}\nmilter_default_action = tempfail\n"
        with running(["/usr/sbin/opendkim", "-f", "-x", configuration], folder) as signer:
            wait_for_port(port)
            with postfix(deliver=deliver, more=POSTFIX_TUNED + milter) as peer:
                yield Peer(peer.port, (*peer.pids, signer.pid))


@contextlib.contextmanager
def haraka(*, deliver: bool) -> Iterator[Peer]:
    """Haraka in two processes; mail that it relays is signed with RSA-2048."""
    with temporary_folder() as folder:
        port = free_port()
        shutil.copytree(HARAKA.parent.parent / "config", folder / "config")
        settings = {
            "smtp.ini": f"listen=127.0.0.1:{port}\nnodes=2\n",
            "plugins": "bench\ndkim\n" if deliver else "bench\n",
            "outbound.ini": "enable_tls=false\nlocal_mx_ok=true\nconcurrency_max=100\n",
            "dkim.ini": "[sign]\nenabled=true\n[verify]\nenabled=false\n",
            "log.ini": "[main]\nlevel=ERROR\n",
            "me": "haraka.example\n",
            f"dkim/{SIGNED_DOMAIN}/private": dkim.generate_rsa(),
            f"dkim/{SIGNED_DOMAIN}/selector": SELECTOR,
        }
        for name, content in settings.items():
            path = folder / "config" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (folder / "plugins").mkdir()
        discard = "" if deliver else "this.register_hook('queue_outbound', 'discard');"
        plugin = HARAKA_PLUGIN.replace("DISCARD", discard).replace("HOST", SINK_HOST)
        (folder / "plugins" / "bench.js").write_text(plugin.replace("PORT", str(SMTP_PORT)))
        with running(["node", HARAKA.absolute(), "-c", folder], folder) as process:
            wait_for_port(port)
            time.sleep(2)  # until both of its processes listen
            yield Peer(port, (process.pid,))


@contextlib.contextmanager
def aiosmtpd(*, deliver: bool) -> Iterator[Peer]:
    """aiosmtpd in a separate event loop. It relays nothing."""
    assert not deliver
    with temporary_folder() as folder:
        port = free_port()
        with running([sys.executable, "-c", AIOSMTPD, str(port)], folder) as process:
            wait_for_port(port)
            yield Peer(port, (process.pid,))
