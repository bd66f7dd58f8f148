"""The one door through which messages change status: `record`, in batches, inside the caller's transaction.

For each result: a delivery, the message's status, and what preparing changed. What else follows is in
`effects`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

from postal_server.conf import Config
from postal_server.models import Delivery, Message
from postal_server.rules.retry import next_attempt
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.rows import insert
from postal_server.services.shared.work import Decision, Recorded, Result

from . import message_update, webhook
from .batch import DETAILS_CHARACTERS, Batch, Entry
from .effects import EFFECT_STEPS, EFFECT_STEPS_ON_SHARED_ROWS

OUTPUT_CHARACTERS = 250


def record(
    results: Sequence[Result | Decision], directory: Directory, config: Config, now: datetime
) -> Recorded:
    """Record a batch, and say which messages left the queue and when the others are due.

    Seven queries for sent mail, and a few more for each effect that occurs, whatever the size of the batch.
    What was deleted meanwhile is finished. The caller holds the transaction.
    """
    messages = Message.objects.defer("prefix").in_bulk([result.claimed.id for result in results])
    entries = [
        _entry(result, message, now) for result in results if (message := messages.get(result.claimed.id))
    ]
    batch = Batch(results, entries, directory, config, now)
    for apply in EFFECT_STEPS:
        apply(batch)
    for entry in entries:
        entry.delivery.details = entry.details[:DETAILS_CHARACTERS]
    insert([*(entry.delivery for entry in entries), *batch.further_deliveries])
    message_update.write(batch)
    webhook.emit_about_messages(batch.events, directory, now)
    webhook.emit(batch.events_of_servers, directory, now)
    for apply in EFFECT_STEPS_ON_SHARED_ROWS:
        apply(batch)
    return _recorded(batch)


def _entry(result: Result | Decision, message: Message, now: datetime) -> Entry:
    delivery = Delivery(message_id=message.id, created_at=now)
    if isinstance(result, Result):
        outcome = result.outcome
        status, details, output = outcome.status, outcome.details, outcome.output
        delivery.code = outcome.code
        delivery.sent_with_ssl = outcome.sent_with_ssl
        delivery.tls = outcome.tls[:64]
        delivery.log_id = outcome.log_id
        delivery.seconds = outcome.seconds
    else:
        status, details, output = result.status, result.details, result.output
    delivery.status = status.value
    delivery.output = None if output is None else output.replace("\0", "").strip()[:OUTPUT_CHARACTERS]
    return Entry(result, message, status, details, delivery)


def _recorded(batch: Batch) -> Recorded:
    """What the queue must do."""
    recorded = Recorded(withheld_notices=batch.withheld_notices)
    statuses = {entry.message.id: entry.status for entry in batch.entries}
    for result in batch.results:
        claimed = result.claimed
        status = statuses.get(claimed.id)
        if status is None or status.is_final:
            recorded.finished.append(claimed.id)
            continue
        wait = result.outcome.retry_after if isinstance(result, Result) else None
        jitter = random.random()  # noqa: S311 - spreads load, keeps no secret
        due = next_attempt(claimed.attempts + 1, batch.now, jitter=jitter, retry_after=wait)
        recorded.deferred.append((claimed.id, due))
    return recorded
