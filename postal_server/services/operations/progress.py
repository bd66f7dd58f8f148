"""What is under way for a mail server, and what its application refused: for those who wait, tests mostly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.db.models import Max
from django.utils import timezone

from postal_server.models import Delivery, Message, QueuedMessage, Webhook, WebhookAttempt, WebhookRequest
from postal_server.models.queue_state import QueueState, due_by
from postal_server.rules.status import DeliveryStatus, Scope

from . import caught_mail

POLL_SECONDS = 0.02
SHOWN = 20  # of each kind
TAKEN = (DeliveryStatus.SENT.value, DeliveryStatus.PROCESSED.value)


def under_way(server_id: int, now: datetime) -> list[str]:
    """A line for each mail, event and report of failure that is being sent or is about to be.

    What waits for another attempt is not: it was answered, and that is minutes away.
    """
    is_active = QueueState.READY.rows | due_by(now) | QueueState.CLAIMED.rows
    lines = ["a report of failure, from the catch"] * len(caught_mail.reports_under_way)
    queued = QueuedMessage.objects.filter(is_active, server_id=server_id).values_list("pk", flat=True)[:SHOWN]
    for row in Message.objects.filter(pk__in=list(queued)).order_by("pk"):
        lines.append(f"{row.scope} mail for {row.rcpt_to}")
    requests = WebhookRequest.objects.filter(is_active, server_id=server_id).order_by("pk")[:SHOWN]
    urls = dict(Webhook.objects.filter(server_id=server_id).values_list("pk", "url"))
    return lines + [f"{row.event} for {_shown(urls.get(row.webhook_id, ''))}" for row in requests]


def wait_until_quiet(server_id: int, timeout: float) -> list[str]:
    """Wait until nothing is under way; what still is after `timeout` seconds."""
    end = time.monotonic() + timeout
    was_quiet = False
    while True:
        # Looked at twice: while one table is read, what was seen in another may have led to something new.
        lines = under_way(server_id, timezone.now())
        if (not lines and was_quiet) or (lines and time.monotonic() >= end):
            return lines
        was_quiet = not lines
        if lines:
            time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Mark:
    """A moment in the life of a mail server: the last message and attempt to post an event before it."""

    message_id: int = 0
    attempt_id: int = 0


def mark(server_id: int) -> Mark:
    """Now."""
    messages = Message.objects.filter(server_id=server_id).aggregate(last=Max("pk"))
    attempts = WebhookAttempt.objects.filter(server_id=server_id).aggregate(last=Max("pk"))
    return Mark(messages["last"] or 0, attempts["last"] or 0)


def refused(server_id: int, since: Mark) -> Iterator[str]:
    """What the application did not take since then: mail that came in, and events; each with its answer."""
    messages = Message.objects.filter(
        server_id=server_id, pk__gt=since.message_id, scope=Scope.INCOMING.value
    ).exclude(status__in=TAKEN)
    for message in messages.order_by("pk")[:SHOWN]:
        last = Delivery.objects.filter(message_id=message.pk).order_by("-pk").first()
        said = f": {last.details}\n{last.output or ''}".rstrip() if last else ""
        yield f"{message.rcpt_to}: {message.status}{said}"
    attempts = WebhookAttempt.objects.filter(server_id=server_id, pk__gt=since.attempt_id)
    for attempt in attempts.exclude(status_code__range=(200, 299)).order_by("pk")[:SHOWN]:
        yield f"{attempt.event} for {_shown(attempt.url)}: {attempt.status_code}\n{attempt.answer}".rstrip()


def _shown(url: str) -> str:
    """A URL without its password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
