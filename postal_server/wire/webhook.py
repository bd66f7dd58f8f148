"""Webhook events: their names, payloads and the envelope around them. Source: contract 3.

Key order is Postal's and part of the wire: receivers may store the text. What Postal lacks comes last.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from postal_server.rules.status import DeliveryStatus

from .classification import classification_hash
from .http import to_json
from .message import epoch
from .report import Reported, report_hash
from .rows import DeliveryRow, MessageRow

SENT = "MessageSent"
DELAYED = "MessageDelayed"
FAILED = "MessageDeliveryFailed"
HELD = "MessageHeld"
BOUNCED = "MessageBounced"
LINK_CLICKED = "MessageLinkClicked"
LOADED = "MessageLoaded"
DNS_ERROR = "DomainDNSError"
LIMIT_APPROACHING = "SendLimitApproaching"
LIMIT_EXCEEDED = "SendLimitExceeded"

# A status that is not here (Processed, Error, HoldCancelled) has no event.
BY_STATUS: Mapping[DeliveryStatus, str] = {
    DeliveryStatus.SENT: SENT,
    DeliveryStatus.DEFERRED: DELAYED,
    DeliveryStatus.FAILED: FAILED,
    DeliveryStatus.HELD: HELD,
}
SUBSCRIBABLE = (SENT, DELAYED, FAILED, HELD, BOUNCED, LINK_CLICKED, LOADED, DNS_ERROR)
POSTALS_EVENTS = frozenset((*SUBSCRIBABLE, LIMIT_APPROACHING, LIMIT_EXCEEDED))


class ServerNames(Protocol):
    """What events say of a mail server."""

    @property
    def uuid(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def permalink(self) -> str: ...
    @property
    def organization_permalink(self) -> str: ...


class DomainState(Protocol):
    """What the last DNS check found."""

    @property
    def name(self) -> str: ...
    @property
    def uuid(self) -> UUID: ...
    @property
    def dns_checked_at(self) -> datetime | None: ...
    @property
    def spf_status(self) -> str: ...
    @property
    def spf_error(self) -> str: ...
    @property
    def dkim_status(self) -> str: ...
    @property
    def dkim_error(self) -> str: ...
    @property
    def mx_status(self) -> str: ...
    @property
    def mx_error(self) -> str: ...
    @property
    def return_path_status(self) -> str: ...
    @property
    def return_path_error(self) -> str: ...


def spam_status(message: MessageRow) -> str:
    """The word for what the spam scanner said."""
    if not message.is_inspected:
        return "NotChecked"
    return "Spam" if message.is_spam else "NotSpam"


def message_hash(message: MessageRow, token: str) -> dict[str, Any]:
    """A message as events show it."""
    return {
        "id": message.id,
        "token": token,
        "direction": message.scope,
        "message_id": message.message_id,
        "to": message.rcpt_to,
        "from": message.mail_from,
        "subject": message.subject,
        "timestamp": message.created_at.timestamp(),
        "spam_status": spam_status(message),
        "tag": message.tag,
        "stream": message.stream or None,
    }


def delivery_payload(
    message: MessageRow, token: str, delivery: DeliveryRow, suppressed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Of the events that follow an attempt or a decision; `suppressed` as in `classification_hash`."""
    return {
        "message": message_hash(message, token),
        "status": delivery.status,
        "details": delivery.details,
        "output": delivery.output or "",
        "sent_with_ssl": delivery.sent_with_ssl,
        "timestamp": delivery.created_at.timestamp(),
        "time": None if delivery.seconds is None else round(delivery.seconds, 2),
        "classification": classification_hash(delivery, suppressed),
    }


def held_payload(
    message: MessageRow, token: str, delivery: DeliveryRow, suppressed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Of `MessageHeld`. Postal has the keys of other deliveries alone."""
    return {
        **delivery_payload(message, token, delivery, suppressed),
        "hold_reason": message.hold_reason or None,
        "hold_expires_at": epoch(message.hold_expires_at),
        "suppression": suppressed,
    }


def bounce_payload(
    original: MessageRow,
    original_token: str,
    report: MessageRow,
    report_token: str,
    *,
    classification: Mapping[str, Any] | None = None,
    reported: Reported | None = None,
) -> dict[str, Any]:
    """Of `MessageBounced`. Postal has the two messages alone."""
    return {
        "original_message": message_hash(original, original_token),
        "bounce": message_hash(report, report_token),
        "classification": classification,
        "report": reported and report_hash(reported),
    }


def server_hash(server: ServerNames) -> dict[str, Any]:
    """A server as events show it."""
    return {
        "uuid": server.uuid,
        "name": server.name,
        "permalink": server.permalink,
        "organization": server.organization_permalink,
    }


def limit_payload(server: ServerNames, volume: int, limit: int) -> dict[str, Any]:
    """Of `SendLimitApproaching` and `SendLimitExceeded`: attempts in the last hour, and the limit."""
    return {"server": server_hash(server), "volume": volume, "limit": limit}


def dns_payload(server: ServerNames, domain: DomainState) -> dict[str, Any]:
    """Of `DomainDNSError`."""
    checks = ("spf", "dkim", "mx", "return_path")
    states = {
        f"{check}_{kind}": getattr(domain, f"{check}_{kind}") or None
        for check in checks
        for kind in ("status", "error")
    }
    return {
        "server": server_hash(server),
        "domain": domain.name,
        "uuid": str(domain.uuid),
        "dns_checked_at": domain.dns_checked_at.timestamp() if domain.dns_checked_at else None,
        **states,
    }


def envelope(event: str, payload: Mapping[str, Any], at: datetime, uuid: UUID) -> bytes:
    """The body of a webhook request, built once: every try posts these bytes."""
    return to_json({"event": event, "timestamp": at.timestamp(), "payload": payload, "uuid": str(uuid)})
