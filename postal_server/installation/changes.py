"""What an installation's configuration file says, against what is wanted of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from postal_server import conf
from postal_server.conf import ALLOWLIST, CATCH, Config
from postal_server.conf_environment import read
from postal_server.errors import ConfigurationError
from postal_server.rules.request_destination import AllowedDestinations

from . import modes
from .answers import Answers
from .configuration_file import ConfigurationFile, value_of
from .configuration_text import shown, with_values
from .modes import DEVELOPMENT, Mode
from .values import is_private_host

DELIVERY_MODE, RELAYS, ALLOWED = (
    "delivery.mode",
    "postal.smtp_relays",
    "postal.allowed_request_destinations",
)
# Where a person's value differs from that of the mode, there is nothing to tell.
OF_THE_MACHINE = {"storage.url", "smtp.from_address", ALLOWED} | {
    f"{group}.{key}"
    for group in ("web_server", "smtp_server")
    for key in ("default_port", "default_bind_address", "submission_port", "implicit_tls_port")
}


@dataclass(frozen=True)
class Setting:
    """A value for a key. `option` asked for it; without one, the key only gets it where nobody set it."""

    value: Any
    option: str = ""


@dataclass(frozen=True)
class Plan:
    """What becomes of the configuration file: its text, what that means, and what to tell of it.

    `kept` has the keys that a person set to something else than the mode would.
    """

    file: ConfigurationFile
    text: str
    config: Config
    changes: tuple[str, ...]
    kept: tuple[str, ...]


def plan(answers: Answers, file: ConfigurationFile, environ: Mapping[str, str]) -> Plan:
    """Raises `ConfigurationError` where an option cannot have its way."""
    settings = _wanted(answers, file)
    changed: dict[str, Any] = {}
    changes, kept = [], []
    for key, setting in settings.items():
        old, new = value_of(file.own, key), setting.value
        if not file.has(key):
            if new != ():
                changed[key] = new
                changes.append(f"{key}: {shown(key, new)}")
        elif old != new:
            if setting.option or old == DEVELOPMENT.get(key):
                changed[key] = None if new == () else new
                changes.append(f"{key}: {shown(key, new)} instead of {shown(key, old)}")
            elif key not in OF_THE_MACHINE:
                kept.append(
                    f"{key} stays {shown(key, old)}, not {shown(key, new)}: to change it, edit {file.path}."
                )
    text = with_values(file.text, changed, file.path)
    config = conf.read_text(text, file.path, environ)
    _require_no_variable(settings, config, environ)
    return Plan(file, text, config, tuple(changes), tuple(kept))


def _require_no_variable(settings: Mapping[str, Setting], config: Config, environ: Mapping[str, str]) -> None:
    for key, setting in settings.items():
        found = read(conf.variable(key), environ) if setting.option else None
        if found and value_of(config, key) != setting.value:
            raise ConfigurationError(
                f"{setting.option}: the environment variable {found[0]} says something else, and wins over "
                f"{key} in {config.path}. Change it or unset it."
            )


def _wanted(answers: Answers, file: ConfigurationFile) -> dict[str, Setting]:
    """What the mode writes, and what options ask for."""
    of_mode: Mapping[str, Any] = {}
    if answers.is_public:
        of_mode = modes.public(answers.hostname, answers.smtp_hostname, *answers.domains[:1])
    elif not file.exists:
        of_mode = DEVELOPMENT
    elif (answers.hostname or answers.smtp_hostname) and file.own.delivery.mode != CATCH:
        given = file.own.postal
        hosts = (answers.hostname or given.web_hostname, answers.smtp_hostname or given.smtp_hostname)
        of_mode = {key: value for key, value in modes.public(*hosts).items() if key.startswith("dns.")}
    return {key: Setting(value) for key, value in of_mode.items()} | dict(_asked(answers, file))


def _asked(answers: Answers, file: ConfigurationFile) -> Iterator[tuple[str, Setting]]:
    """The keys that options set."""
    for option, key, value in (
        ("--hostname", "postal.web_hostname", answers.hostname),
        ("--smtp-hostname", "postal.smtp_hostname", answers.smtp_hostname),
        ("--web-port", "web_server.default_port", answers.web_port),
        ("--smtp-port", "smtp_server.default_port", answers.smtp_port),
        ("--database", "storage.url", answers.database),
        ("--relay", RELAYS, answers.relays),
        ("--certificate", "smtp_server.tls_certificate_path", answers.certificate),
        ("--key", "smtp_server.tls_private_key_path", answers.key),
        ("--certificate", "smtp_server.tls_enabled", bool(answers.certificate)),
    ):
        if value:
            yield key, Setting(value, option)
    if answers.mx:
        yield RELAYS, Setting((), "--mx")
    if mode := _delivery_mode(answers, file):
        yield DELIVERY_MODE, mode
    if answers.allow:
        listed = dict.fromkeys((*file.own.delivery.allowlist, *answers.allow))
        yield "delivery.allowlist", Setting(tuple(listed), "--allow")
    if hosts := hosts_to_allow(answers, file):
        yield ALLOWED, Setting((*_allowed_already(answers, file), *hosts), "--webhook or --inbound")


def _delivery_mode(answers: Answers, file: ConfigurationFile) -> Setting | None:
    """`delivery.mode`, where an option decides it."""
    if answers.mode is Mode.STAGING:
        return Setting(ALLOWLIST, Mode.STAGING.flag)
    own, in_effect = file.own.delivery.mode, file.config.delivery.mode
    is_sending = own not in (CATCH, ALLOWLIST)
    is_production = answers.mode is Mode.PRODUCTION
    if answers.relays and (is_sending or is_production):
        return Setting("relays", "--relay")
    if answers.mx and (is_sending or is_production):
        return Setting("mx", "--mx")
    if not is_production or (is_sending and in_effect not in (CATCH, ALLOWLIST)):
        return None
    by_relays = "relays" if file.config.postal.smtp_relays else "mx"
    return Setting(own if is_sending else by_relays, Mode.PRODUCTION.flag)


def hosts_to_allow(answers: Answers, file: ConfigurationFile) -> list[str]:
    """The hosts of the given URLs that are not public, and that requests may not go to yet."""
    allowed = AllowedDestinations.parse(_allowed_already(answers, file))
    hosts = {urlsplit(url).hostname or "": None for url in (answers.webhook, answers.inbound) if url}
    return [host for host in hosts if is_private_host(host) and not _permits(allowed, host)]


def _permits(allowed: AllowedDestinations, host: str) -> bool:
    address = "127.0.0.1" if host == "localhost" else host
    try:
        return allowed.permits(host, address)
    except ValueError:  # a name, which is allowed by itself alone
        return host in allowed.hosts


def _allowed_already(answers: Answers, file: ConfigurationFile) -> tuple[str, ...]:
    if answers.is_public:
        return file.chosen(ALLOWED) or ()
    return file.own.postal.allowed_request_destinations if file.exists else modes.LOOPBACK_NETWORKS
