"""Where incoming mail goes: routes pick, endpoints receive."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from postal_server.rules.status import RouteMode, SpamMode

from .domain import Domain
from .fields import POSTED_TO, choices, random_route_token
from .server import Server

ROUTE_NAME = RegexValidator(
    r"^(?:[a-z0-9.-]+|\*|__returnpath__)\Z", "Lower-case letters, digits, `-` and `.`; or `*`."
)
HOST_NAME = RegexValidator(r"^[a-z0-9.-]+\Z", "Lower-case letters, digits, hyphens and dots only.")


class HTTPEndpoint(models.Model):
    """A URL that mail is sent to in a POST request (contract 4.4). `timeout` is in seconds."""

    ENCODINGS: ClassVar = [("BodyAsJSON", "JSON"), ("FormData", "Form")]
    FORMATS: ClassVar = [("Hash", "Fields"), ("RawMessage", "Raw message")]

    server = models.ForeignKey(Server, models.CASCADE, related_name="http_endpoints")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255)
    url = models.CharField(max_length=2000, validators=[POSTED_TO])
    encoding = models.CharField(max_length=16, choices=ENCODINGS, default="BodyAsJSON")
    format = models.CharField(max_length=16, choices=FORMATS, default="Hash")
    strip_replies = models.BooleanField(default=False)
    include_attachments = models.BooleanField(default=True)
    timeout = models.PositiveIntegerField(default=5, validators=[MinValueValidator(5), MaxValueValidator(60)])
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return self.name


class SMTPEndpoint(models.Model):
    """A host that mail is handed on to, with its recipient unchanged."""

    SSL_MODES: ClassVar = [(mode, mode) for mode in ("None", "Auto", "STARTTLS", "TLS")]

    server = models.ForeignKey(Server, models.CASCADE, related_name="smtp_endpoints")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255)
    hostname = models.CharField(max_length=253, validators=[HOST_NAME])
    port = models.PositiveIntegerField(null=True, blank=True, help_text="25 when empty.")
    ssl_mode = models.CharField(max_length=16, choices=SSL_MODES, default="Auto")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return self.name


class AddressEndpoint(models.Model):
    """Another address that mail is forwarded to."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="address_endpoints")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    address = models.EmailField(max_length=320)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server", "address"], name="address_endpoint_of_server")
        ]

    def __str__(self) -> str:
        return self.address


class EndpointChoice(models.Model):
    """One of the three kinds of endpoint; at most one is set."""

    http_endpoint = models.ForeignKey(HTTPEndpoint, models.SET_NULL, null=True, blank=True)
    smtp_endpoint = models.ForeignKey(SMTPEndpoint, models.SET_NULL, null=True, blank=True)
    address_endpoint = models.ForeignKey(AddressEndpoint, models.SET_NULL, null=True, blank=True)

    class Meta:
        abstract = True


class Route(EndpointChoice):
    """A local part and a domain, and how mail for it is handled. Source: contract 4.1."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="routes")
    domain = models.ForeignKey(Domain, models.CASCADE, null=True, blank=True, related_name="routes")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=64, validators=[ROUTE_NAME])
    token = models.CharField(max_length=16, unique=True, default=random_route_token, editable=False)
    mode = models.CharField(max_length=16, choices=choices(RouteMode), default=RouteMode.ENDPOINT.value)
    spam_mode = models.CharField(max_length=16, choices=choices(SpamMode), default=SpamMode.MARK.value)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name", "domain"], name="route_of_domain"),
        ]

    def __str__(self) -> str:
        return f"{self.name}@{self.domain.name}" if self.domain else self.name


class AdditionalRouteEndpoint(EndpointChoice):
    """A further endpoint of a route, which gets a copy of its own."""

    route = models.ForeignKey(Route, models.CASCADE, related_name="additional_endpoints")

    def __str__(self) -> str:
        return f"{self.route} -> {self.http_endpoint or self.smtp_endpoint or self.address_endpoint}"
