"""Postal's events as Anymail's.

Source: contract 3.3 for the fields, appendix A for the texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from anymail.exceptions import AnymailInvalidAddress
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from anymail.utils import parse_single_address

from . import body
from .errors import UnreadableBody

# Anymail's event type by Postal's event name. Other names are of the type unknown.
EVENT_TYPES: Mapping[str, str] = {
    "MessageSent": EventType.DELIVERED,
    "MessageDelayed": EventType.DEFERRED,
    "MessageDeliveryFailed": EventType.FAILED,  # see read_failure
    "MessageHeld": EventType.QUEUED,  # see read_hold
    "MessageBounced": EventType.BOUNCED,
    "MessageLoaded": EventType.OPENED,
    "MessageLinkClicked": EventType.CLICKED,
    "DomainDNSError": EventType.UNKNOWN,
    "SendLimitApproaching": EventType.UNKNOWN,
    "SendLimitExceeded": EventType.UNKNOWN,
}

# Delivery events by the status in the payload.
EVENT_BY_STATUS = {
    "Sent": "MessageSent",
    "SoftFail": "MessageDelayed",
    "HardFail": "MessageDeliveryFailed",
    "Held": "MessageHeld",
}
DELIVERY_EVENTS = frozenset(EVENT_BY_STATUS.values())
SEND_LIMIT_EVENTS = frozenset({"SendLimitApproaching", "SendLimitExceeded"})

# "550 5.1.1 no such user", also "550-5.1.1 ..." (RFC 5321 section 4.2, RFC 3463)
SMTP_REPLY = re.compile(r"\s*([2-5]\d\d)(?:[ -]+([245]\.\d{1,3}\.\d{1,3})(?!\d))?(?!\d)", re.ASCII)
SPAM_WORDS = re.compile(r"\b(spam|spammy|junk|unsolicited|uce|ube)\b", re.IGNORECASE)
BLOCK_WORDS = re.compile(
    r"block|black ?list|deny ?list|denied|banned|dnsbl|\brbl\b|spamhaus|reputation|not allowed|refused",
    re.IGNORECASE,
)
MAX_REASON = 1000  # characters at the end of `details`
SUPPRESSED = re.compile(r"is on the suppression list(?: \(reason: (?P<reason>.*)\))?\s*\Z", re.DOTALL)

# Nearly all recipients: for these, the result is that of Anymail's parser, but faster.
ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
MAX_ADDRESS = 1000  # characters, including a display name
BARE_ADDRESS = re.compile(rf"{ATOM}(?:\.{ATOM})*@(?:[a-z0-9-]+\.)*[a-z0-9-]+", re.ASCII | re.IGNORECASE)

# Why Postal holds a message, by the first of these texts in `details`.
HOLD_REASONS = (
    ("send limit", "send_limit"),
    ("development mode", "development_mode"),
    ("Credential is configured to hold", "credential"),
    ("suspended", "suspended"),
)
SUPPRESSION_REASONS = {
    "too many hard fails": RejectReason.BOUNCED,
    "too many soft fails": RejectReason.TIMED_OUT,
}

Verdict = tuple[str, "str | None"]  # Anymail's event type and reject reason


@dataclass(frozen=True, kw_only=True)
class PostalEvent:
    """The contents of a webhook: `event.postal` of every tracking event. Times are aware UTC.

    For a bounce, the fields are those of the original message, and `bounce_id` is the id of the bounce.
    `occurred_at` is the time of the attempt, of the arrival of the bounce, or else of the webhook.
    """

    name: str  # as sent; derived from the payload if it is missing
    server: str = "default"  # the name in the settings
    id: int | None = None
    token: str | None = None
    rfc_message_id: str | None = None  # without brackets
    subject: str | None = None
    sender: str | None = None  # the reverse-path
    tag: str | None = None
    direction: str | None = None  # "outgoing" or "incoming"
    spam_status: str | None = None
    stored_at: datetime | None = None  # when Postal accepted the message
    occurred_at: datetime | None = None
    status: str | None = None
    details: str | None = None
    output: str | None = None  # the reply of the receiving server, at most 250 characters
    smtp_code: int | None = None
    enhanced_status: str | None = None  # RFC 3463, such as "5.1.1"
    sent_with_ssl: bool | None = None
    duration: float | None = None  # seconds
    hold_reason: str | None = None  # suppressed, send_limit, development_mode, credential, suspended, other
    ip_address: str | None = None
    user_agent: str | None = None
    url: str | None = None
    link_token: str | None = None
    bounce_id: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    server_info: dict[str, Any] = field(default_factory=dict)  # uuid, name, permalink, organization
    headers: dict[str, Any] = field(default_factory=dict)  # of the message, if Postal ever sends them

    @property
    def is_incoming(self) -> bool:
        """Is this about incoming mail, whose recipient is our own inbound view?"""
        return self.direction == "incoming"


class TrackingEvent(AnymailTrackingEvent):
    """An `AnymailTrackingEvent` with Postal's own data."""

    postal: PostalEvent


