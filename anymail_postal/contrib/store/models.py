"""The tables: sent messages, received events and mail, scheduled mail, and suppressed addresses.

Rows refer to each other by server name and Postal's id rather than by foreign keys, because events and
messages arrive in any order and are pruned separately. Postal's ids are a sequence per mail server.
"""

from __future__ import annotations

from typing import Any

from anymail.signals import EventType
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

# How significant an event is for the status of a message. An event never replaces a more significant one,
# because webhooks arrive in any order, and a delivered message can still bounce. Opens and clicks do not
# count.
WEIGHTS = {
    EventType.QUEUED: 1,
    EventType.DEFERRED: 2,
    EventType.REJECTED: 3,
    EventType.FAILED: 4,
    EventType.DELIVERED: 4,
    EventType.BOUNCED: 5,
}
FINAL = (EventType.REJECTED, EventType.FAILED, EventType.DELIVERED, EventType.BOUNCED)


class ServerRow(models.Model):
    """A row of a Postal server, which is identified by its name in the settings."""

    server = models.CharField(max_length=100)

    class Meta:
        abstract = True


class PostalMessage(ServerRow):
    """A message that Postal accepted for one recipient, and its status."""

    postal_id = models.BigIntegerField("Postal's id")
    token = models.CharField(max_length=64, blank=True)
    recipient = models.CharField(max_length=320, db_index=True)
    rfc_message_id = models.CharField("Message-ID", max_length=255, blank=True, db_index=True)
    subject = models.CharField(max_length=255, blank=True)
    tag = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    sent_at = models.DateTimeField(default=now)
    event_type = models.CharField("state", max_length=20, default=EventType.QUEUED)
    reject_reason = models.CharField(max_length=20, blank=True)
    failure_class = models.CharField(max_length=64, blank=True)
    event_at = models.DateTimeField("since", null=True, blank=True)

    class Meta:
        verbose_name = "message"
        ordering = ["-sent_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["server", "postal_id"], name="anymail_postal_message_id")
        ]
        indexes = [models.Index(fields=["event_type", "sent_at"], name="anymail_postal_message_state")]

    def __str__(self) -> str:
        return f"{self.subject or 'Message'} to {self.recipient}"

    def events(self) -> models.QuerySet[PostalEvent]:
        """The events of this message, in order."""
        return PostalEvent.objects.filter(server=self.server, postal_id=self.postal_id).order_by(
            "happened_at", "pk"
        )


class Receipt(ServerRow):
    """A request of Postal, identified by `key`. The body is kept until a task has handled it."""

    key = models.CharField(max_length=64)
    postal_id = models.BigIntegerField("Postal's id", null=True, blank=True)
    recipient = models.CharField(max_length=320, blank=True)
    received_at = models.DateTimeField(default=now, db_index=True)
    handled_at = models.DateTimeField(null=True, blank=True)
    body = models.BinaryField(default=bytes)
    content_type = models.CharField(max_length=255, blank=True, editable=False)

    class Meta:
        abstract = True

    def same(self) -> Q:
        """A condition for the row of the same request."""
        return Q(server=self.server, key=self.key)


class PostalEvent(Receipt):
    """An event of a sent message or of the server."""

    name = models.CharField("Postal's name", max_length=100)
    event_type = models.CharField("type", max_length=20)
    reject_reason = models.CharField(max_length=20, blank=True)
    failure_class = models.CharField(max_length=64, blank=True)
    occurred_at = models.DateTimeField(null=True, blank=True, help_text="As Postal says, where it does.")
    happened_at = models.DateTimeField("time", default=now)
    details = models.TextField(blank=True)
    output = models.TextField("answer of the receiving server", blank=True)

    class Meta:
        verbose_name = "event"
        ordering = ["-happened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["server", "key"], name="anymail_postal_event_key"),
            # Two webhooks with one URL send an event twice, with different uuids.
            models.UniqueConstraint(
                fields=["server", "name", "postal_id", "occurred_at"], name="anymail_postal_event_when"
            ),
        ]
        indexes = [models.Index(fields=["server", "postal_id"], name="anymail_postal_event_message")]

    def __str__(self) -> str:
        return f"{self.name} for {self.recipient}" if self.recipient else self.name

    def same(self) -> Q:
        same = super().same()
        if self.postal_id is not None and self.occurred_at is not None:
            same |= Q(
                server=self.server, name=self.name, postal_id=self.postal_id, occurred_at=self.occurred_at
            )
        return same


class InboundMail(Receipt):
    """An incoming mail."""

    sender = models.CharField("envelope sender", max_length=320, blank=True)
    subject = models.CharField(max_length=255, blank=True)

    class Meta:
        verbose_name = "incoming mail"
        verbose_name_plural = "incoming mail"
        ordering = ["-received_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["server", "key"], name="anymail_postal_inbound_key")]

    def __str__(self) -> str:
        return f"{self.subject or 'Mail'} from {self.sender or '<>'}"


class ScheduledMail(ServerRow):
    """An API call to make at `send_at`. The row is deleted once its messages are recorded."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"  # if it stays so, the process died, and Postal may have accepted the mail
        FAILED = "failed"

    send_at = models.DateTimeField()
    endpoint = models.CharField(max_length=20)
    params = models.JSONField(editable=False)
    subject = models.CharField(max_length=255, blank=True)
    tag = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        verbose_name = "scheduled mail"
        verbose_name_plural = "scheduled mail"
        ordering = ["send_at", "pk"]
        indexes = [models.Index(fields=["state", "send_at"], name="anymail_postal_due")]

    def __str__(self) -> str:
        return self.subject or "Mail"


class Suppression(ServerRow):
    """An address that is not mailed, because mail to it bounced or was rejected, until the row is deleted."""

    address = models.CharField(max_length=320)  # in lower case
    reason = models.CharField(max_length=20, blank=True)
    postal_id = models.BigIntegerField("Postal's id", null=True, blank=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["server", "address"], name="anymail_postal_suppressed")
        ]

    def __str__(self) -> str:
        return self.address

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.address = self.address.lower()
        super().save(*args, **kwargs)
