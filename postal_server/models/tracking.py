"""Tracked links, and the opens and clicks of a message."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from .fields import PeerTextField


class Link(models.Model):
    """A link in a message that was rewritten. Its token is computed from the id unless it was imported."""

    server_id = models.BigIntegerField()
    message_id = models.BigIntegerField(db_index=True)
    imported_token = models.CharField(max_length=32, null=True, unique=True)  # noqa: DJ001
    url = PeerTextField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.url


class Load(models.Model):
    """One request for a message's pixel."""

    message_id = models.BigIntegerField()
    ip_address = models.CharField(max_length=64)
    user_agent = PeerTextField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["message_id", "created_at"], name="load_of_message")]

    def __str__(self) -> str:
        return f"load of message {self.message_id}"


class Click(models.Model):
    """One request for a tracked link."""

    message_id = models.BigIntegerField()
    link = models.ForeignKey(Link, models.CASCADE, related_name="clicks")
    ip_address = models.CharField(max_length=64)
    user_agent = PeerTextField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["message_id", "created_at"], name="click_of_message")]

    def __str__(self) -> str:
        return f"click of message {self.message_id}"
