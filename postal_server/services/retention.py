"""Delete what is past its keep time, and what belongs to servers that were deleted. Contract 10.1, 11.1.

In steps of a hundred rows, each a transaction of its own: nobody waits long for the database.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Length

from postal_server.models import (
    Body,
    CaughtMail,
    Click,
    Delivery,
    FailureEvidence,
    ImportedToken,
    Link,
    Load,
    Message,
    Organization,
    QueuedMessage,
    Server,
    Simulation,
    Suppression,
    WebhookAttempt,
    WebhookRequest,
)

STEP = 100  # rows a transaction
MEGABYTE = 1024 * 1024

# What hangs on a message by its number. Links stay: they go on redirecting (contract 8.4).
OF_A_MESSAGE: tuple[type[Model], ...] = (Delivery, Load, Click, ImportedToken)
# What hangs on a server by its number; what has a foreign key goes with the server.
OF_A_SERVER: tuple[type[Model], ...] = (
    QueuedMessage,
    Body,
    Link,
    Suppression,
    FailureEvidence,
    WebhookRequest,
    WebhookAttempt,
    CaughtMail,
    Simulation,
    ImportedToken,
)


def prune(now: datetime) -> None:
    """Delete messages and texts that servers do not keep any longer. Runs each night."""
    for server in Server.objects.all():
        kept_since = now - timedelta(days=server.message_retention_days)
        texts_since = now - timedelta(days=server.raw_message_retention_days)
        _delete_messages(Message.objects.filter(server_id=server.pk, created_at__lt=kept_since))
        _purge_texts(server.pk, Body.objects.filter(server_id=server.pk, created_at__lt=texts_since))
        _purge_above(server.pk, server.raw_message_retention_size * MEGABYTE)
        _delete(CaughtMail.objects.filter(server_id=server.pk, created_at__lt=texts_since))


def delete_removed() -> None:
    """Delete servers and organisations that were marked as deleted, with all they have. Runs each hour."""
    gone = Server.objects.filter(deleted_at__isnull=False) | Server.objects.filter(
        organization__deleted_at__isnull=False
    )
    for server in gone:
        _delete_messages(Message.objects.filter(server_id=server.pk))
        for model in OF_A_SERVER:
            _delete(model._default_manager.filter(server_id=server.pk))
        server.delete()
    Organization.objects.filter(deleted_at__isnull=False).delete()


def _delete(rows: QuerySet[Any]) -> None:
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:STEP]):
        rows.model._default_manager.filter(pk__in=ids).delete()


def _delete_messages(messages: QuerySet[Message]) -> None:
    """Messages and what hangs on them. Texts are shared, so they go by their own age."""
    while ids := list(messages.order_by("pk").values_list("pk", flat=True)[:STEP]):
        for model in OF_A_MESSAGE:
            model._default_manager.filter(message_id__in=ids).delete()
        QueuedMessage.objects.filter(pk__in=ids).delete()
        Message.objects.filter(pk__in=ids).delete()


def _purge_texts(server_id: int, bodies: QuerySet[Body]) -> None:
    """Delete texts; their messages stay, and say that theirs is gone."""
    while ids := list(bodies.order_by("pk").values_list("pk", flat=True)[:STEP]):
        Message.objects.filter(server_id=server_id, body_id__in=ids).update(body_id=None)
        Body.objects.filter(pk__in=ids).delete()


def _purge_above(server_id: int, limit_bytes: int) -> None:
    """Delete a server's oldest texts, so that the others have no more than `limit_bytes` together."""
    sizes = Body.objects.filter(server_id=server_id).annotate(size=Length("raw"))
    total = 0
    newest_first = sizes.order_by("-created_at", "-pk").values_list("created_at", "pk", "size")
    for created_at, pk, size in newest_first.iterator():
        total += size
        if total > limit_bytes:
            older = Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lte=pk)
            _purge_texts(server_id, Body.objects.filter(older, server_id=server_id))
            return
