"""Who listens on the ports that the server wants."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import itertools
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from postal_server.conf import DEFAULT_PATH, PATH_VARIABLE, Config
from postal_server.net.listening import CannotListen, bind
from postal_server.services.shared.delivery_policy import policy_of

from .values import user_name

PROC = Path("/proc")
LISTENING = "0A"  # a state in /proc/net/tcp
BANNER_SECONDS = 5.0  # mail servers look up who is there before they greet
ALL_HOSTS = frozenset({"::", "0.0.0.0", ""})  # noqa: S104
BANNER_LENGTH = 80  # characters shown


@dataclass(frozen=True)
class Port:
    """An address to listen on, the key that names its port, and the option that sets it."""

    host: str
    number: int
    key: str
    option: str = ""
    is_needed: bool = True  # without a health server, processes go on

    @property
    def setting(self) -> str:
        """What decides on the number."""
        return f"the key {self.key}" + (f" or {self.option} here" if self.option else "")


@dataclass(frozen=True)
class Holder:
    """The process that listens on a port; without a number it belongs to another user."""

    description: str
    is_this_server: bool = False


def wanted(config: Config) -> list[Port]:
    """The ports that the processes of this installation listen on."""
    smtp, web, worker = config.smtp_server, config.web_server, config.worker
    ports = [
        Port(smtp.default_bind_address, smtp.default_port, "smtp_server.default_port", "--smtp-port"),
        Port(smtp.default_bind_address, smtp.submission_port, "smtp_server.submission_port"),
        Port(smtp.default_bind_address, smtp.implicit_tls_port, "smtp_server.implicit_tls_port"),
        Port(web.default_bind_address, web.default_port, "web_server.default_port", "--web-port"),
        Port(
            worker.default_health_server_bind_address,
            worker.default_health_server_port,
            "worker.default_health_server_port",
            is_needed=False,
        ),
    ]
    if policy_of(config).needs_catch and _is_loopback(config.delivery.catch_host):
        ports.append(Port(config.delivery.catch_host, config.delivery.catch_port, "delivery.catch_port"))
    return [port for port in ports if port.number]


def _is_loopback(host: str) -> bool:
    """Is this the machine itself? In containers, the catch is in another one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def clashes(config: Config) -> Iterator[str]:
    """A sentence for each two of them that cannot be listened on at the same time."""
    needed = [port for port in wanted(config) if port.is_needed]
    for one, other in itertools.combinations(needed, 2):
        is_same_host = one.host == other.host or not ALL_HOSTS.isdisjoint((one.host, other.host))
        if one.number == other.number and is_same_host:
            yield f"Port {one.number} is wanted twice. Choose another with {one.setting}, or {other.setting}."


def holder(port: Port, config: Config) -> Holder | None:
    """Who listens there already; None if nobody does."""
    try:
        bind(port.host, port.number).close()
    except CannotListen as error:
        is_taken = error.errno == errno.EADDRINUSE
        if not is_taken and error.errno != errno.EACCES:
            raise
        # Ports below 1024 are refused to most users, taken or not.
        return _who(port, config) if is_taken or _listeners(port.number) else None
    return None


def _who(port: Port, config: Config) -> Holder:
    listeners = _listeners(port.number)
    for pid, inode in _sockets():
        if inode in listeners:
            return _process(pid, config)
    # A process with a capability, as our service has, shows its sockets to root alone.
    for pid in _processes_of(set(listeners.values())):
        if (found := _process(pid, config)).is_this_server:
            return found
    owners = sorted({user_name(uid) for uid in listeners.values()})
    says = f", which says {line!r}" if (line := banner(port)) else ""
    return Holder(f"a program of the user {', '.join(owners) or 'unknown'}{says}")


def _process(pid: int, config: Config) -> Holder:
    words = _words(pid)
    return Holder(f"{_program(words)} (process {pid})", _is_server(pid, words, config))


def _processes_of(users: set[int]) -> Iterator[int]:
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid in users:
                yield int(folder.name)


def _listeners(number: int) -> dict[str, int]:
    """The inodes of the sockets that listen on a port, and the ids of their users."""
    found = {}
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (PROC / "net" / table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == number:
                    found[fields[9]] = int(fields[7])
    return found


def _sockets() -> Iterator[tuple[int, str]]:
    """The process ids and inodes of all open sockets that this user may see."""
    for folder in PROC.glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for link in folder.iterdir():
                with contextlib.suppress(OSError):
                    target = os.readlink(link)
                    if target.startswith("socket:["):
                        yield int(folder.parent.name), target[8:-1]


def _words(pid: int) -> list[str]:
    """The command line of a process, or its name."""
    with contextlib.suppress(OSError):
        words = (
            (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").decode("utf-8", "replace").split("\0")
        )
        if words[0]:
            return words
        return [(PROC / str(pid) / "comm").read_text("utf-8").strip()]
    return ["a program"]


def _program(words: list[str]) -> str:
    """What a command line starts; of further words, which may be secret, only what Python runs."""
    if os.path.basename(words[0]).startswith("python") and words[1:2] != ["-c"]:
        return " ".join(words[:3])
    return words[0]


def _is_server(pid: int, words: list[str], config: Config) -> bool:
    """Is it a process of this installation, by the configuration file that its command line names?"""
    if not any(word.endswith(("postal-server", "postal_server")) for word in words):
        return False
    named = [
        word.partition("=")[2] or "".join(words[index + 1 : index + 2])
        for index, word in enumerate(words)
        if word.startswith("--config")
    ]
    try:
        path = Path(named[-1]) if named else _configuration_by_environment(pid)
        folder = Path("/") if path.is_absolute() else (PROC / str(pid) / "cwd").resolve(strict=True)
    except OSError:
        return False
    return config.path is not None and os.path.realpath(folder / path) == os.path.realpath(config.path)


def _configuration_by_environment(pid: int) -> Path:
    variables = (PROC / str(pid) / "environ").read_bytes().decode("utf-8", "replace").split("\0")
    return Path(dict(each.partition("=")[::2] for each in variables).get(PATH_VARIABLE) or DEFAULT_PATH)


def banner(port: Port) -> str:
    """How a mail server introduces itself; empty for others. It may be another user's process."""
    if not port.key.startswith("smtp_server."):
        return ""
    host = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(port.host, port.host)  # noqa: S104
    for address in dict.fromkeys((host, "127.0.0.1")):
        with (
            contextlib.suppress(OSError),
            socket.create_connection((address, port.number), BANNER_SECONDS) as it,
        ):
            line = it.recv(512).decode("utf-8", "replace").partition("\r")[0]
            return "".join(each for each in line if each.isprintable())[:BANNER_LENGTH]
    return ""