def read(
    fields: Mapping[str, Any],
    *,
    server: str = "default",
    event_types: Mapping[str, str] = EVENT_TYPES,
    hardfail_as_bounced: bool = True,
    held_suppressed_as_rejected: bool = False,
    tag_separator: str | None = None,
    find_metadata: Callable[[PostalEvent], dict[str, Any] | None] = lambda event: None,
) -> TrackingEvent:
    """Anymail's event for the fields of a webhook, with Postal's own data as `event.postal`.

    `find_metadata` is called once for a sent message, not for incoming mail. Raises `UnreadableBody` for
    values of wrong types, and for fields with neither an event name nor a payload.
    """
    payload = body.mapping(fields, "payload")
    if not payload and not body.text(fields, "event"):
        raise UnreadableBody("The body is not an event of Postal: it has neither a name nor a payload.")
    facts, kind = _facts(fields, payload, server), _kind(fields, payload)
    metadata = None if facts.is_incoming or facts.id is None else find_metadata(facts)
    if metadata:
        facts = replace(facts, metadata=metadata)

    event_type, reject_reason = event_types.get(kind, EventType.UNKNOWN), None
    if facts.is_incoming:
        if facts.status != "Sent":
            event_type = EventType.INBOUND_FAILED
    elif kind == "MessageBounced":
        reject_reason = RejectReason.BOUNCED
    elif kind == "MessageDeliveryFailed":
        event_type, reject_reason = read_failure(facts, hardfail_as_bounced) or (event_type, None)
    elif kind == "MessageHeld" and held_suppressed_as_rejected:
        event_type, reject_reason = read_hold(facts) or (event_type, None)

    created_at = body.time(fields, "timestamp")
    event = TrackingEvent(  # type: ignore[no-untyped-call]
        event_type=event_type,
        timestamp=created_at and created_at.replace(microsecond=0),
        event_id=body.text(fields, "uuid"),
        esp_event=fields,
        click_url=facts.url,
        description=facts.details,
        message_id=facts.id,
        metadata=metadata or None,
        mta_response=facts.output,
        recipient=_recipient(_message(payload)),
        reject_reason=reject_reason,
        tags=_tags(facts.tag, tag_separator),
        user_agent=facts.user_agent,
    )
    event.postal = facts
    return event


def read_failure(facts: PostalEvent, hardfail_as_bounced: bool) -> Verdict | None:
    """The event type and reject reason of a permanent failure, by Postal's text; None if just failed."""
    details = facts.details or ""
    if details.startswith("Permanent SMTP delivery error"):
        return EventType.BOUNCED if hardfail_as_bounced else EventType.FAILED, _refusal_reason(facts)
    if details.startswith("Maximum number of delivery attempts"):
        return EventType.BOUNCED, RejectReason.TIMED_OUT
    if "is likely spam" in details:
        return EventType.REJECTED, RejectReason.SPAM
    return None


def _refusal_reason(facts: PostalEvent) -> str:
    """The reject reason by the receiving server's enhanced status code (RFC 3463) and its text."""
    enhanced, output = facts.enhanced_status or "", facts.output or ""
    if enhanced.startswith("5.1."):
        return RejectReason.INVALID
    if enhanced.startswith("5.7."):
        if SPAM_WORDS.search(output):
            return RejectReason.SPAM
        if BLOCK_WORDS.search(output):
            return RejectReason.BLOCKED
    return RejectReason.BOUNCED


