"""Webhooks, the requests waiting to be sent, and the attempts made."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from .fields import POSTED_TO, PeerTextField
from .queue import QueueRow
from .queue_state import HAS_DUE_TIME, QueueState
from .server import Server


class Webhook(models.Model):
    """A receiver of a server's events. Source: contract 3.1.

    Without `beyond_postal` it gets what Postal would send, and those of our own events that `events` names.
    """

    server = models.ForeignKey(Server, models.CASCADE, related_name="webhooks")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255)
    url = models.CharField(max_length=2000, validators=[POSTED_TO])
    enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=250, blank=True, editable=False)
    all_events = models.BooleanField(default=True)
    events = models.JSONField(default=list, blank=True)
    beyond_postal = models.BooleanField(
        "beyond Postal",
        default=True,
        help_text="All events include those that Postal lacks. Off for applications that do not expect them.",
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return self.name


class WebhookRequest(QueueRow):
    """An event that waits to be sent. `body` holds the exact bytes, so that every attempt is signed alike."""

    id = models.BigAutoField(primary_key=True)
    webhook_id = models.BigIntegerField()
    server_id = models.BigIntegerField()
    message_id = models.BigIntegerField(null=True)
    uuid = models.UUIDField()
    event = models.CharField(max_length=64)
    body = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["server_id", "webhook_id", "id"],
                name="webhook_ready",
                condition=QueueState.READY.rows,
            ),
            models.Index(fields=["message_id", "webhook_id", "id"], name="webhook_of_message"),
            models.Index(fields=["due_at"], name="webhook_due", condition=HAS_DUE_TIME),
            models.Index(fields=["claimed_by"], name="webhook_claimed", condition=QueueState.CLAIMED.rows),
            models.Index(fields=["expires_at"], name="webhook_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.event} for webhook {self.webhook_id}"


class WebhookAttempt(models.Model):
    """One attempt to send an event. `status_code` is negative if there was no response (contract 3.5)."""

    server_id = models.BigIntegerField()
    webhook_id = models.BigIntegerField()
    uuid = models.UUIDField()
    event = models.CharField(max_length=64)
    url = models.CharField(max_length=2000)
    attempt = models.SmallIntegerField()
    status_code = models.IntegerField()
    answer = PeerTextField(blank=True)  # the first kilobyte of the response
    payload = models.TextField()
    will_retry = models.BooleanField()
    seconds = models.FloatField(null=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["server_id", "id"], name="webhook_attempt_of_server")]

    def __str__(self) -> str:
        return f"{self.event} to {self.url}: {self.status_code}"
