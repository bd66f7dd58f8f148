"""The server as a service of systemd: its units and user, certbot's hook, and a site of nginx.

They are files of this package in which the paths and names of an installation are filled in. A file that
a person has changed is never written again.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from postal_server.conf import Config
from postal_server.errors import ConfigurationError

USER = "postal"  # who does not exist yet is made
UNITS = Path("etc/systemd/system")
SYSUSERS = Path("etc/sysusers.d/postal.conf")
HOOK = Path("etc/letsencrypt/renewal-hooks/deploy/postal")
SITE = Path("etc/nginx/conf.d/postal.conf")
SITE_HOOK = HOOK.with_name("postal-nginx")
CERTBOT = Path("/etc/letsencrypt")
STATE = Path("/var/lib")  # of services, for systemd

SOURCES = Path(__file__).parent
PLACEHOLDER = re.compile(r"@([a-z_]+)@")
# What neither a unit nor a shell nor nginx takes for more than a path, a host or an address. The service's
# user may write the configuration, and would otherwise have root run what it says.
PLAIN = re.compile(r"[\w/][\w./+:-]*")
# `ProtectHome` and `PrivateTmp` hide them from the service.
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - none is written to
# They would become the service's own.
OF_THE_SYSTEM = tuple(map(Path, ("/", "/etc", "/opt", "/srv", "/usr", "/usr/local", "/var", "/var/lib")))
SIGNATURE = "# Written by `postal-server service install`, and again unless it was changed. SHA-256: "


class Result(enum.Enum):
    """What became of a file."""

    WRITTEN = "wrote"
    CURRENT = "is up to date:"
    CHANGED = "was changed by hand, and stays:"


@dataclass(frozen=True)
class Service:
    """What the files name: the program, the configuration and the user."""

    program: Path
    config: Config
    user: str = USER

    def units(self) -> dict[Path, str]:
        """The text of each unit by its path below the root of the file system."""
        sources = SOURCES / "systemd"
        units = {path.relative_to(sources): path for path in sources.rglob("*") if path.is_file()}
        return {UNITS / name: self._filled(path) for name, path in sorted(units.items())}

    def sysusers(self) -> dict[Path, str]:
        """The usual user, for systemd-sysusers; others are made by whom they belong to."""
        return {SYSUSERS: self._filled(SOURCES / "sysusers/postal.conf")} if self.user == USER else {}

    def hook(self) -> dict[Path, str]:
        """certbot's hook, which writes the certificate for SMTP."""
        for name, path in (("tls_certificate_path", self._certificate), ("tls_private_key_path", self._key)):
            if path.is_relative_to(CERTBOT):
                raise ConfigurationError(
                    f"smtp_server.{name}: only root may write to {path}. Name a file in {self.config.root} "
                    "for certificate and key each: certbot's hook will write them."
                )
        return {HOOK: self._filled(SOURCES / "certbot/deploy-hook.sh")}

    def site(self) -> dict[Path, str]:
        """nginx's site, and the hook that has nginx read a renewed certificate."""
        return {
            SITE: self._filled(SOURCES / "nginx/postal.conf"),
            SITE_HOOK: self._filled(SOURCES / "certbot/nginx-hook.sh"),
        }

    @property
    def folders(self) -> list[Path]:
        """Where the service writes."""
        database = self.config.sqlite_file
        return list(dict.fromkeys([self.config.root, *([database.parent] if database else [])]))

    @property
    def _certificate(self) -> Path:
        return self.config.file(self.config.smtp_server.tls_certificate_path)

    @property
    def _key(self) -> Path:
        return self.config.file(self.config.smtp_server.tls_private_key_path)

    def _filled(self, path: Path) -> str:
        values = self._values()
        return PLACEHOLDER.sub(lambda found: values[found[1]], path.read_text("utf-8"))

    def _values(self) -> Mapping[str, str]:
        config = self.config
        host, port = config.web_server.default_bind_address, config.web_server.default_port
        if host in ("::", "0.0.0.0"):  # noqa: S104 - what the configuration says
            host = "127.0.0.1"
        host = _plain(host, "web_server.default_bind_address")
        return {
            "program": _plain(self.program, "the program"),
            "config": _plain(config.path, "the configuration"),
            "user": _plain(self.user, "--user"),
            "folder": _plain(config.root, "the configuration"),
            "folders": " ".join(_plain(folder, "the database") for folder in self.folders),
            "state": " ".join(
                str(folder.relative_to(STATE)) for folder in self.folders if folder.is_relative_to(STATE)
            ),
            "web_hostname": _plain(config.postal.web_hostname, "postal.web_hostname"),
            "smtp_hostname": _plain(config.postal.smtp_hostname, "postal.smtp_hostname"),
            "track_domain": _plain(config.dns.track_domain, "dns.track_domain"),
            "web_address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "certificate": shlex.quote(str(self._certificate)),
            "key": shlex.quote(str(self._key)),
        }


