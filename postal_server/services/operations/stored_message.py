"""Read a stored message: its text, its attempts, and what the API and the administration show of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from postal_server.errors import MessageNotFound
from postal_server.mail.message_view import MessageParts, parts
from postal_server.models import Body, Click, Delivery, Load, Message
from postal_server.services.shared.token import tokens_of
from postal_server.wire import message as wire
from postal_server.wire.api import MAX_ID

from . import reports


@dataclass(frozen=True)
class StoredMessage:
    """A message row and, read when somebody asks, its text."""

    row: Message

    @cached_property
    def raw(self) -> bytes | None:
        """The text as stored, or None once it was purged."""
        if self.row.body_id is None:
            return None
        raw = Body.objects.filter(id=self.row.body_id).values_list("raw", flat=True).first()
        return None if raw is None else bytes(self.row.prefix) + bytes(raw)

    @cached_property
    def parts(self) -> MessageParts:
        """The parsed text; that of a purged message has nothing in it."""
        return parts(self.raw or b"")

    @cached_property
    def token(self) -> str:
        return tokens_of([self.row.id])[self.row.id]


def find(server_id: int, message_id: int) -> StoredMessage:
    """The message of this server with this id. Raises `MessageNotFound`."""
    row = None
    if 0 < message_id <= MAX_ID:
        row = Message.objects.filter(server_id=server_id, id=message_id).first()
    if row is None:
        raise MessageNotFound(id=message_id)
    return StoredMessage(row)


def show(message: StoredMessage, expansions: Sequence[str]) -> dict[str, Any]:
    """The answer of `messages/message`."""
    data: dict[str, Any] = {"id": message.row.id, "token": message.token}
    return data | {name: EXPANSIONS[name](message) for name in expansions}


def deliveries(message_id: int) -> list[Delivery]:
    """The attempts for a message, the oldest first."""
    return list(Delivery.objects.filter(message_id=message_id).order_by("created_at", "id"))


def _activity(message: StoredMessage) -> dict[str, Any]:
    loads = Load.objects.filter(message_id=message.row.id).order_by("id")
    clicks = Click.objects.filter(message_id=message.row.id).order_by("id").select_related("link")
    return wire.activity(loads, ((click.link.url, click) for click in clicks))


def _reports(message: StoredMessage) -> list[dict[str, Any]]:
    return wire.reports(reports.about(message.row.id))


EXPANSIONS: Mapping[str, Callable[[StoredMessage], Any]] = {
    "status": lambda message: wire.status(message.row),
    "details": lambda message: wire.details(message.row),
    "inspection": lambda message: wire.inspection(message.row),
    "plain_body": lambda message: message.parts.plain_body,
    "html_body": lambda message: message.parts.html_body,
    "attachments": lambda message: wire.attachments(message.parts.attachments),
    "headers": lambda message: message.parts.headers,
    "raw_message": lambda message: wire.mime_base64(message.raw or wire.PURGED_TEXT),
    "activity_entries": _activity,
    "reports": _reports,
}
