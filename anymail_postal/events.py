"""Postal's events, and those that our server has beyond them, as Anymail's.

Source: contract 3.3 for the fields, appendix A for the texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from anymail.exceptions import AnymailInvalidAddress
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from anymail.utils import parse_single_address

from . import body, classification, reported
from .classification import Classification, Suppression
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
    # only from our server, to webhooks that are beyond Postal
    "MessageHoldCancelled": EventType.FAILED,
    "MessageComplained": EventType.COMPLAINED,
    "MessageUnsubscribed": EventType.UNSUBSCRIBED,
    "MessageAutoReplied": EventType.AUTORESPONDED,
    "SuppressionAdded": EventType.UNKNOWN,
    "SuppressionRemoved": EventType.UNKNOWN,
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
SUPPRESSION_EVENTS = frozenset({"SuppressionAdded", "SuppressionRemoved"})
BEYOND_POSTAL = SUPPRESSION_EVENTS | {
    "MessageHoldCancelled",
    "MessageComplained",
    "MessageUnsubscribed",
    "MessageAutoReplied",
}

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


class Verdict(NamedTuple):
    """What Anymail's event says of it. `description` and `mta_response` are None where Postal's texts fit."""

    event_type: str
    reject_reason: str | None = None
    description: str | None = None
    mta_response: str | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the settings choose: `POSTAL_` and the names in upper case."""

    hardfail_as_bounced: bool = True
    blocked_as_failed: bool = False
    held_suppressed_as_rejected: bool | Literal["auto"] = "auto"


@dataclass(frozen=True, kw_only=True)
class PostalEvent:
    """The contents of a webhook: `event.postal` of every tracking event. Times are aware UTC.

    For a bounce, the fields are those of the original message, and `bounce_id` is the id of the bounce. What
    Postal does not send, from `stream` to `hold_ended_by`, is None; a `classification` is made of its texts.
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
    output: str | None = None  # the reply of the receiving server, at most 250 characters; see classification
    smtp_code: int | None = None
    enhanced_status: str | None = None  # RFC 3463, such as "5.1.1"
    sent_with_ssl: bool | None = None
    duration: float | None = None  # seconds
    hold_reason: str | None = None  # suppressed, send_limit, credential, ..., other
    ip_address: str | None = None
    user_agent: str | None = None
    url: str | None = None
    link_token: str | None = None
    bounce_id: int | None = None
    stream: str | None = None  # the name for mail of one purpose within a mail server
    classification: Classification | None = None  # why the message was not taken
    suppression: Suppression | None = None  # that the event is about, or came of it, or stopped the mail
    report: reported.Report | None = None
    complaint: reported.Complaint | None = None
    unsubscription: reported.Unsubscription | None = None
    auto_reply: reported.AutoReply | None = None
    hold_expires_at: datetime | None = None
    hold_ended_by: str | None = None  # expiry, admin, api
    metadata: dict[str, Any] = field(default_factory=dict)
    server_info: dict[str, Any] = field(default_factory=dict)  # uuid, name, permalink, organization
    headers: dict[str, Any] = field(default_factory=dict)  # of the message, if Postal ever sends them

    @property
    def is_incoming(self) -> bool:
        """Is this about incoming mail, whose recipient is our own inbound view?"""
        return self.direction == "incoming"

    @property
    def failure_class(self) -> str | None:
        """Why the message was not taken, as one word: a key of `classification.CLASSES`."""
        return self.classification.name if self.classification else None

    @property
    def about(self) -> str | None:
        """Whom the failure is about: recipient, way, us, mail, receiver, unknown."""
        return self.classification.about if self.classification else None

    @property
    def stage(self) -> str | None:
        """The step of the session that was answered: connect, mail, rcpt, data, dot; or report."""
        return self.classification.stage if self.classification else None

    @property
    def evidence(self) -> str | None:
        """How surely what came back is about the message: "strong", or "weak" if anybody can send it."""
        came_back = self.report or self.complaint
        return came_back.evidence if came_back else None

    @property
    def may_suppress(self) -> bool:
        """May a bounce or rejection keep further mail from the recipient, for good?

        Not for full mailboxes, refusals because of us or of the mail, and failures of an address to which the
        recipient forwards; not where anybody can have sent the report, and not where the mail server's own
        list has stopped the message: its entries end.
        """
        found = self.classification
        if found is None or (found.name == classification.SUPPRESSED and not found.is_sure):
            return True  # Postal's events
        if self.report is not None and self.report.is_forwarded:
            return False
        if self.name == "MessageBounced" and self.evidence != "strong":
            return False
        return found.name in classification.GONE


class TrackingEvent(AnymailTrackingEvent):
    """An `AnymailTrackingEvent` with Postal's own data."""

    postal: PostalEvent


