"""Recipients that a server does not send to."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from .fields import PeerCharField


class Suppression(models.Model):
    """An address on a server's suppression list, in lower case. Source: contract 7.3."""

    server_id = models.BigIntegerField()
    address = PeerCharField(max_length=320)
    reason = PeerCharField(max_length=250)
    created_at = models.DateTimeField()
    keep_until = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server_id", "address"], name="one_suppression_per_address")
        ]

    def __str__(self) -> str:
        return self.address


class FailureEvidence(models.Model):
    """A hard failure of the last day: the second one to the same address adds a suppression."""

    server_id = models.BigIntegerField()
    address = PeerCharField(max_length=320)
    message_id = models.BigIntegerField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["server_id", "address"], name="failure_of_address")]

    def __str__(self) -> str:
        return f"{self.address} failed"
