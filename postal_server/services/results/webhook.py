"""Webhooks: store events, record what receivers answered."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import starmap
from typing import Any, NamedTuple
from uuid import UUID

from postal_server.conf import Config
from postal_server.models import Message, Webhook, WebhookAttempt, WebhookRequest
from postal_server.models.queue_state import HAS_DUE_TIME
from postal_server.rules.retry import WEBHOOK_LIFETIME, next_webhook_attempt
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.rows import insert
from postal_server.services.shared.token import tokens_of
from postal_server.services.shared.work import Decision, Recorded, Result
from postal_server.wire import webhook as wire

GONE = 410  # the receiver wants no further requests
GONE_REASON = "The receiver answered 410 Gone."
ANSWER_CHARACTERS = 1024
MARK_INTERVAL = timedelta(minutes=1)


class _Request(NamedTuple):
    """What the log says of a request."""

    id: int
    webhook_id: int
    server_id: int
    uuid: UUID
    event: str
    body: bytes


@dataclass(frozen=True)
class WebhookEvent:
    """An event for a server's webhooks. `message_id` keeps the events of one message in order.

    `is_beyond_postal`: an event of Postal's in a case in which Postal sends none.
    """

    server_id: int
    name: str
    payload: Mapping[str, Any]
    message_id: int | None = None
    is_beyond_postal: bool = False


@dataclass(frozen=True)
class MessageEvent:
    """An event about messages, for the webhooks of the first one's server.

    `payload(message, token, ...)` builds the payload when the event is stored, from each message of `about`
    and its token, in order.
    """

    name: str
    about: Sequence[Message]
    payload: Callable[..., Mapping[str, Any]]
    is_beyond_postal: bool = False


def is_wanted(server_id: int, name: str, directory: Directory, *, is_beyond_postal: bool = False) -> bool:
    """Does any webhook of the server subscribe to this event? Check this before building a payload."""
    return bool(directory.webhooks_for(server_id, name, is_beyond_postal=is_beyond_postal))


def emit(events: Iterable[WebhookEvent], directory: Directory, now: datetime) -> int:
    """Store a request for each event and each webhook that wants it, in two queries; returns how many.

    Bodies are built here, once: every attempt posts the same bytes.
    """
    requests = []
    for event in events:
        for webhook in directory.webhooks_for(
            event.server_id, event.name, is_beyond_postal=event.is_beyond_postal
        ):
            identity = uuid.uuid4()
            requests.append(
                WebhookRequest(
                    webhook_id=webhook.id,
                    server_id=event.server_id,
                    message_id=event.message_id,
                    uuid=identity,
                    event=event.name,
                    body=wire.envelope(event.name, event.payload, now, identity),
                    created_at=now,
                    expires_at=now + WEBHOOK_LIFETIME,
                )
            )
    _wait_behind_others(requests)
    insert(requests)
    return len(requests)


def _wait_behind_others(requests: Sequence[WebhookRequest]) -> None:
    """Defer requests as long as an earlier one of the same webhook and message.

    They must not overtake it, and claims would skip them each time.
    """
    about = {request.message_id for request in requests if request.message_id is not None}
    if about:
        waiting = WebhookRequest.objects.filter(HAS_DUE_TIME, message_id__in=about).order_by("id")
        due = {
            (webhook_id, message_id): due_at
            for webhook_id, message_id, due_at in waiting.values_list("webhook_id", "message_id", "due_at")
        }
        for request in requests:
            request.due_at = due.get((request.webhook_id, request.message_id))


def emit_about_messages(events: Sequence[MessageEvent], directory: Directory, now: datetime) -> int:
    """As `emit`, with one query for the tokens of all messages; none for no event."""
    if not events:
        return 0
    tokens = tokens_of({message.id for event in events for message in event.about})
    return emit((_with_payload(event, tokens) for event in events), directory, now)


def _with_payload(event: MessageEvent, tokens: Mapping[int, str]) -> WebhookEvent:
    about = event.about[0]
    with_tokens = [value for message in event.about for value in (message, tokens[message.id])]
    payload = event.payload(*with_tokens)
    return WebhookEvent(about.server_id, event.name, payload, about.id, event.is_beyond_postal)


def emit_for_message(
    name: str, message: Message, payload: Mapping[str, Any], directory: Directory, now: datetime
) -> int:
    """Store an event about one message: its hash comes first, then `payload`."""
    if not is_wanted(message.server_id, name, directory):
        return 0
    about = wire.message_hash(message, tokens_of([message.id])[message.id])
    event = WebhookEvent(message.server_id, name, {"message": about, **payload}, message.id)
    return emit([event], directory, now)


def record(
    results: Sequence[Result | Decision], directory: Directory, config: Config, now: datetime
) -> Recorded:
    """Log what receivers answered, and say which requests are done and when the others are due.

    Two queries for a batch, and one more where a receiver is to be marked as used or gone. The caller holds
    the transaction and removes finished requests. Requests that failed without an attempt are logged too,
    with the status 0, so that they can be sent again.
    """
    recorded = Recorded()
    requests = WebhookRequest.objects.filter(pk__in=[result.claimed.id for result in results])
    rows = {row.id: row for row in starmap(_Request, requests.values_list(*_Request._fields))}
    attempts, used, gone = [], set(), set()
    for result in results:
        number = result.claimed.id
        row = rows.get(number)
        if row is None:
            recorded.finished.append(number)
            continue
        if isinstance(result, Decision):
            recorded.finished.append(number)
            attempts.append(_given_up(row, result, directory, now))
            continue
        outcome, failures = result.outcome, result.claimed.attempts + 1
        due = None
        if outcome.status is DeliveryStatus.SENT:
            used.add(row.webhook_id)
        elif outcome.code == GONE:
            gone.add(row.webhook_id)
        else:
            # Any answer but 2xx and 410 is tried again, whatever it means for a message.
            jitter = random.random()  # noqa: S311 - spreads load, keeps no secret
            due = next_webhook_attempt(failures, now, jitter=jitter, retry_after=outcome.retry_after)
        if due is None:
            recorded.finished.append(number)
        else:
            recorded.deferred.append((number, due))
        attempts.append(_attempt(row, result, directory, now, will_retry=due is not None))
    insert(attempts)
    if used:
        # At most once a minute: all workers update this row, and would wait for each other's commits.
        unmarked = Webhook.objects.filter(pk__in=used).exclude(last_used_at__gt=now - MARK_INTERVAL)
        unmarked.update(last_used_at=now)
    if gone:
        _disable(gone)
    return recorded


def _attempt(
    row: _Request, result: Result, directory: Directory, now: datetime, *, will_retry: bool
) -> WebhookAttempt:
    outcome = result.outcome
    attempt = _logged(row, directory, now)
    attempt.attempt = result.claimed.attempts + 1
    attempt.status_code = outcome.code or 0
    attempt.answer = (outcome.output or "").replace("\0", "")[:ANSWER_CHARACTERS]
    attempt.will_retry = will_retry
    attempt.seconds = outcome.seconds
    return attempt


def _given_up(row: _Request, decision: Decision, directory: Directory, now: datetime) -> WebhookAttempt:
    attempt = _logged(row, directory, now)
    attempt.attempt = decision.claimed.attempts
    attempt.answer = decision.details
    return attempt


def _logged(row: _Request, directory: Directory, now: datetime) -> WebhookAttempt:
    webhook = directory.webhooks.get(row.webhook_id)
    return WebhookAttempt(
        server_id=row.server_id,
        webhook_id=row.webhook_id,
        uuid=row.uuid,
        event=row.event,
        url=webhook.url if webhook else "",
        status_code=0,
        payload=bytes(row.body).decode(),
        will_retry=False,
        created_at=now,
    )


def _disable(webhook_ids: Iterable[int]) -> None:
    """Disable webhooks whose receiver is gone. What else is queued for them fails when it is prepared."""
    # Saved one by one: the directory must hear of it.
    for webhook in Webhook.objects.filter(pk__in=webhook_ids, enabled=True):
        webhook.enabled = False
        webhook.disabled_reason = GONE_REASON
        webhook.save(update_fields=["enabled", "disabled_reason"])