def read(
    fields: Mapping[str, Any],
    *,
    server: str = "default",
    event_types: Mapping[str, str] = EVENT_TYPES,
    options: Options = Options(),
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
    verdict = _judge(facts, kind, event_types.get(kind, EventType.UNKNOWN), options)
    created_at = body.time(fields, "timestamp")
    event = TrackingEvent(  # type: ignore[no-untyped-call]
        event_type=verdict.event_type,
        timestamp=created_at and created_at.replace(microsecond=0),
        event_id=body.text(fields, "uuid"),
        esp_event=fields,
        click_url=facts.url,
        description=facts.details if verdict.description is None else verdict.description,
        message_id=facts.id,
        metadata=metadata or None,
        mta_response=facts.output if verdict.mta_response is None else verdict.mta_response,
        recipient=_recipient(_address(payload)),
        reject_reason=verdict.reject_reason,
        tags=_tags(facts.tag, tag_separator),
        user_agent=facts.user_agent,
    )
    event.postal = facts
    return event


# --- what it means to Anymail ---


def _judge(facts: PostalEvent, kind: str, event_type: str, options: Options) -> Verdict:
    """What an event means; `event_type` is that of its name."""
    if facts.is_incoming:
        return Verdict(event_type if facts.status == "Sent" else EventType.INBOUND_FAILED)
    read_kind = VERDICTS.get(kind)
    return read_kind(facts, event_type, options) if read_kind else Verdict(event_type)


def read_failure(facts: PostalEvent, event_type: str, options: Options) -> Verdict:
    """A permanent failure: bounced where a mail host was asked, rejected where it was not."""
    found, details = facts.classification, facts.details or ""
    if found is None:
        is_spam = "is likely spam" in details  # by the scanner of our own side
        return Verdict(EventType.REJECTED, RejectReason.SPAM) if is_spam else Verdict(event_type)
    if found.name == classification.SUPPRESSED:
        return Verdict(EventType.REJECTED, found.reject_reason)
    is_failed = found.about == "us" and options.blocked_as_failed
    if is_failed or not (options.hardfail_as_bounced or found.has_given_up):
        return Verdict(EventType.FAILED, found.reject_reason, None, found.diagnostic)
    return Verdict(EventType.BOUNCED, found.reject_reason, None, found.diagnostic)


def read_delay(facts: PostalEvent, event_type: str, options: Options) -> Verdict:
    """A transient failure, with the whole answer."""
    found = facts.classification
    return Verdict(event_type, mta_response=found.diagnostic if found else None)


def read_bounce(facts: PostalEvent, event_type: str, options: Options) -> Verdict:
    """A report of another host. Postal says nothing of its contents."""
    found, report = facts.classification, facts.report
    if found is None:
        return Verdict(event_type, RejectReason.BOUNCED)
    host = (report.reporting_mta or report.remote_mta) if report else None
    by = f"Reported by {host}" if host else "Reported"
    description = f"{by}: {found.enhanced_status}" if found.enhanced_status else by
    return Verdict(event_type, found.reject_reason, description, found.diagnostic)


def read_hold(facts: PostalEvent, event_type: str, options: Options) -> Verdict:
    """Mail to a suppressed address is rejected, as it will not be sent, if the settings say so."""
    found, wanted = facts.classification, options.held_suppressed_as_rejected
    if found is None or found.name != classification.SUPPRESSED:
        return Verdict(event_type)
    is_rejected = found.is_sure if wanted == "auto" else wanted
    return Verdict(EventType.REJECTED, found.reject_reason) if is_rejected else Verdict(event_type)


def read_hold_end(facts: PostalEvent, event_type: str, options: Options) -> Verdict:
    """A message that was held, and is not sent."""
    return Verdict(event_type, RejectReason.OTHER)


def read_complaint(facts: PostalEvent, event_type: str, options: Options) -> Verdict:
    """A recipient's complaint, by its type and who passed it on."""
    complaint = facts.complaint
    words = (complaint.type, complaint.operator and f"from {complaint.operator}") if complaint else ()
    return Verdict(event_type, RejectReason.SPAM, " ".join(filter(None, words)) or None)


def read_unsubscription(facts: PostalEvent, event_type: str, options: Options) -> Verdict:
    """That a recipient unsubscribed."""
    return Verdict(event_type, RejectReason.UNSUBSCRIBED)


def read_auto_reply(facts: PostalEvent, event_type: str, options: Options) -> Verdict:
    """An automatic reply, by its subject."""
    return Verdict(event_type, description=facts.auto_reply.subject if facts.auto_reply else None)


# Of the events that are more than their type.
VERDICTS: Mapping[str, Callable[[PostalEvent, str, Options], Verdict]] = {
    "MessageDelayed": read_delay,
    "MessageDeliveryFailed": read_failure,
    "MessageBounced": read_bounce,
    "MessageHeld": read_hold,
    "MessageHoldCancelled": read_hold_end,
    "MessageComplained": read_complaint,
    "MessageUnsubscribed": read_unsubscription,
    "MessageAutoReplied": read_auto_reply,
}


# --- its fields ---


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


def _address(payload: Mapping[str, Any]) -> str | None:
    """Whom an event is about: the recipient, or who came on the suppression list or left it."""
    return body.text(_message(payload), "to") or body.text(body.mapping(payload, "suppression"), "address")


def _facts(fields: Mapping[str, Any], payload: Mapping[str, Any], server: str) -> PostalEvent:
    message, bounce = _message(payload), body.mapping(payload, "bounce")
    status, output = body.text(payload, "status"), body.text(payload, "output")
    reply = classification.SMTP_REPLY.match(output or "")
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
        details=body.text(payload, "details"),
        output=output,
        smtp_code=int(reply[1]) if reply else None,
        enhanced_status=reply[2] if reply else None,
        sent_with_ssl=body.flag(payload, "sent_with_ssl"),
        duration=body.number(payload, "time"),
        ip_address=body.text(payload, "ip_address"),
        user_agent=body.text(payload, "user_agent"),
        url=body.text(payload, "url"),
        link_token=body.text(payload, "token"),
        bounce_id=body.whole(bounce, "id"),
        stream=body.short_text(message, "stream", classification.WORD),
        report=reported.read_report(payload),
        complaint=reported.read_complaint(payload),
        unsubscription=reported.read_unsubscription(payload),
        auto_reply=reported.read_auto_reply(payload),
        server_info=body.mapping(payload, "server"),
        headers=_headers(payload) or _headers(message),
        **_why(payload, status),
    )


