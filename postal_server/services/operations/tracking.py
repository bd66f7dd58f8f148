"""Record that a mail was opened, or a link in it followed. Source: contract 8.4 and 3.3."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from postal_server.conf import Config
from postal_server.models import Click, Link, Load, Message
from postal_server.services.results import webhook
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import ServerEntry
from postal_server.services.shared.rows import Transaction
from postal_server.services.shared.token import ids_by_token, link_id_of

logger = logging.getLogger(__name__)

USER_AGENT_LENGTH = 1000  # of what is stored and sent to webhooks; real ones have some 250
EVENTS_PER_HOUR = (
    100  # opens and clicks of one message; further ones are stored only, or one reader could flood
)
STEP = 500  # links a transaction


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


def has_ended(link: Link | None, token: str, config: Config, now: datetime) -> bool:
    """Is this link, or one with this token that is forgotten, too old to lead on?"""
    if link is not None:
        since = _leads_on_since(config, now)
        return since is not None and link.created_at < since
    number = link_id_of(token)
    return number is not None and not Link.objects.filter(id=number).exists()


def _leads_on_since(config: Config, now: datetime) -> datetime | None:
    days = config.tracking.link_days
    return now - timedelta(days=days) if days else None


def forget_links(config: Config, now: datetime, write_transaction: Transaction = transaction.atomic) -> None:
    """Delete links that have ended, once their messages are gone. Runs each night."""
    since = _leads_on_since(config, now)
    rows = Link.objects.order_by("pk").values_list("pk", "message_id", "created_at")
    last = 0
    # Ids rise with time, but for imported links: those are met when what came before them has ended.
    while since and (step := list(rows.filter(pk__gt=last)[:STEP])):
        ended = {pk: message_id for pk, message_id, created_at in step if created_at < since}
        if not ended:
            return
        kept = set(Message.objects.filter(pk__in=ended.values()).values_list("pk", flat=True))
        with write_transaction():
            Link.objects.filter(pk__in=[pk for pk, about in ended.items() if about not in kept]).delete()
        last = step[-1][0]


def record_load(
    server: ServerEntry, token: str, visitor: Visitor, directory: Directory, now: datetime
) -> bool:
    """Store one request for a message's pixel and tell the webhooks. False if there is no such message."""
    ids = ids_by_token([token], server.id).values()
    message = Message.objects.filter(server_id=server.id, id__in=ids).first()
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
        _tell("MessageLoaded", message, payload, directory, now)
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
        _tell("MessageLinkClicked", message, payload, directory, now)
    return True


def _tell(
    name: str, message: Message, payload: Mapping[str, Any], directory: Directory, now: datetime
) -> None:
    """Tell the webhooks of what was just stored, unless it is too much of this message within this hour."""
    if not webhook.is_wanted(message.server_id, name, directory):
        return
    began_at = now.replace(minute=0, second=0, microsecond=0)
    stored = 0
    for model in (Load, Click):
        rows = model._default_manager.filter(message_id=message.id, created_at__gte=began_at)
        stored += len(rows.values_list("pk")[: EVENTS_PER_HOUR + 1])
    if stored <= EVENTS_PER_HOUR:
        webhook.emit_for_message(name, message, payload, directory, now)
    elif stored == EVENTS_PER_HOUR + 1:
        logger.warning(
            "Message %d was opened or clicked more than %d times within an hour; webhooks hear no more of it "
            "until the next.",
            message.id,
            EVENTS_PER_HOUR,
        )
