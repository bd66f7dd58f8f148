"""The store: `anymail_postal.ports.Store` on Django's models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from anymail.signals import EventType, RejectReason
from django.db import IntegrityError, OperationalError, connections, models, router, transaction
from django.utils.timezone import now

from anymail_postal import conf, ports
from anymail_postal.ports import (
    Claim,
    Delivery,
    EventReceipt,
    MailReceipt,
    Receipt,
    ScheduledSend,
    SentMessage,
    StoredEvent,
)

from .models import WEIGHTS, InboundMail, PostalEvent, PostalMessage, ScheduledMail, Suppression

# How long a repetition waits for the transaction of the first request. Postal waits 5 s for the response.
LOCK_WAIT = "'2s'"
MODELS: dict[str, type[PostalEvent] | type[InboundMail]] = {"tracking": PostalEvent, "inbound": InboundMail}


class Store(ports.Store):
    """The store in the database. `anymail_postal.ports.Store` describes the methods."""

    def record_sent(self, server: str, messages: Iterable[SentMessage]) -> None:
        rows = [fitted(PostalMessage(**{**vars(sent), "metadata": dict(sent.metadata)})) for sent in messages]
        for row in rows:
            row.server = server
        # A savepoint, so that an error does not break the caller's transaction: the mail is accepted.
        with transaction.atomic(using=router.db_for_write(PostalMessage)):
            PostalMessage.objects.bulk_create(rows, ignore_conflicts=True)
            # An event may arrive before the response that names its message.
            ids = [row.postal_id for row in rows]
            for event in PostalEvent.objects.filter(server=server, postal_id__in=ids):
                update_message(event)

    def metadata(self, server: str, postal_id: int) -> dict[str, Any] | None:
        rows = PostalMessage.objects.filter(server=server, postal_id=postal_id)
        found: dict[str, Any] | None = rows.values_list("metadata", flat=True).first()
        return found

    @contextmanager
    def receive(self, receipt: Receipt) -> Iterator[Claim]:
        row = _row(receipt)
        row.handled_at = now()
        with transaction.atomic(using=_database(row)):
            yield _claim(row, receipt)

    def keep(self, receipt: Receipt, body: bytes, content_type: str) -> str | None:
        row = _row(receipt)
        row.body = body
        row.content_type = content_type[:255]
        with transaction.atomic(using=_database(row)):
            kept = row if _insert(row, receipt) else _rows(row).earliest("pk")
        return f"{_kind(kept)}-{kept.pk}" if kept.handled_at is None else None

    @contextmanager
    def delivery(self, delivery_id: str) -> Iterator[Delivery | None]:
        kind, _, number = delivery_id.partition("-")
        if kind not in MODELS or not number.isdecimal():
            yield None
            return
        database = router.db_for_write(MODELS[kind])
        waiting = MODELS[kind].objects.using(database).filter(pk=int(number), handled_at=None)
        with transaction.atomic(using=database):
            row = waiting.first()
            # The update is the claim: of two tasks, one changes the row; the other waits for that and then
            # has nothing to change. It is rolled back if the receivers fail.
            if row is None or not waiting.update(handled_at=now(), body=b""):
                yield None
                return
            yield Delivery(_kind(row), row.server, bytes(row.body), row.content_type)

    def schedule(self, sends: Sequence[ScheduledSend]) -> None:
        ScheduledMail.objects.bulk_create(
            fitted(
                ScheduledMail(**{**vars(send), "params": dict(send.params), "metadata": dict(send.metadata)})
            )
            for send in sends
        )

    def suppressed(self, server: str, addresses: Iterable[str]) -> set[str]:
        addresses = list(addresses)
        rows = Suppression.objects.filter(server=server, address__in={each.lower() for each in addresses})
        found = set(rows.values_list("address", flat=True))
        return {address for address in addresses if address.lower() in found}

    def event_names(self, server: str) -> set[str]:
        return set(
            PostalEvent.objects.filter(server=server).order_by().values_list("name", flat=True).distinct()
        )

    def events(self, limit: int, *, server: str | None = None, after: int | None = None) -> list[StoredEvent]:
        rows = PostalEvent.objects.all() if server is None else PostalEvent.objects.filter(server=server)
        if after is None:
            return [_stored(row) for row in rows.order_by("-pk")[:limit]][::-1]
        return [_stored(row) for row in rows.filter(pk__gt=after).order_by("pk")[:limit]]


# --- receiving ---


def _row(receipt: Receipt) -> PostalEvent | InboundMail:
    """The unsaved row of a request."""
    if isinstance(receipt, MailReceipt):
        return fitted(InboundMail(**vars(receipt)))
    values = {**vars(receipt), "reject_reason": receipt.reject_reason or ""}
    del values["may_suppress"]
    return fitted(PostalEvent(**values, happened_at=receipt.occurred_at or now()))


def _claim(row: PostalEvent | InboundMail, receipt: Receipt) -> Claim:
    """Insert the row of a request in the caller's transaction, unless it exists."""
    try:
        if _insert(row, receipt):
            return Claim.NEW
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise
        return Claim.RUNNING
    # It was kept for a task that has not run, and then the setting changed: this request runs first.
    waiting = _rows(row).filter(handled_at=None)
    return Claim.NEW if waiting.update(handled_at=row.handled_at, body=b"") else Claim.DONE


