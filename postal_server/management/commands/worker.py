"""`postal-server worker`."""

from postal_server.management.roles import RoleCommand
from postal_server.runtime.role import Role


class Command(RoleCommand):
    help = "A worker process: deliveries, webhooks and scheduled tasks; any number of them share the queue."
    roles = (Role.WORKER,)
