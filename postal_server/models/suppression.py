"""Recipients that a server does not send to, and what was observed about them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from postal_server.rules.suppression import Reason, State

from .fields import PeerCharField, choices

SCOPE_CHARACTERS = 262  # `domain:` and a domain
OPERATOR_CHARACTERS = 255


class Suppression(models.Model):
    """An entry of a server's suppression list: an address that mail is not sent to, and why.

    It stops mail until `keep_until` (None: without end) or `ended_at`, whichever is first. `scope` says which
    mail: all (empty), that of one stream (`stream:<name>`) or from one domain (`domain:<name>`). `key` is the
    address as it is compared (`mail.address.suppression_key`), `address` as it was given. `reason` decides,
    `text` is shown to people. `answer`, `rule` and `code` are the evidence: what the remote said, and how it
    was understood. `times` counts how often the address came on within a year, and `created_at` is the last
    of them. A proposed entry stops nothing: its incident decides.
    """

    server_id = models.BigIntegerField()
    scope = models.CharField(max_length=SCOPE_CHARACTERS, blank=True, default="")
    key = PeerCharField(max_length=320)
    address = PeerCharField(max_length=320)
    reason = models.CharField(max_length=16, choices=choices(Reason), default=Reason.MANUAL.value)
    text = PeerCharField(max_length=250, blank=True, default="")
    source_message_id = models.BigIntegerField(null=True, blank=True)
    answer = PeerCharField(max_length=500, blank=True, default="")
    rule = models.CharField(max_length=128, blank=True, default="")
    code = PeerCharField(max_length=16, blank=True, default="")
    times = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=8, choices=choices(State), default=State.ACTIVE.value)
    incident_id = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    keep_until = models.DateTimeField(null=True, blank=True, db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = PeerCharField(max_length=64, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            # The address first: mail is looked up by it, with whatever scopes it has.
            models.UniqueConstraint(
                fields=["server_id", "key", "scope", "reason"], name="one_suppression_per_reason"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["ended_at"], name="suppression_ended", condition=models.Q(ended_at__isnull=False)
            ),
            models.Index(
                fields=["incident_id"],
                name="suppression_of_incident",
                condition=models.Q(incident_id__isnull=False),
            ),
            models.Index(
                fields=["reason"],
                name="suppression_of_domain",
                condition=models.Q(reason=Reason.BAD_DOMAIN.value, ended_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.address


class FailureEvidence(models.Model):
    """A strike: mail to an address failed for a reason that may be the recipient's. Kept for 30 days.

    `operator` is the registered domain of the mail host that said so, empty for a report.
    """

    server_id = models.BigIntegerField()
    scope = models.CharField(max_length=SCOPE_CHARACTERS, blank=True, default="")
    key = PeerCharField(max_length=320)
    failure_class = models.CharField(max_length=16)
    is_sure = models.BooleanField()
    operator = models.CharField(max_length=OPERATOR_CHARACTERS, blank=True, default="")
    message_id = models.BigIntegerField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["server_id", "key"], name="failure_of_key")]

    def __str__(self) -> str:
        return f"{self.key} failed"


class Incident(models.Model):
    """An operator whose answers cannot be believed for a while: what they say of addresses is only proposed.

    `count` is the number of such answers when it began, of `answers` in all; `sample` is one of them. It ends
    when the share is normal again (`dropped`) or a person believes the answers (`confirmed`).
    """

    operator = models.CharField(max_length=OPERATOR_CHARACTERS, db_index=True)
    count = models.PositiveIntegerField()
    answers = models.PositiveIntegerField()
    sample = PeerCharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField()
    normal_since = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, db_index=True)
    outcome = models.CharField(max_length=16, blank=True, default="")
    decided = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["operator"], name="one_open_incident", condition=models.Q(ended_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.operator} since {self.created_at:%Y-%m-%d %H:%M}"


class OperatorAnswers(models.Model):
    """How many final answers an operator gave in ten minutes, and how many of them blamed the address."""

    operator = models.CharField(max_length=OPERATOR_CHARACTERS)
    since = models.DateTimeField(db_index=True)
    answers = models.PositiveIntegerField()
    blamed = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["operator", "since"], name="one_count_per_operator")
        ]

    def __str__(self) -> str:
        return f"{self.operator}: {self.blamed} of {self.answers}"
