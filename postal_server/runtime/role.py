"""What a process does, and where its servers listen.

Light, so that `postal-server health`, which is called all the time, starts fast.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Collection
from dataclasses import dataclass

from postal_server.conf import MAX_PORT, Config
from postal_server.errors import ConfigurationError

PORT, BIND = "PORT", "BIND_ADDRESS"
HEALTH_PORT, HEALTH_BIND = "HEALTH_SERVER_PORT", "HEALTH_SERVER_BIND_ADDRESS"


class Role(str, enum.Enum):
    """What a process does; `run` does all three."""

    WEB = "web"
    SMTP = "smtp"
    WORKER = "worker"


@dataclass(frozen=True)
class Place:
    """Where to listen, and what says so: two keys that begin alike, or the environment variables that won."""

    keys: str
    host: str
    port: int
    variables: tuple[str, str] = ("", "")

    @property
    def host_key(self) -> str:
        return self.variables[0] or f"{self.keys}bind_address"

    @property
    def port_key(self) -> str:
        return self.variables[1] or f"{self.keys}port"

    def overridden(self, host_variable: str, port_variable: str) -> Place:
        """With what these environment variables say instead. Raises `ConfigurationError`."""
        host, port = os.environ.get(host_variable), os.environ.get(port_variable)
        if port and not (port.isdecimal() and int(port) <= MAX_PORT):
            raise ConfigurationError(f"{port_variable}: {port!r} is not a port.")
        variables = (host_variable if host else "", port_variable if port else "")
        return Place(self.keys, host or self.host, int(port) if port else self.port, variables)


def web_place(config: Config, *, honour_environment: bool) -> Place:
    """Where the web server listens. `PORT` and its like are Postal's, and for processes of one role."""
    given = config.web_server
    place = Place("web_server.default_", given.default_bind_address, given.default_port)
    return place.overridden(BIND, PORT) if honour_environment else place


def smtp_place(config: Config, *, honour_environment: bool) -> Place:
    """Where the SMTP server listens, as `web_place`."""
    given = config.smtp_server
    place = Place("smtp_server.default_", given.default_bind_address, given.default_port)
    return place.overridden(BIND, PORT) if honour_environment else place


def health_place(config: Config, roles: Collection[Role]) -> Place | None:
    """Where the health server listens, port 0 for nowhere; None for the web process, which answers itself."""
    if Role.WORKER in roles:
        group = "worker"
        address = config.worker.default_health_server_bind_address
        port = config.worker.default_health_server_port
    elif Role.SMTP in roles:
        group = "smtp_server"
        address = config.smtp_server.default_health_server_bind_address
        port = config.smtp_server.default_health_server_port
    else:
        return None
    return Place(f"{group}.default_health_server_", address, port).overridden(HEALTH_BIND, HEALTH_PORT)
