"""Conversations between people, and the notifications about new messages."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse


class Conversation(models.Model):
    topic = models.CharField(max_length=200)
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="conversations")

    def __str__(self) -> str:
        return self.topic

    def get_absolute_url(self) -> str:
        return reverse("conversation", args=[self.pk])


class Message(models.Model):
    """A message that a person wrote on the page or as a reply to a notification."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.TextField()
    by_email = models.BooleanField(default=False)
    written_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.author}: {self.text[:40]}"


class Notification(models.Model):
    """The mail to one person about one message. `state` is an Anymail event type."""

    # Events arrive in any order, so a late "deferred" must not overwrite "delivered": the higher rank wins.
    RANK = {"queued": 0, "deferred": 1, "delivered": 2, "opened": 3, "clicked": 4, "failed": 5, "bounced": 5}

    message = models.ForeignKey(Message, models.CASCADE, related_name="notifications")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    postal_id = models.BigIntegerField(null=True)
    state = models.CharField(max_length=20, default="queued")
    detail = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.person}: {self.state}"

    def is_news(self, state: str) -> bool:
        """Does this event take precedence over the current state?"""
        return self.RANK.get(state, -1) > self.RANK.get(self.state, -1)


class RejectedReply(models.Model):
    """A rejected mail to a reply address, and the reason."""

    sender = models.CharField(max_length=320)
    reason = models.CharField(max_length=200)
    received_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.sender}: {self.reason}"
