"""Who may send: organizations, their mail servers, and the credentials of the servers."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from postal_server.rules.status import CredentialType, ServerMode, SuppressedAs
from postal_server.rules.stream import StreamFrom

from .fields import choices, random_letters_token

PERMALINK = RegexValidator(r"^[a-z0-9-]+\Z", "Lower-case letters, digits and hyphens only.")


class IPPool(models.Model):
    """Source addresses that mail is shared out among."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255)
    default = models.BooleanField(default=False, help_text="New organizations may use it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "IP pool"
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Organization(models.Model):
    """A customer of the installation: owns mail servers and may own domains."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255)
    permalink = models.CharField(max_length=100, unique=True, validators=[PERMALINK])
    time_zone = models.CharField(max_length=64, default="UTC")
    ip_pools = models.ManyToManyField(IPPool, blank=True, related_name="organizations")
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspension_reason = models.CharField(max_length=255, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Server(models.Model):
    """A mail server: the unit that sends, receives, and has its own limits, suppressions and webhooks.

    Source: contract 10.1. `token` is the local part of the return path.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="servers")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255)
    permalink = models.CharField(max_length=100, validators=[PERMALINK])
    token = models.CharField(max_length=16, unique=True, default=random_letters_token, editable=False)
    mode = models.CharField(max_length=16, choices=choices(ServerMode), default=ServerMode.LIVE.value)
    ip_pool = models.ForeignKey(
        IPPool, models.SET_NULL, null=True, blank=True, related_name="servers", verbose_name="IP pool"
    )
    postmaster_address = models.EmailField(blank=True)
    spam_threshold = models.FloatField(default=5.0)
    spam_failure_threshold = models.FloatField(default=20.0)
    outbound_spam_threshold = models.FloatField(null=True, blank=True)
    send_limit = models.PositiveIntegerField(null=True, blank=True, help_text="Outgoing attempts an hour.")
    allow_sender = models.BooleanField(default=False, help_text="A Sender header may authorize a mail.")
    privacy_mode = models.BooleanField(default=False, help_text="Leave clients out of Received headers.")
    log_smtp_data = models.BooleanField(default=False)
    message_retention_days = models.PositiveIntegerField(default=60)
    raw_message_retention_days = models.PositiveIntegerField(default=30)
    raw_message_retention_size = models.PositiveIntegerField(default=2048, help_text="In MB.")
    # By how much the texts exceeded that at the last check: those of waiting mail are kept.
    raw_message_excess_bytes = models.BigIntegerField(default=0, editable=False)
    suppressed_as = models.CharField(
        max_length=8,
        choices=choices(SuppressedAs),
        default=SuppressedAs.HELD.value,
        help_text="What becomes of mail to a suppressed address.",
    )
    stream_from = models.CharField(
        max_length=16,
        choices=choices(StreamFrom),
        default=StreamFrom.NONE.value,
        help_text="What names the stream of mail that does not name one.",
    )
    # Entries of a server that was imported keep Postal's 30 days until a key says otherwise.
    is_imported = models.BooleanField(default=False, editable=False)
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspension_reason = models.CharField(max_length=255, blank=True)
    send_limit_approaching_at = models.DateTimeField(null=True, blank=True, editable=False)
    send_limit_approaching_notified_at = models.DateTimeField(null=True, blank=True, editable=False)
    send_limit_exceeded_at = models.DateTimeField(null=True, blank=True, editable=False)
    send_limit_exceeded_notified_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["organization", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "permalink"], name="server_permalink")
        ]

    def __str__(self) -> str:
        return f"{self.organization.permalink}/{self.permalink}"

    def clean(self) -> None:
        """Raise `ValidationError` for a pool that the organization may not use."""
        pool = self.ip_pool
        if pool and not self.organization.ip_pools.filter(pk=pool.pk).exists():
            raise ValidationError({"ip_pool": "The organization may not use this pool."})


class Credential(models.Model):
    """A key that may send for a server. The key itself is shown once, when it is made.

    API keys are kept as a digest (`key_digest`, unique), SMTP keys also encrypted (`key_encrypted`), because
    CRAM-MD5 needs them in clear; an SMTP-IP credential has a `network` instead.
    """

    server = models.ForeignKey(Server, models.CASCADE, related_name="credentials")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    type = models.CharField(max_length=16, choices=choices(CredentialType), default=CredentialType.API.value)
    name = models.CharField(max_length=255)
    key_digest = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001
    key_encrypted = models.TextField(blank=True, editable=False)
    network = models.CharField(
        max_length=64, null=True, blank=True, unique=True, help_text="Address or CIDR network (SMTP-IP)."
    )
    hold = models.BooleanField(default=False, help_text="Hold every message that this credential sends.")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.type})"
