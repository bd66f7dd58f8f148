"""Load claimed messages, two queries a batch, and prepare them by their direction. Any thread may call it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from postal_server.conf import Config
from postal_server.models import Body, Message
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Claimed, Decision, Prepared

from . import incoming, outgoing
from .job import Job

GONE = "The message or its server is gone."


def prepare(
    claimed: Sequence[Claimed], directory: Directory, config: Config, now: datetime
) -> list[Prepared | Decision]:
    """What to send, or what was decided, for each claim in order."""
    messages = Message.objects.in_bulk([claim.id for claim in claimed])
    bodies = _texts({row.body_id for row in messages.values() if row.body_id is not None})
    prepared: dict[int, Prepared | Decision] = {}
    jobs: dict[Scope, list[Job]] = {Scope.OUTGOING: [], Scope.INCOMING: []}
    for claim in claimed:
        message = messages.get(claim.id)
        server = directory.servers.get(claim.server_id)
        if message is None or server is None:
            prepared[claim.id] = Decision(claim, DeliveryStatus.FAILED, GONE)
            continue
        body = bodies.get(message.body_id) if message.body_id is not None else None
        jobs[Scope(message.scope)].append(Job(claim, message, server, body))
    for scope, prepare_all in ((Scope.OUTGOING, outgoing.prepare), (Scope.INCOMING, incoming.prepare)):
        if batch := jobs[scope]:
            for job, item in zip(batch, prepare_all(batch, directory, config, now), strict=True):
                prepared[job.claimed.id] = item
    return [prepared[claim.id] for claim in claimed]


def _texts(ids: set[int]) -> dict[int, bytes]:
    if not ids:
        return {}
    return {number: bytes(raw) for number, raw in Body.objects.filter(id__in=ids).values_list("id", "raw")}