def _plain(value: object, name: str) -> str:
    """The text of a value that can stand in each of the files. Raises `ConfigurationError`."""
    text = str(value)
    if not PLAIN.fullmatch(text):
        raise ConfigurationError(
            f"{name}: {text!r} cannot stand in the files of a service. Use letters, digits and ./_+:- only."
        )
    return text


def running_program() -> Path:
    """The `postal-server` of this Python's environment. Raises `ConfigurationError`."""
    program = Path(sys.executable).with_name("postal-server")
    if not program.exists():
        raise ConfigurationError(f"{program}: there is no such program. Install the package with pip.")
    return program


def require_visible(service: Service) -> None:
    """Raise `ConfigurationError` for paths that the service could not reach."""
    for path in (service.program, Path(sys.base_prefix), *service.folders):
        for hidden in HIDDEN:
            if path.is_relative_to(hidden) or path.resolve().is_relative_to(hidden):
                raise ConfigurationError(
                    f"{path}: services cannot see {hidden}. Use another folder: /opt/postal for the program, "
                    "/var/lib/postal for the configuration and the database."
                )


def require_own_folders(service: Service) -> None:
    """Raise `ConfigurationError` if configuration or database lie in a folder of the system."""
    for folder in service.folders:
        if folder in OF_THE_SYSTEM:
            raise ConfigurationError(
                f"{folder}: configuration and database need a folder that belongs to the service alone. "
                "Move them to /var/lib/postal."
            )


def require_systemd() -> None:
    """Raise `ConfigurationError` where the machine has no systemd, or this user may not change it."""
    if not shutil.which("systemd-sysusers"):
        raise ConfigurationError(
            "There is no systemd on this machine: have another program start `postal-server run`."
        )
    if os.geteuid() != 0:
        raise ConfigurationError("Only root may install a service.")


def write(root: Path, files: Mapping[Path, str]) -> Iterator[tuple[Path, Result]]:
    """Write what is new; the path of each file with what became of it."""
    for name, text in files.items():
        path = root / name
        yield path, _write(path, text)


def _write(path: Path, text: str) -> Result:
    signed = _signed(text)
    if path.exists():
        there = path.read_text("utf-8")
        if there == signed:
            return Result.CURRENT
        if not _is_ours(there):
            return Result.CHANGED
    _make_folders(path.parent)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(signed, "utf-8")
    draft.chmod(0o755 if text.startswith("#!") else 0o644)
    draft.replace(path)
    return Result.WRITTEN


def _make_folders(folder: Path) -> None:
    """Everybody may read them, whatever the umask."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir()
        missing.chmod(0o755)


def _signed(text: str) -> str:
    return f"{text}{SIGNATURE}{hashlib.sha256(text.encode()).hexdigest()}\n"


def _is_ours(signed: str) -> bool:
    """Is this as we wrote it, in this version or an earlier one?"""
    return signed == _signed(signed.rpartition(SIGNATURE)[0])


def require_user(name: str) -> None:
    """Make the usual user where there is none. Raises `ConfigurationError` for another who is unknown."""
    if name == USER and not _is_user(name):
        subprocess.run(["systemd-sysusers", SYSUSERS.name], check=False)  # noqa: S603, S607 - no input
    if not _is_user(name):
        raise ConfigurationError(f"--user: there is no user {name}.")


def _is_user(name: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def folders_of_others(service: Service) -> list[Path]:
    """The folders of the installation that do not belong to the service's user."""
    owner = pwd.getpwnam(service.user).pw_uid
    return [folder for folder in service.folders if folder.stat().st_uid != owner]
