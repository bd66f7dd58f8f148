"""Who did what to what."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from .fields import PeerCharField


class AuditEntry(models.Model):
    """One thing that somebody did. `before` and `after` are the values that it changed, without secrets.

    It refers to people and to what they changed by name and by plain number: an entry outlives both.
    """

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=255)
    client = models.CharField(max_length=64, blank=True)  # the address that the request came from
    action = models.CharField(max_length=32)
    kind = models.CharField(max_length=32)
    object_id = models.BigIntegerField(null=True)
    object_name = PeerCharField(max_length=255)
    organization_id = models.BigIntegerField(null=True)
    server_id = models.BigIntegerField(null=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization_id", "id"], name="audit_of_organization"),
            models.Index(fields=["kind", "object_id", "id"], name="audit_of_object"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.kind} {self.object_name}"