def _insert(row: PostalEvent | InboundMail, receipt: Receipt) -> bool:
    """Insert a row and what follows from it; whether the row is new."""
    database = _database(row)
    try:
        with transaction.atomic(
            using=database
        ):  # A savepoint, so that a repetition does not break the outer transaction.
            _set_lock_wait(database, LOCK_WAIT)
            row.save(using=database, force_insert=True)
            _set_lock_wait(database, "DEFAULT")
    except IntegrityError:
        return False
    if isinstance(row, PostalEvent):
        update_message(row)
        if isinstance(receipt, EventReceipt) and receipt.may_suppress:
            _suppress(row)
    return True


def update_message(event: PostalEvent) -> None:
    """Set the status of a message by an event, unless a more significant event has set it."""
    weight = WEIGHTS.get(event.event_type)
    if event.postal_id is None or weight is None:
        return
    less = [event_type for event_type, other in WEIGHTS.items() if other < weight]
    PostalMessage.objects.filter(server=event.server, postal_id=event.postal_id, event_type__in=less).update(
        event_type=event.event_type,
        reject_reason=event.reject_reason,
        failure_class=event.failure_class,
        event_at=event.happened_at,
    )


def _suppress(event: PostalEvent) -> None:
    """Add the recipient of bounced or rejected mail to the suppressions, if the settings ask for that."""
    if event.event_type not in (EventType.BOUNCED, EventType.REJECTED) or not event.recipient:
        return
    if event.reject_reason == RejectReason.SPAM:
        return  # That is about the content, not about the address.
    if conf.server(event.server).suppression == "store":
        row = Suppression(
            server=event.server,
            address=event.recipient.lower(),
            reason=event.reject_reason or event.event_type,
            postal_id=event.postal_id,
        )
        Suppression.objects.bulk_create([row], ignore_conflicts=True)


def _stored(row: PostalEvent) -> StoredEvent:
    return StoredEvent(
        number=row.pk,
        at=row.happened_at,
        server=row.server,
        name=row.name,
        event_type=row.event_type,
        reject_reason=row.reject_reason,
        failure_class=row.failure_class,
        recipient=row.recipient,
        details=row.details,
        output=row.output,
    )


def _rows(row: PostalEvent | InboundMail) -> models.QuerySet[Any]:
    """The stored row of the same request, if any."""
    return type(row).objects.using(_database(row)).filter(row.same())


def _kind(row: PostalEvent | InboundMail) -> Literal["tracking", "inbound"]:
    return "tracking" if isinstance(row, PostalEvent) else "inbound"


# --- databases ---


def _database(row: models.Model) -> str:
    return router.db_for_write(type(row), instance=row)


def _set_lock_wait(database: str, wait: str) -> None:
    """Limit how long PostgreSQL waits for the first of two equal requests. SQLite has its `timeout`."""
    if connections[database].vendor == "postgresql":
        with connections[database].cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout TO {wait}")


def is_lock_timeout(error: OperationalError) -> bool:
    """Whether an error of PostgreSQL, MySQL or SQLite says that the row is locked."""
    return (
        getattr(error.__cause__, "sqlstate", None) == "55P03"
        or error.args[:1] == (1205,)
        or "locked" in str(error)
    )


# --- values ---


Row = TypeVar("Row", bound=models.Model)


def fitted(row: Row) -> Row:
    """The row with values that all databases accept.

    Texts are cut to the size of their column, without NUL, which PostgreSQL refuses, and without surrogates.
    """
    for field in row._meta.concrete_fields:
        value = getattr(row, field.attname)
        if isinstance(value, str):
            value = value.encode("utf-8", "replace").decode().replace("\0", "")
            setattr(row, field.attname, value[: field.max_length])
        elif isinstance(value, int) and abs(value) >= 2**63:
            setattr(row, field.attname, None)  # too large for the column, and for an id of a message
    return row
