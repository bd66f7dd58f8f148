"""`postal-server run`."""

from argparse import ArgumentParser

from postal_server.management.roles import RoleCommand
from postal_server.runtime.role import Role


class Command(RoleCommand):
    help = "Web, SMTP and worker in one process, until SIGTERM or Ctrl-C."
    roles = (Role.WEB, Role.SMTP, Role.WORKER)

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--initialize", action="store_true", help="run `initialize` first")
