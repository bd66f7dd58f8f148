"""Notify the people in a conversation of new messages."""

from __future__ import annotations

import base64

from anymail.exceptions import AnymailError
from anymail.message import AnymailMessage
from django.template.loader import render_to_string

from anymail_postal.replies import reply_address

from .models import Message, Notification

# A small square, the logo in the HTML part.
LOGO = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAwAAAAMCAIAAADZF8uwAAAAE0lEQVR42mOwzr9CEDGMKhqMigAM0tbhQzVZNwAAAABJRU5ErkJggg=="
)


def notify(message: Message) -> list[Notification]:
    """Send a notification to everybody in the conversation except for the author."""
    people = message.conversation.people.exclude(pk=message.author_id)
    return [send(Notification.objects.create(message=message, person=person)) for person in people]


def send(notification: Notification) -> Notification:
    """Send a mail with text, HTML, an inline image, a tag, metadata for its events, and a reply address."""
    mail = build(notification)
    try:
        mail.send()
    except AnymailError as error:
        notification.state, notification.detail = "failed", str(error)
    else:
        notification.postal_id = mail.anymail_status.message_id
    notification.save()
    return notification


def build(notification: Notification) -> AnymailMessage:
    message, person = notification.message, notification.person
    conversation = message.conversation
    context = {"message": message, "person": person}
    mail = AnymailMessage(
        subject=f"New message in “{conversation.topic}”",
        body=render_to_string("discussion/notification.txt", context),
        to=[f"{person.get_full_name()} <{person.email}>"],
        reply_to=[reply_address(conversation, person)],
        tags=["notification"],
        metadata={"notification": notification.pk},
    )
    context["logo"] = mail.attach_inline_image(LOGO, "logo.png")
    mail.attach_alternative(render_to_string("discussion/notification.html", context), "text/html")
    return mail
