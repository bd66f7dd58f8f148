"""`postal-server smtp`."""

from postal_server.engine.process import Role
from postal_server.management.roles import RoleCommand


class Command(RoleCommand):
    help = "The SMTP process: mail in, submission, and the catch."
    roles = (Role.SMTP,)
