"""Domains that mail is sent from and received for, and the domains of tracked links."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models

from .fields import random_dkim_suffix, random_verification_token
from .server import Organization, Server

DOMAIN_NAME = RegexValidator(r"^[a-z0-9.-]+\Z", "Lower-case letters, digits, hyphens and dots only.")


class Domain(models.Model):
    """A domain of one server, or of all servers of an organization (exactly one of the two owns it).

    `dkim_suffix` is the end of the selector (`postal-<suffix>`). The DNS states are `OK`, `Missing`,
    `Invalid`, or empty for never checked; `dns_problems` has the problems of further records, by name.
    `signs_unchecked`: its key is used although DNS was never looked up. Source: contract 9.
    """

    server = models.ForeignKey(Server, models.CASCADE, null=True, blank=True, related_name="domains")
    organization = models.ForeignKey(
        Organization, models.CASCADE, null=True, blank=True, related_name="domains"
    )
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=253, validators=[DOMAIN_NAME], db_index=True)
    verification_token = models.CharField(max_length=64, default=random_verification_token, editable=False)
    verified_at = models.DateTimeField(null=True, blank=True, editable=False)
    use_for_any = models.BooleanField(default=False, help_text="May send for any sender address.")
    only_where_caught = models.BooleanField(
        default=False, help_text="Use for any only while all mail is caught (delivery.mode)."
    )
    dkim_suffix = models.CharField(max_length=32, default=random_dkim_suffix, editable=False)
    dkim_private_key = models.TextField(blank=True, editable=False)
    dkim_ed25519_private_key = models.TextField(blank=True, editable=False)
    signs_unchecked = models.BooleanField(default=False, editable=False)
    dns_checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    dns_problems = models.JSONField(default=dict, editable=False)
    spf_status = models.CharField(max_length=16, blank=True, editable=False)
    spf_error = models.CharField(max_length=500, blank=True, editable=False)
    dkim_status = models.CharField(max_length=16, blank=True, editable=False)
    dkim_error = models.CharField(max_length=500, blank=True, editable=False)
    mx_status = models.CharField(max_length=16, blank=True, editable=False)
    mx_error = models.CharField(max_length=500, blank=True, editable=False)
    return_path_status = models.CharField(max_length=16, blank=True, editable=False)
    return_path_error = models.CharField(max_length=500, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server", "name"], name="domain_of_server"),
            models.UniqueConstraint(fields=["organization", "name"], name="domain_of_organization"),
            models.CheckConstraint(
                condition=models.Q(server=None, organization__isnull=False)
                | models.Q(server__isnull=False, organization=None),
                name="domain_has_one_owner",
                violation_error_message="Choose a server or an organization, one of the two.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TrackDomain(models.Model):
    """The host that tracked links and pixels of a domain's mail point to."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="track_domains")
    domain = models.ForeignKey(Domain, models.CASCADE, related_name="track_domains")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=63, default="click")
    ssl_enabled = models.BooleanField(default=True)
    track_clicks = models.BooleanField(default=True)
    track_loads = models.BooleanField(default=True)
    excluded_click_domains = models.TextField(blank=True, help_text="One host a line.")
    dns_checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    dns_status = models.CharField(max_length=16, blank=True)
    dns_error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server", "domain"], name="one_track_domain_of_a_domain")
        ]

    def __str__(self) -> str:
        return self.full_name

    @property
    def full_name(self) -> str:
        """The name of the host."""
        return f"{self.name}.{self.domain.name}"
