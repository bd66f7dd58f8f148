"""`postal-server service`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.installation import service
from postal_server.installation.service import Result, Service
from postal_server.management.base import ServerCommand

ROOT = Path("/")


class Command(ServerCommand):
    help = "Have systemd run the server."
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = self.actions_of(parser, {"install": "write the units of systemd; can be run again"})
        for _, action in actions:
            action.add_argument(
                "--user",
                default=service.USER,
                help=f"who runs the server ({service.USER} by default, who is made where missing)",
            )
            action.add_argument(
                "--certbot",
                action="store_true",
                help="also a hook that gives each renewed certificate to SMTP",
            )
            action.add_argument(
                "--nginx",
                action="store_true",
                help="also a site for nginx as reverse proxy, and a hook of certbot that reloads it",
            )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = Service(service.running_program(), conf.config(), options["user"])
        try:
            service.require_systemd()
            service.require_visible(wanted)
            service.require_own_folders(wanted)
            self._install(wanted, options)
        except OSError as error:
            raise CommandError(f"{error.filename}: cannot be written ({error.strerror}).") from error

    def _install(self, wanted: Service, options: Mapping[str, Any]) -> None:
        hook = wanted.hook() if options["certbot"] else {}
        site = wanted.site() if options["nginx"] else {}
        changed = [*self._written(wanted.sysusers())]
        service.require_user(wanted.user)
        changed += self._written({**wanted.units(), **hook, **site})
        self.stdout.write("Next:")
        for command in _next(wanted, hook, site):
            self.stdout.write(f"  {command}")
        if changed:
            names = " ".join(path.name for path in changed)
            raise CommandError(
                f"Not written, because changed by hand: {names}. Put changes of units into drop-ins "
                "(systemctl edit NAME), delete these files, and run this again."
            )

    def _written(self, files: Mapping[Path, str]) -> Iterator[Path]:
        """Write the files and say what became of each; those that a person has changed."""
        for path, result in service.write(ROOT, files):
            self.stdout.write(f"{result.value} {path}")
            if result is Result.CHANGED:
                yield path


def _next(wanted: Service, hook: Mapping[Path, str], site: Mapping[Path, str]) -> Iterator[str]:
    for folder in service.folders_of_others(wanted):
        yield f"chown -R {wanted.user}: {folder}"
    yield "systemctl daemon-reload"
    yield "systemctl enable --now postal-server  # or postal.target, with a process for each role"
    for path in hook:
        yield f"/{path}  # gives SMTP the certificate that there is now"
    if site:
        yield "nginx -t && systemctl reload nginx"
