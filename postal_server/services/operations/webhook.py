"""Send webhook requests again, and delete old attempts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from postal_server.models import Webhook, WebhookAttempt, WebhookRequest
from postal_server.models.queue_state import WAITING
from postal_server.rules.retry import WEBHOOK_LIFETIME
from postal_server.services.shared.rows import Transaction, insert

LOG_KEPT = timedelta(days=10)
RESENT_TOGETHER = 100  # requests a transaction


def given_up(*, server_id: int | None = None, webhook_id: int | None = None) -> QuerySet[WebhookAttempt]:
    """The last attempts of requests that failed for good."""
    found = WebhookAttempt.objects.filter(will_retry=False).exclude(status_code__range=(200, 299))
    if server_id is not None:
        found = found.filter(server_id=server_id)
    return found if webhook_id is None else found.filter(webhook_id=webhook_id)


def resend(
    attempts: QuerySet[WebhookAttempt], now: datetime, write_transaction: Transaction = transaction.atomic
) -> Iterator[int]:
    """Send the requests of these attempts again; yields how many each step has queued or brought forward.

    They have the same bytes and uuid, and all attempts anew. Those of deleted webhooks are skipped.
    """
    last = 0
    final = attempts.order_by("-pk").values_list("pk", flat=True).first() or 0
    while step := list(attempts.filter(pk__gt=last, pk__lte=final).order_by("pk")[:RESENT_TOGETHER]):
        with write_transaction():
            queued = _queue_again({attempt.uuid: attempt for attempt in step}, now)
            WebhookAttempt.objects.filter(
                pk__in=[attempt.pk for attempt in step if attempt.uuid in queued]
            ).exclude(status_code__range=(200, 299)).update(will_retry=True)
        yield len(queued)
        last = step[-1].pk


def _queue_again(attempts: Mapping[uuid.UUID, WebhookAttempt], now: datetime) -> set[uuid.UUID]:
    """Those that are queued now."""
    waiting = WebhookRequest.objects.filter(uuid__in=attempts)
    queued = set(waiting.values_list("uuid", flat=True))
    waiting.filter(WAITING).update(due_at=None)
    known = set(
        Webhook.objects.filter(pk__in={attempt.webhook_id for attempt in attempts.values()}).values_list(
            "pk", flat=True
        )
    )
    new = [
        WebhookRequest(
            webhook_id=attempt.webhook_id,
            server_id=attempt.server_id,
            uuid=identity,
            event=attempt.event,
            body=attempt.payload.encode(),
            created_at=now,
            expires_at=now + WEBHOOK_LIFETIME,
        )
        for identity, attempt in attempts.items()
        if identity not in queued and attempt.webhook_id in known
    ]
    insert(new)
    return queued | {request.uuid for request in new}


def prune_attempts(now: datetime) -> None:
    """Delete attempts older than ten days, a hundred rows at a time. Runs each hour."""
    old = WebhookAttempt.objects.filter(created_at__lt=now - LOG_KEPT).order_by("created_at")
    while ids := list(old.values_list("pk", flat=True)[:100]):
        WebhookAttempt.objects.filter(pk__in=ids).delete()
