"""`postal-server health`."""

from __future__ import annotations

import http.client
import ipaddress
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.conf import Config
from postal_server.errors import ConfigurationError
from postal_server.management.plain import PlainCommand
from postal_server.runtime.role import Place, Role, health_place, web_place

RUN = "run"
TIMEOUT = 5.0  # seconds
REASON_BYTES = 1000


class Command(PlainCommand):
    help = "Ask a running process whether it is ready. If it is not, say why, and exit with status 1."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "process",
            nargs="?",
            default=RUN,
            choices=[RUN, *(role.value for role in Role)],
            help="which one (run by default)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["process"]
        place = _place(conf.config(), name)
        if not place.port:
            raise CommandError(f"{place.port_key} is 0, so {name} has no port that could be asked.")
        try:
            reason = _reason_against(place)
        except (OSError, http.client.HTTPException) as error:
            where = f"{place.host}:{place.port} ({place.port_key})"
            raise CommandError(f"{name} does not answer at {where}: {error}") from error
        if reason:
            raise CommandError(f"{name} is not ready: {reason}")
        self.stdout.write(f"{name} is ready")


def _place(config: Config, name: str) -> Place:
    """Where a process answers for itself."""
    roles = list(Role) if name == RUN else [Role(name)]
    try:
        return health_place(config, roles) or web_place(config, honour_environment=True)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error


def _reason_against(place: Place) -> str:
    """Why the process that listens there is not ready, empty if it is. Raises `OSError`, `HTTPException`."""
    connection = http.client.HTTPConnection(_reachable(place.host), place.port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/ready")
        response = connection.getresponse()
        said = response.read(REASON_BYTES).decode("utf-8", "replace")
        return "" if response.status == http.HTTPStatus.OK else f"{said} ({response.status})"
    finally:
        connection.close()


def _reachable(host: str) -> str:
    """An address to connect to, for one to listen on: `::` and `0.0.0.0` take all, loopback included."""
    try:
        return "127.0.0.1" if ipaddress.ip_address(host).is_unspecified else host
    except ValueError:
        return host
