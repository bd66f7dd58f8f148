"""Streams: mail of one purpose inside a mail server."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models

from postal_server.rules.stream import NAME_CHARACTERS, NAMES, StreamKind

from .fields import choices
from .server import Server

STREAM_NAME = RegexValidator(r"^[a-z0-9._-]+\Z", f"{NAMES}.")


class Stream(models.Model):
    """A stream of a mail server, made when the first mail of it is accepted."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="streams")
    name = models.CharField(max_length=NAME_CHARACTERS, validators=[STREAM_NAME])
    kind = models.CharField(
        max_length=16,
        choices=choices(StreamKind),
        default=StreamKind.TRANSACTIONAL.value,
        help_text="Transactional mail also goes to people who have unsubscribed from other mail.",
    )
    must_arrive = models.BooleanField(
        default=False, help_text="Complaints do not stop this mail either: password resets, say."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["server", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server", "name"], name="stream_name_of_server")
        ]

    def __str__(self) -> str:
        return self.name
