"""Delete organizations and mail servers: say what is lost, want the name, and leave the work to the worker.

They are gone for everybody at once. Their mail and all else is deleted within the hour, in steps that go on
where a crash has stopped them (`services.operations.retention.delete_removed`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from postal_server.errors import InvalidValues
from postal_server.models import Message, Organization, QueuedMessage, Server
from postal_server.rules.access import Action
from postal_server.services.operations.context import OperationContext

from . import audit
from .place import place_of

COUNTED = 10_000


@dataclass(frozen=True)
class Losses:
    """What goes with an organization or a mail server. Counts end at 10,000."""

    servers: int
    queued: int
    held: int
    messages: int


def losses(row: Organization | Server) -> Losses:
    """What would be lost."""
    ids = _server_ids(row)
    messages = Message.objects.filter(server_id__in=ids)
    return Losses(
        len(ids),
        len(QueuedMessage.objects.filter(server_id__in=ids).values_list("pk")[:COUNTED]),
        len(messages.filter(hold_expires_at__isnull=False).values_list("pk")[:COUNTED]),
        len(messages.values_list("pk")[:COUNTED]),
    )


def delete(row: Organization | Server, name: str, context: OperationContext) -> None:
    """Mark it as deleted. Raises `InvalidValues` unless `name` is its permalink."""
    context.require(Action.OWN, place_of(row))
    if name != row.permalink:
        raise InvalidValues({"name": [f"Deleting it wants its name, which is {row.permalink}."]})
    with context.write_transaction():
        row.deleted_at = context.now
        row.save(update_fields=["deleted_at"])
        audit.note("deleted", row, context, before=audit.values_of(row))


def _server_ids(row: Organization | Server) -> Collection[int]:
    if isinstance(row, Server):
        return [row.pk]
    return list(row.servers.filter(deleted_at=None).values_list("pk", flat=True))
