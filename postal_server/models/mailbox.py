"""The catch's mailboxes: mail that is kept here instead of being sent to the internet."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from .fields import PeerTextField


class CaughtMail(models.Model):
    """A mail as the catch listener received it. `server_id` is read from its return path, 0 if unknown."""

    server_id = models.BigIntegerField()
    mail_from = PeerTextField(null=True)
    rcpt_to = PeerTextField()
    subject = PeerTextField(blank=True)
    raw = models.BinaryField()
    tls = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["server_id", "id"], name="caught_of_server")]

    def __str__(self) -> str:
        return f"{self.rcpt_to}: {self.subject}"


class Simulation(models.Model):
    """How the catch responds for a recipient: the reply to RCPT or to the final dot, a delay, or a bounce."""

    server_id = models.BigIntegerField()
    recipient = models.CharField(max_length=320)  # an address, or `*@domain`
    stage = models.CharField(max_length=8)  # rcpt, data, bounce
    reply = models.CharField(max_length=250)
    times = models.IntegerField(null=True)  # how often; None for always
    delay_seconds = models.FloatField(default=0.0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server_id", "recipient"], name="one_simulation_per_recipient")
        ]

    def __str__(self) -> str:
        return f"{self.recipient}: {self.reply}"
