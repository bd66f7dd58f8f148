"""Messages and their deliveries. A message is one envelope recipient of one submission."""

from __future__ import annotations

import zlib
from datetime import date, datetime
from typing import ClassVar

from django.db import models

from postal_server.rules.status import DeliveryStatus, Scope

from .fields import PeerCharField, PeerTextField, choices

EPOCH = date(1970, 1, 1)


def message_id_key(message_id: str | None, at: datetime) -> tuple[int | None, int | None]:
    """Day and hash under which a Message-ID is indexed: random values would scatter over a large index."""
    if message_id is None:
        return None, None
    return (at.date() - EPOCH).days, zlib.crc32(message_id.encode("utf-8", "surrogatepass"))


class Body(models.Model):
    """The bytes of one submission, shared by its recipients and never updated.

    `id` is that of the first message that uses it. Kept apart from `Message`, because updating the status of
    a row that carries the text would write the text again.
    """

    id = models.BigIntegerField(primary_key=True)
    server_id = models.BigIntegerField()
    created_at = models.DateTimeField()
    raw = models.BinaryField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["server_id", "created_at"], name="body_retention")]

    def __str__(self) -> str:
        return f"body {self.id}"


class Message(models.Model):
    """One message for one recipient, as the API shows it.

    The stored text is `prefix` + the body's `raw`: the prefix has what differs between recipients or was
    added after acceptance (`DKIM-Signature`, `X-Postal-MsgID`, `X-Postal-Spam`...). `size_bytes` is the size
    as accepted. Rows refer to configuration by plain number, so that deleting a domain or a route does not
    touch a million messages. The token is computed from the id (`services/shared/token.py`), except for
    imported messages (`ImportedToken`).

    `is_bounce` is Postal's `bounce`: see `is_report` and `is_notice` for what it means.
    """

    id = models.BigIntegerField(primary_key=True)
    server_id = models.BigIntegerField()
    body_id = models.BigIntegerField(null=True)  # None once the text has been purged
    scope = models.CharField(max_length=8, choices=choices(Scope))
    rcpt_to = PeerTextField(null=True)  # Postal distinguishes NULL from an empty string
    mail_from = PeerTextField(null=True)  # None is the null reverse-path
    subject = PeerTextField(null=True)  # cut to 8192 characters
    message_id = PeerTextField(null=True)  # without brackets
    message_id_day = models.IntegerField(null=True)  # days since 1970, with the hash below: a small index
    message_id_hash = models.BigIntegerField(null=True)
    tag = PeerTextField(null=True)
    stream = models.CharField(max_length=64, blank=True, default="")
    ignored_stream = PeerCharField(
        max_length=80, blank=True, default=""
    )  # what the mail named, if it is no name
    status = models.CharField(max_length=16, default=DeliveryStatus.PENDING.value)
    size_bytes = models.BigIntegerField()
    prefix = models.BinaryField(default=b"")
    is_bounce = models.BooleanField(default=False)
    bounce_for_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=16, blank=True, default="")  # of a report: a `mail.report.Kind`
    received_with_ssl = models.BooleanField(null=True)
    domain_id = models.BigIntegerField(null=True)
    credential_id = models.BigIntegerField(null=True)
    route_id = models.BigIntegerField(null=True)
    endpoint_type = models.CharField(max_length=16, blank=True, default="")
    endpoint_id = models.BigIntegerField(null=True)
    is_inspected = models.BooleanField(default=False)
    is_spam = models.BooleanField(default=False)
    spam_score = models.FloatField(default=0.0)
    is_threat = models.BooleanField(default=False)
    threat_details = PeerTextField(null=True)
    is_rewritten = models.BooleanField(default=False)  # links are rewritten and the pixel is added
    hold_expires_at = models.DateTimeField(null=True)
    hold_reason = models.CharField(
        max_length=16, blank=True, default=""
    )  # of the last hold, until its release
    last_attempt_at = models.DateTimeField(null=True)
    loaded_at = models.DateTimeField(null=True)
    clicked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["server_id", "id"], name="message_of_server"),
            models.Index(fields=["message_id_day", "message_id_hash"], name="message_by_message_id"),
            models.Index(
                fields=["hold_expires_at"],
                name="message_held",
                condition=models.Q(hold_expires_at__isnull=False),
            ),
            models.Index(
                fields=["server_id", "kind", "id"],
                name="message_report",
                condition=~models.Q(kind=""),
            ),
            models.Index(
                fields=["hold_reason", "server_id", "id"],
                name="message_held_by_reason",
                condition=models.Q(hold_expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.id}"

    @property
    def is_report(self) -> bool:
        """Did it arrive at a return path, where only reports on our mail should arrive?"""
        return self.is_bounce and self.scope == Scope.INCOMING.value

    @property
    def is_notice(self) -> bool:
        """Is it sent with the null reverse-path: a failure notice of ours, or an application's bounce?"""
        return self.is_bounce and self.scope == Scope.OUTGOING.value


class Delivery(models.Model):
    """The record of one attempt or decision. `seconds` is how long the transaction took.

    Where the message was not taken, `failure_class` says why and `rule` by what that was known: `stage`,
    `operator` and `is_sure` are those of `rules.classification`. `diagnostic` is the remote's answer where
    `output` has only its start.
    """

    message_id = models.BigIntegerField(db_index=True)
    status = models.CharField(max_length=16)
    code = models.IntegerField(null=True)  # the remote's reply code
    details = PeerCharField(max_length=250)
    output = PeerTextField(null=True)
    sent_with_ssl = models.BooleanField(null=True)
    tls = PeerCharField(max_length=64, blank=True, default="")  # version and certificate result
    log_id = models.CharField(max_length=16, null=True)  # noqa: DJ001
    seconds = models.FloatField(null=True)
    created_at = models.DateTimeField()
    failure_class = models.CharField(max_length=16, blank=True, default="")
    rule = PeerCharField(max_length=128, blank=True, default="")
    stage = models.CharField(max_length=8, blank=True, default="")
    operator = PeerCharField(max_length=255, blank=True, default="")
    is_sure = models.BooleanField(default=False)
    diagnostic = PeerTextField(null=True)  # up to 2,000 characters

    def __str__(self) -> str:
        return f"{self.status} of message {self.message_id}"


class ImportedToken(models.Model):
    """The token of a message that was made elsewhere and cannot be computed."""

    token = models.CharField(max_length=32, primary_key=True)
    server_id = models.BigIntegerField()
    message_id = models.BigIntegerField(db_index=True)

    def __str__(self) -> str:
        return self.token
