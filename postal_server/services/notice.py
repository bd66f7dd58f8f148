"""Tell the senders of incoming mail that it could not be delivered. Source: contract 7.2; RFC 3464."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from postal_server.conf import Config
from postal_server.mail.address import is_plausible_recipient, split_address, split_tag
from postal_server.mail.dsn import Failure, compose_failure
from postal_server.mail.message import message_id, subject
from postal_server.models import Body, Message
from postal_server.rules import route as route_rules
from postal_server.rules.status import Scope

from . import ip_pool
from .acceptance import store
from .directory import Directory
from .submission import envelope_recipient
from .token import message_token, new_message_id
from .work import Accepted, NewMessage


def may_notify(message: Message) -> bool:
    """Is there a sender to tell? Never one of a bounce, or loops would follow (RFC 5321 section 6.1)."""
    return not message.is_bounce and is_plausible_recipient(message.mail_from or "")


def send(
    failed: Sequence[Message],
    reasons: Mapping[int, str],
    directory: Directory,
    config: Config,
    now: datetime,
) -> dict[int, int]:
    """Store a notice for each message; answers the notices' ids by the ids of the messages.

    Six queries for a batch: the texts, then as for any submission. Mail whose server or text is gone gets
    none.
    """
    texts = _texts(failed)
    submissions: list[Accepted] = []
    about: list[int] = []
    for message in failed:
        text = texts.get(message.id)
        if text is not None and message.server_id in directory.servers:
            submissions.append(
                _notice(message, text, reasons[message.id], directory=directory, config=config, now=now)
            )
            about.append(message.id)
    lifetime = timedelta(hours=config.delivery.max_lifetime_hours)
    stored = store(ip_pool.bind(submissions, directory, config), now, lifetime) if submissions else []
    return {number: rows[0].id for number, rows in zip(about, stored, strict=True)}


def _texts(messages: Sequence[Message]) -> dict[int, bytes]:
    """The stored text of each message, prefix included."""
    ids = [message.body_id for message in messages if message.body_id is not None]
    raw = dict(Body.objects.filter(id__in=ids).values_list("id", "raw"))
    prefixes = dict(Message.objects.filter(id__in=[m.id for m in messages]).values_list("id", "prefix"))
    return {
        message.id: bytes(prefixes.get(message.id, b"")) + bytes(raw[message.body_id])
        for message in messages
        if message.body_id in raw
    }


def _notice(
    message: Message, text: bytes, reason: str, *, directory: Directory, config: Config, now: datetime
) -> Accepted:
    server = directory.servers[message.server_id]
    address = _route_address(message, directory)
    sender = message.mail_from or ""
    raw = compose_failure(
        text,
        sender=sender,
        recipient=address,
        subject=message.subject,
        original_message_id=message.message_id,
        token=f"{message_token(message.id)}@{server.token}",
        postmaster=server.postmaster_address or f"postmaster@{split_address(address)[1]}",
        reporting_mta=config.postal.smtp_hostname,
        failure=Failure(diagnostic=f"x-postal; {reason}"),
        message_id=new_message_id(config),
        date=now,
        boundary=f"--==_mimepart_{uuid.uuid4().hex}",
    )
    rcpt_to, destination = envelope_recipient(sender)
    new = NewMessage(
        server_id=server.id,
        scope=Scope.OUTGOING,
        rcpt_to=rcpt_to,
        destination=destination,
        domain_id=message.domain_id,
        is_bounce=True,
        bounce_for_id=message.id,
    )
    return Accepted(raw, (new,), mail_from=address, subject=subject(raw), message_id=message_id(raw))


def _route_address(message: Message, directory: Directory) -> str:
    """The address of the route, without a tag; of a wildcard route the recipient's."""
    local, domain = split_address(message.rcpt_to or "")
    route = directory.routes.get(message.route_id or 0)
    if route is None or route.name == route_rules.WILDCARD or not route.domain_name:
        return f"{split_tag(local)[0]}@{domain}"
    return f"{route.name}@{route.domain_name}"
