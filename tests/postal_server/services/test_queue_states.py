"""What services make of a row in each state: exactly what the table of transitions says."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from postal_server.models import QueuedMessage, WebhookAttempt, WebhookRequest
from postal_server.models.queue_state import NEVER_DUE, SUSPECT_CLAIMS, QueueState
from postal_server.rules.selection import Selection
from postal_server.rules.status import Scope
from postal_server.services.acceptance import storage
from postal_server.services.operations import held
from postal_server.services.operations.webhook import resend
from postal_server.services.results import webhook
from postal_server.services.shared.work import Accepted, NewMessage
from tests.postal_server.services.conftest import NOW, RAW, store
from tests.queue_states import following

LATER = NOW + timedelta(hours=1)
WORKER = 7
COLUMNS: dict[QueueState, dict[str, Any]] = {
    QueueState.READY: {},
    QueueState.DEFERRED: {"due_at": LATER},
    QueueState.SUSPENDED: {"due_at": NEVER_DUE},
    QueueState.CLAIMED: {"claimed_by": WORKER, "claims": 1},
    QueueState.SUSPECT: {"claimed_by": WORKER, "claims": SUSPECT_CLAIMS},
    QueueState.POISON: {"claimed_by": WORKER, "claims": SUSPECT_CLAIMS + 1},
}
OPERATIONS: dict[str, Callable[..., Any]] = {
    "requeue": held.requeue,
    "remove": held.remove,
    "keep_back": held.keep_back,
}
NOWHERE = None  # there is no row


def state(rows) -> QueueState | None:
    row = rows.first()
    return row.state if row else None


@pytest.mark.parametrize("event", OPERATIONS)
@pytest.mark.parametrize("before", [NOWHERE, *QueueState])
def test_operations(world, config, event, before):
    [claim] = store(world)
    QueuedMessage.objects.all().delete()
    if before:
        QueuedMessage.objects.create(
            id=claim.id,
            server_id=world.server.pk,
            destination="dest.example",
            size_bytes=1,
            created_at=NOW,
            expires_at=LATER,
            **COLUMNS[before],
        )
    assert state(QueuedMessage.objects) is before
    sum(OPERATIONS[event]([claim.id], world.context(config)))
    assert {state(QueuedMessage.objects)} == following(event, before)


def test_accepted_mail(world):
    new = NewMessage(world.server.pk, Scope.OUTGOING, rcpt_to="a@dest.example", destination="dest.example")
    accepted = Accepted(RAW, (new,), mail_from=None, subject=None, message_id="x@y")
    after = set()
    for suspensions in ((), [Selection(destination="dest.example")]):
        storage.store([accepted], NOW, suspensions=suspensions)
        after.add(state(QueuedMessage.objects.order_by("-pk")))
    assert after == following("store", NOWHERE)


@pytest.fixture
def request_of(world):
    """Makes a request for a webhook, about message 1, in a state."""
    receiver = world.add_webhook()

    def make(before: QueueState, identity: uuid.UUID) -> WebhookRequest:
        return WebhookRequest.objects.create(
            webhook_id=receiver.pk,
            server_id=world.server.pk,
            message_id=1,
            uuid=identity,
            event="MessageSent",
            body=b"{}",
            created_at=NOW,
            expires_at=LATER,
            **COLUMNS[before],
        )

    return make


# Webhook requests are never suspended.
BEFORE = [each for each in QueueState if each is not QueueState.SUSPENDED]


def test_events(world, request_of):
    after = set()
    event = webhook.WebhookEvent(world.server.pk, "MessageSent", {}, message_id=1)
    for earlier in BEFORE:
        request_of(earlier, uuid.uuid4())
        webhook.emit([event], world.directory(), NOW)
        after.add(state(WebhookRequest.objects.order_by("-pk")))
        WebhookRequest.objects.all().delete()
    assert after == following("emit", NOWHERE)


@pytest.mark.parametrize("before", [NOWHERE, *BEFORE])
def test_requests_that_are_sent_again(world, request_of, before):
    identity = uuid.uuid4()
    receiver = request_of(before or QueueState.READY, identity).webhook_id
    if before is NOWHERE:
        WebhookRequest.objects.all().delete()
    WebhookAttempt.objects.create(
        server_id=world.server.pk,
        webhook_id=receiver,
        uuid=identity,
        event="MessageSent",
        url="http://hook.example/all",
        attempt=1,
        status_code=500,
        payload="{}",
        will_retry=False,
        created_at=NOW,
    )
    sum(resend(WebhookAttempt.objects.all(), NOW))
    assert {state(WebhookRequest.objects)} == following("resend", before)
