"""What came back about mail: one row for each message that a report is about."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from .fields import PeerCharField, PeerTextField
from .message import Message


class Report(models.Model):
    """What a report says of one outgoing message. `original_id` is None where none could be found.

    `message_id` is the report itself, an incoming message, with which this row is deleted; `kind` a
    `mail.report.Kind`. `found_by` is the evidence that led to the message, and `is_strong` whether nobody but
    its receiver can have had it. `address` is the key of the recipient that it is about, for searching.
    `is_repeated`: the same was said before, and nothing followed. `surplus` counts later reports about the
    message that were not kept.
    """

    server_id = models.BigIntegerField()
    message_id = models.BigIntegerField(db_index=True)
    original_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=16)
    found_by = models.CharField(max_length=16, blank=True, default="")
    is_strong = models.BooleanField(default=False)
    is_repeated = models.BooleanField(default=False)
    is_forwarded = models.BooleanField(default=False)  # another address failed, behind the recipient's
    address = PeerCharField(max_length=320, blank=True, default="")
    recognizer = PeerCharField(max_length=64, blank=True, default="")  # the form in which the report came
    action = PeerCharField(max_length=32, blank=True, default="")
    status = PeerCharField(max_length=16, blank=True, default="")  # an enhanced code
    final_recipient = PeerTextField(null=True)
    original_recipient = PeerTextField(null=True)
    reporting_mta = PeerTextField(null=True)
    remote_mta = PeerTextField(null=True)
    diagnostic = PeerTextField(null=True)  # up to 2,000 characters
    failure_class = models.CharField(max_length=16, blank=True, default="")
    rule = PeerCharField(max_length=128, blank=True, default="")
    surplus = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["original_id", "created_at"],
                name="report_of_message",
                condition=models.Q(original_id__isnull=False),
            ),
            models.Index(fields=["address"], name="report_by_address"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} about message {self.original_id}"


class ReportMail(Message):
    """The message that a report came in, for the administration."""

    class Meta:
        proxy = True
        verbose_name = "report"
