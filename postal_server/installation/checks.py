"""Whether this machine has what the planned configuration needs. Nothing here writes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from postal_server import files
from postal_server.conf import Config
from postal_server.errors import ConfigurationError
from postal_server.net.listening import CannotListen
from postal_server.services.preparation.target import check_relays
from postal_server.services.shared.delivery_policy import policy_of
from postal_server.services.shared.keys import request_key

from . import certificate, database, ports
from .answers import Answers
from .changes import Plan
from .values import user_name


def problems(answers: Answers, plan: Plan, now: datetime) -> Iterator[str]:
    """What has to be mended first, each in one line."""
    config = plan.config
    if of_folder := list(_folder_problems(answers, plan)):
        yield from of_folder
        return
    for check in (check_relays, policy_of, _check_signing_key):
        try:
            check(config)
        except ConfigurationError as error:
            yield str(error)
    yield from _certificate_problems(answers, config, now)
    if why := database.problem(config):
        yield why


@dataclass(frozen=True)
class TakenPorts:
    """What others listen on that this installation wants.

    `is_running`: processes of this very installation listen, which is in nobody's way.
    """

    in_the_way: tuple[str, ...]
    of_health_servers: tuple[str, ...]  # without which the processes go on
    is_running: bool


def taken_ports(config: Config) -> TakenPorts:
    """Raises `ConfigurationError` for an address that this machine does not have."""
    in_the_way = list(ports.clashes(config))
    of_health_servers: list[str] = []
    is_running = False
    for port in ports.wanted(config):
        try:
            holder = ports.holder(port, config)
        except CannotListen as error:
            key = f"{port.key.rpartition('_')[0]}_bind_address"
            raise ConfigurationError(f"{key}: {error.strerror}.") from error
        if holder is None:
            continue
        if holder.is_this_server:
            is_running = True
            continue
        (in_the_way if port.is_needed else of_health_servers).append(
            f"Port {port.number} is taken by {holder.description}. Stop that program, or choose another port "
            f"with {port.setting}."
        )
    return TakenPorts(tuple(in_the_way), tuple(of_health_servers), is_running)


def _folder_problems(answers: Answers, plan: Plan) -> Iterator[str]:
    """The folder has to be this user's: others could read what is in it, and a server could not write."""
    folder = _existing(plan.config.root)
    me = user_name(os.geteuid())
    try:
        status = folder.stat()
    except OSError as error:
        yield f"{folder}: cannot be used ({error.strerror})."
        return
    if not stat.S_ISDIR(status.st_mode):
        yield f"{plan.file.path}: cannot be made ({folder} is no folder)."
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield f"{plan.file.path}: cannot be made (the user {me} may not write in {folder})."
    elif answers.is_public and folder == plan.config.root and status.st_uid != os.geteuid():
        owner = user_name(status.st_uid)
        yield (
            f"{folder}: belongs to the user {owner}, not to {me}, and the server has to run as its owner. "
            f"Run this as that user: sudo -u {owner} postal-server ..."
        )
    if plan.file.exists and plan.text != plan.file.text and not _is_own(plan.file.path):
        yield f"{plan.file.path}: belongs to another user, so that {me} cannot change it."


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return folder if folder.exists() or folder == folder.parent else _existing(folder.parent)


def _is_own(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid()


def _check_signing_key(config: Config) -> None:
    if config.file(config.postal.signing_key_path).exists():
        request_key(config)


def _certificate_problems(answers: Answers, config: Config, now: datetime) -> Iterator[str]:
    """What is in the folder of the installation is made there; what comes from elsewhere must be there."""
    if not config.smtp_server.tls_enabled:
        return
    paths = files.certificate_paths(config)
    if files.makes_certificate(config) and not any(map(os.path.lexists, paths)) and not answers.certificate:
        return
    is_asked = answers.is_public or answers.certificate or answers.smtp_hostname
    check = certificate.problem if is_asked else certificate.unreadable
    if why := check(*paths, config.postal.smtp_hostname, now):
        yield f"{'--certificate' if answers.certificate else 'smtp_server.tls_certificate_path'}: {why}"


def remarks(answers: Answers, config: Config) -> Iterator[str]:
    """What works, but a person should know of."""
    if answers.is_public and (hosts := config.postal.allowed_request_destinations):
        yield f"Webhooks and posts may reach {', '.join(hosts)} (postal.allowed_request_destinations)."
    if answers.is_public and config.smtp_server.tls_enabled:
        yield from certificate.remarks(files.certificate_paths(config)[0], config.postal.smtp_hostname)
