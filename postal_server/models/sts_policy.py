"""MTA-STS policies of other domains (RFC 8461), so that a restart does not forget what they enforce."""

from __future__ import annotations

from django.db import models

from .fields import PeerTextField


class StsPolicy(models.Model):
    """The policy that a domain last published; `text` is its lines, `record_id` that of its TXT record."""

    domain = models.CharField(max_length=255, primary_key=True)
    record_id = models.CharField(max_length=32)
    text = PeerTextField()
    fetched_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.domain
