"""`postal-server smtp`."""

from postal_server.management.roles import RoleCommand
from postal_server.runtime.role import Role


class Command(RoleCommand):
    help = "The SMTP process: mail in, submission, and the catch."
    roles = (Role.SMTP,)
