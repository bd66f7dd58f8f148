"""Delete what is past its keep time, and what belongs to servers that were deleted. Contract 10.1, 11.1.

In steps of a hundred rows, each a transaction of its own: no other writer waits long for the database.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Model, Q, QuerySet, Sum
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
    Report,
    Server,
    Simulation,
    Suppression,
    WebhookAttempt,
    WebhookRequest,
)
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.rows import Transaction

logger = logging.getLogger(__name__)

STEP = 100  # rows a transaction
TEXTS = 1000  # whose messages are looked for at a time: no index leads from a text to them
MEGABYTE = 1024 * 1024

ABOVE_THE_LIMIT = "%s keeps %.1f MB of texts above its limit of %d MB: their mail waits, or is held."

# What hangs on a message by its number. Links stay: they go on redirecting (contract 8.4).
OF_A_MESSAGE: tuple[type[Model], ...] = (Delivery, Load, Click, ImportedToken, Report)
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


def prune(now: datetime, write_transaction: Transaction = transaction.atomic) -> None:
    """Delete messages and texts that servers do not keep any longer. Runs each night.

    Nothing of a message that waits is deleted, whatever its age or size. Messages wait in the queue, in any
    state, or are held.
    """
    for server in Server.objects.select_related("organization"):
        kept_since = now - timedelta(days=server.message_retention_days)
        texts_since = now - timedelta(days=server.raw_message_retention_days)
        _forget_messages(server, kept_since, write_transaction)
        _purge_older(server, texts_since, write_transaction)
        _purge_above(server, server.raw_message_retention_size * MEGABYTE, write_transaction)
        _delete(CaughtMail.objects.filter(server_id=server.pk, created_at__lt=texts_since))
    of_deleted_servers = CaughtMail.objects.exclude(server_id__in=Server.objects.values("pk"))
    _delete(
        of_deleted_servers.filter(created_at__lt=now - timedelta(days=Server().raw_message_retention_days))
    )


def delete_removed() -> None:
    """Delete servers and organizations that were marked as deleted, with all they have. Runs each hour."""
    gone = Server.objects.filter(deleted_at__isnull=False) | Server.objects.filter(
        organization__deleted_at__isnull=False
    )
    for server in gone:
        messages = Message.objects.filter(server_id=server.pk).order_by("pk").values_list("pk", flat=True)
        while ids := list(messages[:STEP]):
            _delete_messages(ids)
        for model in OF_A_SERVER:
            _delete(model._default_manager.filter(server_id=server.pk))
        server.delete()
    Organization.objects.filter(deleted_at__isnull=False).delete()


def _delete(rows: QuerySet[Any]) -> None:
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:STEP]):
        rows.model._default_manager.filter(pk__in=ids).delete()


def _forget_messages(server: Server, kept_since: datetime, write_transaction: Transaction) -> None:
    old = Message.objects.filter(server_id=server.pk, created_at__lt=kept_since).order_by("pk")
    last = 0
    while ids := list(old.filter(pk__gt=last).values_list("pk", flat=True)[:STEP]):
        with write_transaction():
            rows = _with_wait(Message.objects.filter(pk__in=ids))
            _delete_messages([pk for pk, _, waits in rows if not waits])
        last = ids[-1]


def _delete_messages(ids: Collection[int]) -> None:
    """Messages and what hangs on them. Texts are shared, so they go by their own age."""
    for model in OF_A_MESSAGE:
        model._default_manager.filter(message_id__in=ids).delete()
    QueuedMessage.objects.filter(pk__in=ids).delete()
    Message.objects.filter(pk__in=ids).delete()


def _with_wait(messages: QuerySet[Message]) -> list[tuple[int, int | None, bool]]:
    """Id and text of each message, and whether it waits. In a transaction that stays so: the rows are locked.

    A message that is being tried is in the queue as well.
    """
    rows = list(messages.select_for_update().order_by("pk").values_list("pk", "body_id", "status"))
    queued = set(QueuedMessage.objects.filter(pk__in=[pk for pk, *_ in rows]).values_list("pk", flat=True))
    return [(pk, text, pk in queued or status == DeliveryStatus.HELD.value) for pk, text, status in rows]


def _purge_older(server: Server, texts_since: datetime, write_transaction: Transaction) -> None:
    old = Body.objects.filter(server_id=server.pk, created_at__lt=texts_since).order_by("pk")
    last = 0
    while ids := list(old.filter(pk__gt=last).values_list("pk", flat=True)[:TEXTS]):
        _purge_texts(server, ids, write_transaction)
        last = ids[-1]


def _purge_texts(server: Server, ids: Sequence[int], write_transaction: Transaction) -> set[int]:
    """Delete texts that no waiting message has; which. Their messages stay, and say that theirs is gone."""
    # Looked for before it is our turn, as it takes a while. Nothing begins to use a text that is there.
    users: defaultdict[int | None, list[int]] = defaultdict(list)
    having = Message.objects.filter(server_id=server.pk, body_id__in=ids).values_list("body_id", "pk")
    for text, pk in having:
        users[text].append(pk)
    gone: set[int] = set()
    for step in _steps(ids, users):
        with write_transaction():
            gone |= _purge(step, [pk for text in step for pk in users[text]])
    return gone


def _steps(texts: Sequence[int], users: Mapping[int | None, Sequence[int]]) -> Iterator[Sequence[int]]:
    """The texts in steps of some hundred rows, those of their messages counted."""
    step, rows = [], 0
    for text in texts:
        step.append(text)
        rows += 1 + len(users[text])
        if rows >= STEP:
            yield step
            step, rows = [], 0
    if step:
        yield step


def _purge(ids: Sequence[int], users: Sequence[int]) -> set[int]:
    rows = _with_wait(Message.objects.filter(pk__in=users, body_id__in=ids))
    gone = set(ids) - {text for _, text, waits in rows if waits}
    Message.objects.filter(pk__in=[pk for pk, text, _ in rows if text in gone]).update(body_id=None)
    Body.objects.filter(pk__in=gone).delete()
    return gone


def _purge_above(server: Server, limit_bytes: int, write_transaction: Transaction) -> None:
    """Delete a server's oldest texts until the others have no more than `limit_bytes` together.

    What it has above that, because it waits, is logged and noted for the administration.
    """
    sizes = Body.objects.filter(server_id=server.pk).annotate(size=Length("raw"))
    excess = (sizes.aggregate(total=Sum("size"))["total"] or 0) - limit_bytes
    oldest_first = sizes.order_by("created_at", "pk").values_list("created_at", "pk", "size")
    last = Q()
    while excess > 0 and (step := list(oldest_first.filter(last)[:TEXTS])):
        taken = _oldest(step, excess)
        gone = _purge_texts(server, [pk for _, pk, _ in taken], write_transaction)
        excess -= sum(size for _, pk, size in taken if pk in gone)
        created_at, pk, _ = taken[-1]
        last = Q(created_at__gt=created_at) | Q(created_at=created_at, pk__gt=pk)
    excess = max(0, excess)
    if excess:
        logger.warning(ABOVE_THE_LIMIT, server, excess / MEGABYTE, limit_bytes // MEGABYTE)
    if excess != server.raw_message_excess_bytes:
        Server.objects.filter(pk=server.pk).update(raw_message_excess_bytes=excess)


def _oldest(
    texts: Sequence[tuple[datetime, int, int]], wanted_bytes: int
) -> Sequence[tuple[datetime, int, int]]:
    """So many of the texts, oldest first, as have this many bytes together."""
    total = 0
    for number, (_, _, size) in enumerate(texts, 1):
        total += size
        if total >= wanted_bytes:
            return texts[:number]
    return texts
