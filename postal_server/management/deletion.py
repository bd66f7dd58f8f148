"""Deleting an organization or a mail server by a command: what is lost, and the name once more."""

from __future__ import annotations

import sys

from django.core.management.base import CommandError

from postal_server.models import Organization, Server
from postal_server.services.administration import deletion
from postal_server.services.operations.context import OperationContext

from .base import ServerCommand, counted


def confirm(
    command: ServerCommand, row: Organization | Server, name: str | None, context: OperationContext
) -> None:
    """Say what is lost, and delete it where `name` is its permalink; asks for it on a terminal."""
    found = deletion.losses(row)
    kind = "mail server" if isinstance(row, Server) else "organization"
    lost = [
        counted(found.messages, "message", "messages"),
        counted(found.queued, "of them waits", "of them wait"),
        counted(found.held, "is held", "are held"),
    ]
    if isinstance(row, Organization):
        lost.insert(0, counted(found.servers, "mail server", "mail servers"))
    command.stderr.write(f"The {kind} {row.permalink} has {', '.join(lost)}. All of it is lost.")
    if name is None:
        if not sys.stdin.isatty():
            raise CommandError(f"There is no terminal: give --confirm {row.permalink}.")
        name = input(f"Its name, to delete it ({row.permalink}): ")
    deletion.delete(row, name.strip(), context)
    command.stdout.write(f"The {kind} {row.permalink} is deleted; its mail goes within the hour.")
