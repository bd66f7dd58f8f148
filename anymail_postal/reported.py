"""What came back about a message, as our server's events say it. Postal says only that something did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import body
from .classification import NAME, WORD

SUBJECT = 1000  # characters of what came back, which anybody may have written


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report says of one message, in a `MessageBounced`."""

    kind: str = ""  # "bounce"
    evidence: str | None = None  # "strong" if the report surely is about this message, else "weak"
    final_recipient: str | None = None  # the address that failed
    original_recipient: str | None = None
    action: str | None = None  # RFC 3464
    reporting_mta: str | None = None  # the host that wrote the report
    remote_mta: str | None = None  # the host that refused the mail
    is_forwarded: bool = False  # did another address than that of the message fail?


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """That a recipient called a mail spam (RFC 5965), in a `MessageComplained`."""

    type: str = ""  # "abuse", "fraud", "virus", "other"
    source: str | None = None
    operator: str | None = None  # who runs the recipient's mailbox, such as "yahoo.com"
    user_agent: str | None = None  # the program that wrote the report
    received_at: datetime | None = None  # when the operator received the mail
    evidence: str | None = None  # as of a report


@dataclass(frozen=True, kw_only=True)
class Unsubscription:
    """How a recipient unsubscribed, in a `MessageUnsubscribed`."""

    how: str = ""  # "one-click", "page", "mail", "feedback"
    ip_address: str | None = None


@dataclass(frozen=True, kw_only=True)
class AutoReply:
    """An automatic reply, in a `MessageAutoReplied`. To a challenge, a person has to answer."""

    subject: str | None = None
    is_challenge: bool = False


def read_report(payload: Mapping[str, Any]) -> Report | None:
    """The report in a payload. All of these are None where there is none, and raise `UnreadableBody`."""
    found = body.mapping(payload, "report")
    if not found:
        return None
    return Report(
        kind=body.short_text(found, "kind", WORD) or "",
        evidence=body.short_text(found, "evidence", WORD),
        final_recipient=body.short_text(found, "final_recipient", NAME),
        original_recipient=body.short_text(found, "original_recipient", NAME),
        action=body.short_text(found, "action", WORD),
        reporting_mta=body.short_text(found, "reporting_mta", NAME),
        remote_mta=body.short_text(found, "remote_mta", NAME),
        is_forwarded=body.flag(found, "forwarded") or False,
    )


def read_complaint(payload: Mapping[str, Any]) -> Complaint | None:
    found = body.mapping(payload, "complaint")
    if not found:
        return None
    return Complaint(
        type=body.short_text(found, "type", WORD) or "",
        source=body.short_text(found, "source", NAME),
        operator=body.short_text(found, "operator", NAME),
        user_agent=body.short_text(found, "user_agent", NAME),
        received_at=body.time(found, "received_at"),
        evidence=body.short_text(found, "evidence", WORD),
    )


def read_unsubscription(payload: Mapping[str, Any]) -> Unsubscription | None:
    found = body.mapping(payload, "unsubscribe")
    if not found:
        return None
    return Unsubscription(
        how=body.short_text(found, "how", WORD) or "", ip_address=body.short_text(found, "ip_address", WORD)
    )


def read_auto_reply(payload: Mapping[str, Any]) -> AutoReply | None:
    found = body.mapping(payload, "reply")
    if not found:
        return None
    return AutoReply(
        subject=body.short_text(found, "subject", SUBJECT),
        is_challenge=body.flag(found, "challenge") or False,
    )
