"""Source addresses: pools of them, and which mail leaves from which pool. Source: contract 6.9 and 10.4."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from .server import IPPool, Organization, Server

PERCENT = (MinValueValidator(0), MaxValueValidator(100))


class IPAddress(models.Model):
    """An address that mail leaves from, with its name in EHLO and DNS.

    `priority` is its weight within the pool; one of 0 is not chosen while there is another. A new address is
    warmed up: from the day `warm_up_from` on it sends `warm_up_first_day` messages a day, then twice as many
    each day, for `warm_up_days` days.
    """

    ip_pool = models.ForeignKey(IPPool, models.CASCADE, related_name="addresses")
    ipv4 = models.GenericIPAddressField(protocol="IPv4", unique=True)
    ipv6 = models.GenericIPAddressField(protocol="IPv6", null=True, blank=True, unique=True)
    hostname = models.CharField(max_length=255)
    priority = models.PositiveSmallIntegerField(default=100, validators=PERCENT)
    warm_up_from = models.DateField(null=True, blank=True, help_text="First day of its use; none: no plan.")
    warm_up_first_day = models.PositiveIntegerField(
        default=50, validators=[MinValueValidator(1)], help_text="Messages on that day; it doubles each day."
    )
    warm_up_days = models.PositiveSmallIntegerField(
        default=14, validators=[MaxValueValidator(60)], help_text="Days until it may send without limit."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "IP address"
        verbose_name_plural = "IP addresses"
        ordering: ClassVar = ["ipv4"]

    def __str__(self) -> str:
        return f"{self.ipv4} ({self.hostname})"


class IPPoolRule(models.Model):
    """Mail of a server, or of an organization, that leaves from another pool.

    Both texts are conditions, one a line: an address (its `+tag` does not matter) or a domain. The rule
    applies where any From address, or the recipient, meets one of theirs.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    server = models.ForeignKey(Server, models.CASCADE, null=True, blank=True, related_name="ip_pool_rules")
    organization = models.ForeignKey(
        Organization, models.CASCADE, null=True, blank=True, related_name="ip_pool_rules"
    )
    ip_pool = models.ForeignKey(IPPool, models.CASCADE, related_name="rules")
    from_text = models.TextField("From", blank=True, help_text="Addresses or domains, one a line.")
    to_text = models.TextField("To", blank=True, help_text="Addresses or domains, one a line.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "IP pool rule"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="ip_pool_rule_of_one_owner",
                condition=models.Q(server__isnull=True, organization__isnull=False)
                | models.Q(server__isnull=False, organization__isnull=True),
                violation_error_message="A rule belongs to a server or to an organization.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.ip_pool} for {self.server or self.organization}"

    def clean(self) -> None:
        """Raise `ValidationError` for a rule without a condition."""
        if not (self.from_text.strip() or self.to_text.strip()):
            raise ValidationError("A rule needs a condition.")
