"""Receivers for the delivery of notifications and for replies."""

from __future__ import annotations

from typing import Any

from anymail.inbound import AnymailInboundMessage
from anymail.signals import AnymailTrackingEvent, tracking
from django.dispatch import receiver

from anymail_postal.replies import ReplyMatch
from anymail_postal.signals import reply_received, reply_rejected

from .models import Conversation, Message, Notification, RejectedReply
from .notifications import notify


@receiver(tracking)
def note_delivery(event: AnymailTrackingEvent, **kwargs: Any) -> None:
    """Set the state of the notification in the event's metadata."""
    pk = (event.metadata or {}).get("notification")
    notification = Notification.objects.filter(pk=pk).first() if pk is not None else None
    if notification is not None and notification.is_news(event.event_type):
        notification.state = event.event_type
        notification.detail = event.mta_response or event.description or ""
        notification.save(update_fields=["state", "detail"])


@receiver(reply_received)
def add_reply(match: ReplyMatch, message: AnymailInboundMessage, **kwargs: Any) -> None:
    """Add the new part of the reply to its conversation, in the name of the person who was notified."""
    if not isinstance(match.object_id, int) or match.user_id is None:
        return reject(message, "not sent to a reply address")  # matched by its Message-ID only
    conversation = Conversation.objects.filter(pk=match.object_id, people=match.user_id).first()
    if conversation is None:
        return reject(message, "not in this conversation")
    text = (message.stripped_text or message.text or "").strip()
    notify(
        Message.objects.create(conversation=conversation, author_id=match.user_id, text=text, by_email=True)
    )


WHY = {
    "token": "the address is forged or has expired",
    "auto_response": "an automatic reply",
    "sender": "not from the person who was notified",
}


@receiver(reply_rejected)
def note_rejection(message: AnymailInboundMessage, reason: str, **kwargs: Any) -> None:
    reject(message, WHY.get(reason, reason))


def reject(message: AnymailInboundMessage, reason: str) -> None:
    RejectedReply.objects.create(sender=str(message.from_email)[:320], reason=reason)
