"""What a person does with messages: hold, release, send again, remove. Source: contract 7.4.

Each operation is a generator of how many messages each step has dealt with. A step is a transaction of its
own, so that no other writer waits long for the database, and the caller may stop after any step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.db.models import BinaryField, Exists, OuterRef, QuerySet
from django.db.models.functions import Substr

from postal_server.conf import Config
from postal_server.mail.address import as_stored, domain_key, suppression_key
from postal_server.mail.header import Fields
from postal_server.models import Body, Delivery, Message, QueuedMessage
from postal_server.models.queue_state import WAITING
from postal_server.rules import hold
from postal_server.rules.hold import HoldEnd, HoldReason
from postal_server.rules.lane import ANY_SOURCE, LOCAL, Lane, lane_of_endpoint
from postal_server.rules.priority import FIELDS as PRIORITY_FIELDS
from postal_server.rules.priority import Priority
from postal_server.rules.priority import of_header as priority_of_header
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.results import record
from postal_server.services.results.hold import HoldEnded
from postal_server.services.shared import ip_pool
from postal_server.services.shared.loader import load
from postal_server.services.shared.recipient import envelope_recipient
from postal_server.services.shared.rows import Transaction, chunks
from postal_server.services.shared.work import Claimed, Decision

from .context import THE_SERVER, OperationContext

CHUNK = 100  # messages a transaction
HEADER_BYTES = 100_000  # of a text, in which its priority is looked for

Operation = Callable[[Sequence[int], OperationContext], Iterator[int]]  # on the messages with these ids

REMOVED = "Removed from the queue by an administrator."


def requeue(
    message_ids: Sequence[int], context: OperationContext, *, is_manual: bool = True
) -> Iterator[int]:
    """Try messages again at once: how many there are.

    As a person's wish (`is_manual`) they pass credential hold, suppression, development mode, quarantine and
    hold routes; not the send limit. What waits for its next attempt is brought forward; what is being tried
    is left alone.
    """
    for chunk in chunks(message_ids, CHUNK):
        yield _requeue(chunk, context, is_manual=is_manual)


def _requeue(message_ids: Sequence[int], context: OperationContext, *, is_manual: bool) -> int:
    config = context.config
    with context.write_transaction():
        waiting = QueuedMessage.objects.filter(pk__in=message_ids)
        queued = set(waiting.values_list("pk", flat=True))
        brought_forward = waiting.filter(WAITING).update(due_at=None, is_manual=is_manual, attempts=0)
        # Locked, so that retention does not take the texts meanwhile.
        rows = Message.objects.filter(pk__in=set(message_ids) - queued, body_id__isnull=False)
        rows = rows.select_for_update().order_by("pk").defer("prefix")
        lifetime = timedelta(hours=config.delivery.max_lifetime_hours)
        sources = (
            ip_pool.choose_again(list(rows), context.directory, config) if config.postal.use_ip_pools else {}
        )
        bodies = {row.body_id for row in rows if row.body_id and row.scope == Scope.OUTGOING.value}
        priorities = _priorities(bodies)
        new = [
            _queue_row(
                row,
                sources.get(row.id, ANY_SOURCE),
                priorities.get(row.body_id or 0, Priority.TRANSACTIONAL),
                context.now,
                lifetime,
                is_manual=is_manual,
            )
            for row in rows
        ]
        QueuedMessage.objects.bulk_create(new)
        # A released message does not expire while it is on its way.
        Message.objects.filter(pk__in=message_ids).update(hold_expires_at=None, hold_reason="")
    return brought_forward + len(new)


def _priorities(body_ids: Collection[int]) -> dict[int, Priority]:
    """The priorities of mails with these bodies, as when they were accepted: only the queue kept them."""
    heads = Body.objects.filter(pk__in=body_ids).annotate(
        head=Substr("raw", 1, HEADER_BYTES, output_field=BinaryField())
    )
    priorities: dict[int, Priority] = {}
    for pk, head in heads.values_list("pk", "head"):
        fields = Fields(bytes(head))
        priorities[pk] = priority_of_header({name: fields.values(name) for name in PRIORITY_FIELDS})
    return priorities


def _queue_row(
    row: Message,
    source_id: int,
    priority: Priority,
    now: datetime,
    lifetime: timedelta,
    *,
    is_manual: bool,
) -> QueuedMessage:
    return QueuedMessage(
        id=row.id,
        server_id=row.server_id,
        source_id=source_id,
        priority=priority.value,
        destination=_lane(row),
        size_bytes=row.size_bytes,
        is_manual=is_manual,
        created_at=now,
        expires_at=now + lifetime,
    )


def _lane(row: Message) -> Lane:
    if row.scope == Scope.OUTGOING.value:
        return envelope_recipient(row.rcpt_to or "")[1]
    return lane_of_endpoint(row.endpoint_type, row.endpoint_id) if row.endpoint_type else LOCAL


def release(
    message_ids: Sequence[int], context: OperationContext, *, is_manual: bool = True
) -> Iterator[int]:
    """Send held messages after all, as `requeue` does; how many were held."""
    for chunk in chunks(message_ids, CHUNK):
        held = Message.objects.filter(pk__in=chunk, status=DeliveryStatus.HELD.value)
        yield _requeue(list(held.values_list("pk", flat=True)), context, is_manual=is_manual)


def held(
    *,
    server_id: int | None = None,
    reason: HoldReason | None = None,
    stream: str = "",
    recipient: str = "",
    tag: str = "",
    held_before: datetime | None = None,
    because: str = "",
) -> QuerySet[Message]:
    """Held messages that match all that is given, oldest first.

    `recipient` is an address or `@domain`; `because` a part of the sentence that says why.
    """
    equal = {"server_id": server_id, "hold_reason": reason and reason.value, "stream": stream, "tag": tag}
    found = Message.objects.filter(
        hold_expires_at__isnull=False, **{name: value for name, value in equal.items() if value}
    )
    found = found.defer("prefix").order_by("pk")
    if recipient.startswith("@"):
        found = found.filter(rcpt_to__iendswith=f"@{domain_key(recipient[1:])}")
    elif recipient:
        found = found.filter(rcpt_to__iexact=as_stored(recipient))
    if held_before is not None:
        found = found.filter(last_attempt_at__lte=held_before)  # which the hold was
    if because:
        why = Delivery.objects.filter(message_id=OuterRef("pk"), status=DeliveryStatus.HELD.value)
        found = found.filter(Exists(why.filter(details__icontains=because)))
    return found


def waiting_for(server_id: int, addresses: Iterable[str]) -> list[int]:
    """The messages that are held because these recipients are, or were, on the suppression list."""
    keys = {suppression_key(address) for address in addresses}
    recipients = held(server_id=server_id, reason=HoldReason.SUPPRESSED).values_list("pk", "rcpt_to")
    return [pk for pk, address in recipients.iterator() if suppression_key(address or "") in keys]


def sentences(message_ids: Sequence[int]) -> dict[int, str]:
    """Why each message was held last, as people read it."""
    why = Delivery.objects.filter(message_id__in=message_ids, status=DeliveryStatus.HELD.value)
    return dict(why.order_by("pk").values_list("message_id", "details"))


def keep_back(message_ids: Sequence[int], context: OperationContext) -> Iterator[int]:
    """Hold messages that wait for an attempt; how many. What is being tried cannot be held any more."""
    why = hold.by(HoldReason.ADMIN)
    decide = partial(Decision, status=DeliveryStatus.HELD, details=why.sentence, hold_reason=why.reason)
    return _take_out(message_ids, decide, context)


def remove(message_ids: Sequence[int], context: OperationContext) -> Iterator[int]:
    """Fail messages that wait for an attempt; how many. Webhooks report it; senders get no notice."""
    decide = partial(Decision, status=DeliveryStatus.FAILED, details=REMOVED)
    return _take_out(message_ids, decide, context)


def _take_out(
    message_ids: Sequence[int], decide: Callable[[Claimed], Decision], context: OperationContext
) -> Iterator[int]:
    for chunk in chunks(message_ids, CHUNK):
        with context.write_transaction():
            waiting = QueuedMessage.objects.filter(WAITING, pk__in=chunk).select_for_update()
            ids = list(waiting.values_list("pk", flat=True))
            rows = Message.objects.filter(pk__in=ids).defer("prefix")
            decisions = [decide(_claimed(row)) for row in rows]
            QueuedMessage.objects.filter(pk__in=ids).delete()
            record.record(decisions, context.directory, context.config, context.now)
        yield len(decisions)


def cancel(message_ids: Sequence[int], context: OperationContext, by: HoldEnd) -> Iterator[int]:
    """End the hold of messages without sending them; how many were held."""
    for chunk in chunks(message_ids, CHUNK):
        with context.write_transaction():
            held = Message.objects.filter(
                pk__in=chunk, status=DeliveryStatus.HELD.value, hold_expires_at__isnull=False
            )
            decisions = [
                Decision(
                    _claimed(row), DeliveryStatus.HOLD_CANCELLED, hold.CANCELLED, effects=(HoldEnded(by),)
                )
                for row in held.select_for_update().defer("prefix")
            ]
            record.record(decisions, context.directory, context.config, context.now)
        yield len(decisions)


def expire(config: Config, now: datetime, write_transaction: Transaction) -> int:
    """Cancel holds that were not ended in time; how many. Runs each hour."""
    due = list(Message.objects.filter(hold_expires_at__lte=now).values_list("pk", flat=True))
    if not due:
        return 0  # without loading the directory
    context = OperationContext(THE_SERVER, config, now, load(), write_transaction)
    return sum(cancel(due, context, HoldEnd.EXPIRY))


def _claimed(row: Message) -> Claimed:
    """A held message as the results of claimed ones are; it has no row in the queue to finish."""
    return Claimed(row.id, row.server_id, "", 0, True, row.size_bytes, row.created_at)
