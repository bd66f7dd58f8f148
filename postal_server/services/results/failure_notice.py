"""Notify the senders of incoming mail that it could not be delivered. Source: contract 7.2; RFC 3464."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from postal_server.conf import Config
from postal_server.mail.address import is_plausible_recipient, split_address, split_tag
from postal_server.mail.dsn import Failure, compose_failure
from postal_server.mail.message import header_fields, message_id, split_header, subject
from postal_server.models import Body, Message
from postal_server.rules import notice as rules
from postal_server.rules import route as route_rules
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.acceptance.storage import store
from postal_server.services.shared import ip_pool
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.recipient import envelope_recipient
from postal_server.services.shared.token import message_token, new_message_id
from postal_server.services.shared.work import Accepted, Decision, Effect, NewMessage, Result

from . import notice_limit
from .batch import Batch, Entry

AFTER_ATTEMPT = ". Sent bounce message to sender (see message <msg:{id}>)"


@dataclass(frozen=True)
class NotifySender(Effect):
    """Notify the sender of this incoming message, which failed, by mail.

    `sentence`, in which `{id}` stands for the id of the notice, is appended to the details as it is.
    """

    sentence: str


GIVEN_UP = NotifySender(" Bounce sent to sender (see message <msg:{id}>)")


@dataclass(frozen=True)
class Sent:
    """The ids of notices, by the id of the message each is about, and how many the limits withheld."""

    ids: Mapping[int, int]
    withheld: int = 0


def apply(batch: Batch) -> None:
    """Notify the senders of incoming mail that failed, and name the notices in the details."""
    sentences = {
        entry.message.id: sentence
        for entry in batch.entries
        if entry.message.scope == Scope.INCOMING.value
        and (sentence := _sentence(entry))
        and may_notify(entry.message)
    }
    if not sentences:
        return
    failed = [entry for entry in batch.entries if entry.message.id in sentences]
    reasons = {entry.message.id: _reason(entry) for entry in failed}
    sent = send([entry.message for entry in failed], reasons, batch.directory, batch.config, batch.now)
    for entry in failed:
        number = sent.ids.get(entry.message.id)
        if number is not None:
            entry.details += sentences[entry.message.id].format(id=number)
    batch.withheld_notices += sent.withheld


def _sentence(entry: Entry) -> str | None:
    """How the details name the notice; None where there is to be none."""
    result = entry.result
    if isinstance(result, Decision):
        return next((e.sentence for e in result.effects if isinstance(e, NotifySender)), None)
    has_failed = result.outcome.status is DeliveryStatus.FAILED
    return AFTER_ATTEMPT if has_failed and result.outcome.may_notify_sender else None


def _reason(entry: Entry) -> str:
    """Why it failed, for a stranger: without the URL, which may have a password in it, or the host inside."""
    if not isinstance(entry.result, Result):
        return entry.details
    code = entry.result.outcome.code
    if code is None:
        return "The recipient's system could not be reached."
    return f"The recipient's system answered {code}."


def may_notify(message: Message) -> bool:
    """Is there a sender to notify? Not of a bounce: that would make loops (RFC 5321 section 6.1)."""
    return not message.is_bounce and is_plausible_recipient(message.mail_from or "")


def send(
    failed: Sequence[Message],
    reasons: Mapping[int, str],
    directory: Directory,
    config: Config,
    now: datetime,
) -> Sent:
    """Store a notice for each message, within the limits.

    Eight queries for a batch: the texts, the limits, then as for any submission. Automatic mail gets none
    (RFC 3834), nor does mail whose server or text was deleted.
    """
    texts = {
        number: header
        for number, header in _headers(failed).items()
        if not rules.is_automatic(_fields(header))
    }
    wanted = [m for m in failed if m.id in texts and m.server_id in directory.servers]
    admitted = notice_limit.admit([_place(message) for message in wanted], config, now)
    about = [message for message, is_admitted in zip(wanted, admitted, strict=True) if is_admitted]
    submissions = [
        _notice(message, texts[message.id], reasons[message.id], directory=directory, config=config, now=now)
        for message in about
    ]
    lifetime = timedelta(hours=config.delivery.max_lifetime_hours)
    stored = store(ip_pool.bind(submissions, directory, config), now, lifetime) if submissions else []
    # After `store` took ids: other transactions lock these rows in that order, too.
    notice_limit.count([_place(message) for message in about], now)
    ids = {message.id: rows[0].id for message, rows in zip(about, stored, strict=True)}
    return Sent(ids, withheld=len(wanted) - len(about))


def _place(message: Message) -> notice_limit.Notice:
    return message.server_id, message.mail_from or ""


def _fields(header: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in header_fields(header):
        found.setdefault(name.lower(), []).append(value.decode("latin-1"))
    return found


def _headers(messages: Sequence[Message]) -> dict[int, bytes]:
    """The stored header of each message, prefix included. Message bodies are not sent back."""
    ids = [message.body_id for message in messages if message.body_id is not None]
    raw = dict(Body.objects.filter(id__in=ids).values_list("id", "raw"))
    prefixes = dict(Message.objects.filter(id__in=[m.id for m in messages]).values_list("id", "prefix"))
    return {
        message.id: bytes(prefixes.get(message.id, b"")) + split_header(bytes(raw[message.body_id]))[0]
        for message in messages
        if message.body_id in raw
    }


def _notice(
    message: Message, header: bytes, reason: str, *, directory: Directory, config: Config, now: datetime
) -> Accepted:
    server = directory.servers[message.server_id]
    address = _route_address(message, directory)
    sender = message.mail_from or ""
    raw = compose_failure(
        header,
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
