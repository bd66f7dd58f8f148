"""Release what send limits hold once the hour has room again. Postal leaves that to a person."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from postal_server.conf import Config
from postal_server.models import Message, QueuedMessage
from postal_server.models.queue_state import QueueState
from postal_server.rules.hold import HoldReason
from postal_server.services.preparation import send_limit
from postal_server.services.shared.entries import ServerEntry
from postal_server.services.shared.loader import load
from postal_server.services.shared.rows import Transaction

from . import held
from .context import THE_SERVER, OperationContext

MOST = 1000  # messages of a server at a time


def release(config: Config, now: datetime, write_transaction: Transaction) -> int:
    """Release the oldest of each server, as many as its limit has room for; how many. Runs each minute.

    No person has decided on them: they pass the checks like new mail. Nothing unless
    `hold.release_send_limit` is on.
    """
    if not config.hold.release_send_limit:
        return 0
    held_by_limits = _held()
    server_ids = set(held_by_limits.values_list("server_id", flat=True).distinct())
    if not server_ids:
        return 0  # without loading the directory
    directory = load()
    servers = [directory.servers[pk] for pk in sorted(server_ids) if pk in directory.servers]
    used = send_limit.volumes(servers, now)
    ids: list[int] = []
    for server in servers:
        of_server = held_by_limits.filter(server_id=server.id).order_by("pk")
        ids += of_server.values_list("pk", flat=True)[: _room(server, used.get(server.id, 0))]
    context = OperationContext(THE_SERVER, config, now, directory, write_transaction)
    return sum(held.release(ids, context, is_manual=False))


def _held() -> QuerySet[Message]:
    return Message.objects.filter(hold_expires_at__isnull=False, hold_reason=HoldReason.SEND_LIMIT.value)


def _room(server: ServerEntry, used: int) -> int:
    """How many fit in beside what was sent, and what is about to be: that will be counted soon."""
    if server.send_limit is None:
        return MOST  # the limit is gone
    room = min(MOST, server.send_limit - used)
    if room <= 0:
        return 0
    is_active = QueueState.READY.rows | QueueState.CLAIMED.rows
    active = QueuedMessage.objects.filter(is_active, server_id=server.id)
    return max(0, room - len(active.values_list("pk")[:room]))
