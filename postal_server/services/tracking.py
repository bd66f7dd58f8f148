"""Record that a mail was opened, or a link in it followed. Source: contract 8.4 and 3.3."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from postal_server.models import Click, Link, Load, Message

from . import webhook
from .directory import Directory, ServerEntry
from .token import link_id_of, message_ids_of

USER_AGENT_LENGTH = 1000  # of what is kept and told; real ones have some 250


@dataclass(frozen=True)
class Visitor:
    """Who opened or followed: an IP address and a User-Agent, if there was one."""

    ip_address: str
    user_agent: str | None

    @property
    def kept_user_agent(self) -> str | None:
        return None if self.user_agent is None else self.user_agent.replace("\0", "")[:USER_AGENT_LENGTH]


def find_link(server: ServerEntry, token: str) -> Link | None:
    """The link of this server with this token, a computed or an imported one."""
    links = Link.objects.filter(server_id=server.id)
    number = link_id_of(token)
    found = None if number is None else links.filter(id=number, imported_token=None).first()
    return found or links.filter(imported_token=token).first()


def record_load(
    server: ServerEntry, token: str, visitor: Visitor, directory: Directory, now: datetime
) -> bool:
    """Store one request for a message's pixel and tell the webhooks. False if there is no such message."""
    message = Message.objects.filter(server_id=server.id, id__in=message_ids_of([token], server.id)).first()
    if message is None:
        return False
    with transaction.atomic():
        Load.objects.create(
            message_id=message.id,
            ip_address=visitor.ip_address,
            user_agent=visitor.kept_user_agent,
            created_at=now,
        )
        Message.objects.filter(id=message.id, loaded_at=None).update(loaded_at=now)
        payload = {"ip_address": visitor.ip_address, "user_agent": visitor.kept_user_agent}
        webhook.emit_for_message("MessageLoaded", message, payload, directory, now)
    return True


def record_click(link: Link, token: str, visitor: Visitor, directory: Directory, now: datetime) -> bool:
    """Store one visit of a link and tell the webhooks. False if its message is gone: links outlive them."""
    message = Message.objects.filter(server_id=link.server_id, id=link.message_id).first()
    if message is None:
        return False
    with transaction.atomic():
        Click.objects.create(
            message_id=message.id,
            link=link,
            ip_address=visitor.ip_address,
            user_agent=visitor.kept_user_agent,
            created_at=now,
        )
        Message.objects.filter(id=message.id).update(clicked_at=now)
        payload = {
            "url": link.url,
            "token": token,
            "ip_address": visitor.ip_address,
            "user_agent": visitor.kept_user_agent,
        }
        webhook.emit_for_message("MessageLinkClicked", message, payload, directory, now)
    return True