def _why(payload: Mapping[str, Any], status: str | None) -> dict[str, Any]:
    """Why a message was not taken or is held: as our server says, else by Postal's texts."""
    found = classification.read(payload)
    suppression = classification.read_suppression(payload) or classification.read_suppression(
        payload, "suppressed"
    )
    reason = body.short_text(payload, "hold_reason", classification.WORD)
    details = body.text(payload, "details") or ""
    if status == "Held":
        reason, found = _read_hold(reason, found, details)
    elif found is None:
        found = classification.judge(status, details, body.text(payload, "output") or "")
    if found is not None and found.name == classification.SUPPRESSED:
        stopped_by = suppression or found.suppressed or _suppression_in(details)
        found = replace(found, suppressed=stopped_by)
    return {
        "classification": found,
        "suppression": suppression or (found and found.suppressed),
        "hold_reason": reason,
        "hold_expires_at": body.time(payload, "hold_expires_at"),
        "hold_ended_by": body.short_text(payload, "by", classification.WORD),
    }


def _read_hold(reason: str | None, found: Classification | None, details: str) -> tuple[str, Classification]:
    """The reason for a hold and its class, which is sure if the server has said it rather than its text."""
    read_reason = reason or hold_reason(details)
    if found is None:
        name = classification.SUPPRESSED if read_reason == "suppressed" else classification.HELD
        found = Classification(name=name, about=None, is_sure=reason is not None)
    return read_reason, found


def _suppression_in(details: str) -> Suppression | None:
    """The entry that Postal's text names by its reason."""
    named = SUPPRESSED.search(details[-MAX_REASON:])
    return Suppression(reason=(named["reason"] or "")[: classification.WORD]) if named else None


def _headers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """No Postal sends headers so far. Their place and shape are a guess, so nothing depends on them."""
    headers = fields.get("headers")
    return headers if isinstance(headers, dict) else {}


def _recipient(to: str | None) -> str | None:
    """The bare address of the envelope recipient; None if it is missing or not an address."""
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
