"""`postal-server web`."""

from postal_server.engine.process import Role
from postal_server.management.roles import RoleCommand


class Command(RoleCommand):
    help = "The web process: API, key set, tracking and administration."
    roles = (Role.WEB,)
