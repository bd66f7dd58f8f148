"""Make accepted mail durable: what the journal runs inside its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from postal_server.models import Body, Message, QueuedMessage
from postal_server.models.message import message_id_key
from postal_server.models.queue_state import NEVER_DUE
from postal_server.rules.selection import Selection, takes_any
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared import credential, token
from postal_server.services.shared.rows import insert_values
from postal_server.services.shared.sequence import allocate_ids
from postal_server.services.shared.work import Accepted, NewMessage, Stored

SUBJECT_CHARACTERS = 8192  # of the stored copy; Postal has 200 (contract 1.7)
LIFETIME = timedelta(hours=120)
DESTINATION_CHARACTERS = 255
Row = dict[str, Any]


def store(
    batch: Sequence[Accepted],
    now: datetime,
    lifetime: timedelta = LIFETIME,
    suspensions: Sequence[Selection] = (),
) -> list[list[Stored]]:
    """Store submissions with one message and one queue row for each recipient; four queries in all.

    Once a minute a fifth one notes that a credential was used.

    Answers with the stored messages of each submission, in order. `lifetime` ends a message whatever its
    attempts; what belongs to one of the `suspensions` waits for its end. The caller holds the transaction.
    """
    ids = iter(allocate_ids(sum(len(accepted.messages) for accepted in batch)))
    bodies: list[Row] = []
    messages: list[Row] = []
    queue: list[Row] = []
    answer: list[list[Stored]] = []
    times = {"created_at": now, "expires_at": now + lifetime}
    for accepted in batch:
        numbers = [next(ids) for _ in accepted.messages]
        answer.append(
            [
                Stored(number, token.message_token(number), new.rcpt_to)
                for number, new in zip(numbers, accepted.messages, strict=True)
            ]
        )
        if not numbers:
            continue
        server_id = accepted.messages[0].server_id
        bodies.append({"id": numbers[0], "server_id": server_id, "created_at": now, "raw": accepted.raw})
        shared = _shared(accepted, numbers[0], now)
        for number, new in zip(numbers, accepted.messages, strict=True):
            messages.append(_message(number, new) | shared)
            queue.append(_queued(number, new, accepted, suspensions) | times)
    insert_values(Body, bodies)
    insert_values(Message, messages)
    insert_values(QueuedMessage, queue)
    credential.mark_used({row["credential_id"] for row in messages if row["credential_id"] is not None}, now)
    return answer


def _shared(accepted: Accepted, body_id: int, now: datetime) -> Row:
    """What the message rows of one submission have in common."""
    day, hashed = message_id_key(accepted.message_id, now)
    return {
        "body_id": body_id,
        "mail_from": accepted.mail_from,
        "subject": None if accepted.subject is None else accepted.subject[:SUBJECT_CHARACTERS],
        "message_id": accepted.message_id,
        "message_id_day": day,
        "message_id_hash": hashed,
        "tag": accepted.tag,
        "stream": accepted.stream,
        "ignored_stream": accepted.ignored_stream,
        "status": DeliveryStatus.PENDING.value,
        "size_bytes": len(accepted.raw),
        "received_with_ssl": accepted.received_with_ssl,
        "created_at": now,
    }


def _message(number: int, new: NewMessage) -> Row:
    return {
        "id": number,
        "server_id": new.server_id,
        "scope": new.scope.value,
        "rcpt_to": new.rcpt_to,
        "is_bounce": new.is_bounce,
        "bounce_for_id": new.bounce_for_id,
        "domain_id": new.domain_id,
        "credential_id": new.credential_id,
        "route_id": new.route_id,
        "endpoint_type": new.endpoint_type,
        "endpoint_id": new.endpoint_id,
    }


def _queued(number: int, new: NewMessage, accepted: Accepted, suspensions: Sequence[Selection]) -> Row:
    destination = new.destination[:DESTINATION_CHARACTERS]
    is_suspended = takes_any(suspensions, new.server_id, destination, accepted.tag)
    return {
        "id": number,
        "server_id": new.server_id,
        "source_id": new.source_id,
        "destination": destination,
        "priority": accepted.priority,
        "size_bytes": len(accepted.raw),
        "due_at": NEVER_DUE if is_suspended else None,
    }
