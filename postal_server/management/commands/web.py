"""`postal-server web`."""

from postal_server.management.roles import RoleCommand
from postal_server.runtime.role import Role


class Command(RoleCommand):
    help = "The web process: API, key set, tracking and administration."
    roles = (Role.WEB,)
