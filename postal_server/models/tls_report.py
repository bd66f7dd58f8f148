"""The sessions that TLS reports are made from (RFC 8460)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from .fields import PeerCharField, PeerTextField


class TlsResult(models.Model):
    """SMTP sessions of one day (UTC) with the same result; removed once reported.

    `failure` is a result type of RFC 8460, empty for sessions that met the policy; `policy` and `hosts` are
    lines. The place and the reason are recorded for failures only.
    """

    day = models.DateField()
    domain = models.CharField(max_length=255)
    policy_type = models.CharField(max_length=16)
    policy = PeerTextField(blank=True)
    hosts = PeerTextField(blank=True)
    failure = models.CharField(max_length=32, blank=True)
    host = PeerCharField(max_length=255, blank=True)
    address = models.CharField(max_length=45, blank=True)
    source = models.CharField(max_length=45, blank=True)
    reason = PeerCharField(max_length=250, blank=True)
    count = models.BigIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["day", "domain", "policy_type", "failure", "host", "address", "source"],
                name="one_tls_result",
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} sessions with {self.domain}: {self.failure or 'success'}"