def read_hold(facts: PostalEvent) -> Verdict | None:
    """Rejected for mail to a suppressed address, which Postal drops silently; None for any other hold."""
    suppressed = SUPPRESSED.search((facts.details or "")[-MAX_REASON:])
    if not suppressed:
        return None
    return EventType.REJECTED, SUPPRESSION_REASONS.get(suppressed["reason"], RejectReason.BLOCKED)


def hold_reason(details: str) -> str:
    """The reason why Postal holds a message, by its text."""
    if SUPPRESSED.search(details[-MAX_REASON:]):
        return "suppressed"
    return next((reason for text, reason in HOLD_REASONS if text in details), "other")


def _kind(fields: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """The key for `EVENT_TYPES`: the event's name, except that a bounce is known by its payload."""
    if _is_bounce(payload):
        return "MessageBounced"
    name, status = body.text(fields, "event"), body.text(payload, "status")
    if status is not None and (not name or name in DELIVERY_EVENTS):
        return EVENT_BY_STATUS.get(status, "")
    if name:
        return name
    return "MessageLinkClicked" if "url" in payload else ""


def _is_bounce(payload: Mapping[str, Any]) -> bool:
    return "bounce" in payload and "original_message" in payload


def _message(payload: Mapping[str, Any]) -> dict[str, Any]:
    original = body.mapping(payload, "original_message")
    return original if _is_bounce(payload) else body.mapping(payload, "message") or original


def _facts(fields: Mapping[str, Any], payload: Mapping[str, Any], server: str) -> PostalEvent:
    message, bounce = _message(payload), body.mapping(payload, "bounce")
    status, details = body.text(payload, "status"), body.text(payload, "details")
    output = body.text(payload, "output")
    reply = SMTP_REPLY.match(output or "")
    occurred_at = body.time(payload, "timestamp") or body.time(bounce, "timestamp")
    return PostalEvent(
        name=body.text(fields, "event") or _kind(fields, payload),
        server=server,
        id=body.whole(message, "id"),
        token=body.text(message, "token"),
        rfc_message_id=body.text(message, "message_id"),
        subject=body.text(message, "subject"),
        sender=body.text(message, "from"),
        tag=body.text(message, "tag"),
        direction=body.text(message, "direction"),
        spam_status=body.text(message, "spam_status"),
        stored_at=body.time(message, "timestamp"),
        occurred_at=occurred_at or body.time(fields, "timestamp"),
        status=status,
        details=details,
        output=output,
        smtp_code=int(reply[1]) if reply else None,
        enhanced_status=reply[2] if reply else None,
        sent_with_ssl=body.flag(payload, "sent_with_ssl"),
        duration=body.number(payload, "time"),
        hold_reason=hold_reason(details or "") if status == "Held" else None,
        ip_address=body.text(payload, "ip_address"),
        user_agent=body.text(payload, "user_agent"),
        url=body.text(payload, "url"),
        link_token=body.text(payload, "token"),
        bounce_id=body.whole(bounce, "id"),
        server_info=body.mapping(payload, "server"),
        headers=_headers(payload) or _headers(message),
    )


def _headers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """No Postal sends headers so far. Their place and shape are a guess, so nothing depends on them."""
    headers = fields.get("headers")
    return headers if isinstance(headers, dict) else {}


def _recipient(message: Mapping[str, Any]) -> str | None:
    """The bare address of the envelope recipient; None if it is missing or not an address."""
    to = body.text(message, "to")
    if to is None or BARE_ADDRESS.fullmatch(to):
        return to
    if len(to) > MAX_ADDRESS:
        return None
    try:
        return str(parse_single_address(to).addr_spec)
    except AnymailInvalidAddress:
        return None


def _tags(tag: str | None, separator: str | None) -> list[str]:
    if not tag:
        return []
    return [each for each in tag.split(separator) if each] if separator else [tag]
