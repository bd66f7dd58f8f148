"""The commands that run a server process: `run`, `web`, `smtp` and `worker`."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError

from postal_server import conf, files
from postal_server.installation.backup.swap import require_finished
from postal_server.installation.running import in_use
from postal_server.runtime import assembly
from postal_server.runtime.role import Role
from postal_server.services.preparation.target import check_relays
from postal_server.services.shared.keys import request_key

from .base import ServerCommand, require_current_database

logger = logging.getLogger(__name__)


class RoleCommand(ServerCommand):
    """Serves `roles` until SIGTERM or SIGINT."""

    roles: ClassVar[tuple[Role, ...]]
    needs_database = False  # checked below, unless a restore was killed

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ready-file", type=Path, help="write process id and addresses here once ready")

    def handle(self, *args: Any, **options: Any) -> None:
        config = conf.config()
        require_finished(config.root)
        require_current_database()
        for warning in (*config.warnings, *files.open_to_others(config)):
            logger.warning("%s", warning)
        try:
            if {Role.WEB, Role.WORKER} & set(self.roles):
                request_key(config)  # fail at the start rather than at the first webhook
            if Role.WORKER in self.roles:
                check_relays(config)
            with in_use(config.sqlite_file):
                assembly.run(config, self.roles, options["ready_file"])
        except OSError as error:
            raise CommandError(f"Cannot start: {error}") from error
