"""Why a message was not taken, in one word: as our server says, or else by the texts of Postal.

The words and what they mean to Anymail are in `CLASSES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from anymail.signals import RejectReason

from . import answer_words, body

WORD = 64  # characters of a class, a stage or a reason
NAME = 255  # characters of a host, an operator, a rule or an address
DIAGNOSTIC = 2000  # characters of an answer, as our server cuts it

SUPPRESSED = "suppressed"  # the recipient is on the suppression list: nobody was asked
HELD = "held"


class FailureClass(NamedTuple):
    """Whom a class is about, and Anymail's reject reason for it."""

    about: str | None
    reject_reason: str


CLASSES: Mapping[str, FailureClass] = {
    "bad_address": FailureClass("recipient", RejectReason.INVALID),
    "bad_domain": FailureClass("recipient", RejectReason.INVALID),
    "inactive": FailureClass("recipient", RejectReason.BOUNCED),
    "mailbox_full": FailureClass("recipient", RejectReason.BOUNCED),
    "expired": FailureClass("way", RejectReason.TIMED_OUT),
    "rate": FailureClass("us", RejectReason.TIMED_OUT),
    "reputation": FailureClass("us", RejectReason.BLOCKED),
    "authentication": FailureClass("us", RejectReason.BLOCKED),
    "infrastructure": FailureClass("us", RejectReason.BLOCKED),
    "content": FailureClass("mail", RejectReason.SPAM),
    "too_large": FailureClass("mail", RejectReason.OTHER),
    "policy": FailureClass("receiver", RejectReason.BLOCKED),
    "unknown": FailureClass("unknown", RejectReason.BOUNCED),
    # not the answer of a host
    SUPPRESSED: FailureClass(None, RejectReason.BLOCKED),  # see `Suppression.reject_reason`
    HELD: FailureClass(None, RejectReason.OTHER),
    "cancelled": FailureClass(None, RejectReason.OTHER),
}
# Of these, no mail to the address will arrive. `unknown` is where nobody knows, as with Postal's bounces.
GONE = ("bad_address", "bad_domain", "inactive", "unknown")
NOBODY = FailureClass(None, RejectReason.BOUNCED)  # of a class that a later server may have

# Anymail's reject reason by the reason of a suppression, as our server names them and as Postal does.
SUPPRESSION_REASONS: Mapping[str, str] = {
    "bad_address": RejectReason.BOUNCED,
    "bad_domain": RejectReason.BOUNCED,
    "inactive": RejectReason.BOUNCED,
    "mailbox_full": RejectReason.BOUNCED,
    "unknown": RejectReason.BOUNCED,
    "expired": RejectReason.TIMED_OUT,
    "complaint": RejectReason.SPAM,
    "unsubscribe": RejectReason.UNSUBSCRIBED,
    "too many hard fails": RejectReason.BOUNCED,
    "too many soft fails": RejectReason.TIMED_OUT,
}

# "550 5.1.1 no such user", also "550-5.1.1 ..." (RFC 5321 section 4.2, RFC 3463)
SMTP_REPLY = re.compile(r"\s*([2-5]\d\d)(?:[ -]+([245]\.\d{1,3}\.\d{1,3})(?!\d))?(?!\d)", re.ASCII)
ATTEMPTS_USED_UP = "Maximum number of delivery attempts"  # Postal's words, as the next
REFUSED = "Permanent SMTP delivery error"
TRIED = (ATTEMPTS_USED_UP, REFUSED, "Temporary SMTP delivery error")


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """An entry of a mail server's suppression list, as far as an event shows it. Times are aware UTC.

    `scope` is "" for all mail of the server, `stream:<name>` or `domain:<name>`. `keep_until` is None where
    the entry has no end. `code`, `answer` and `rule` are the evidence that led to it. From `times` on, only
    events about the list itself have values.
    """

    scope: str = ""
    reason: str = ""  # bad_address, complaint, manual ...; for Postal the sentence in its parentheses
    keep_until: datetime | None = None
    address: str | None = None
    times: int | None = None  # how often the address came on the list within a year
    text: str | None = None
    source_message_id: int | None = None
    answer: str | None = None
    code: str | None = None
    rule: str | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None

    @property
    def reject_reason(self) -> str:
        """Anymail's reject reason for mail that this entry stops."""
        return SUPPRESSION_REASONS.get(self.reason, RejectReason.BLOCKED)


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Why a message was not taken.

    For Postal, which does not say it, `name` comes from the text of the answer, `is_sure` is False, and
    `rule`, `operator`, `stage` and `suppressed` are None.
    """

    name: str  # a key of CLASSES, unless the server is newer than this package
    about: str | None  # recipient, way, us, mail, receiver, unknown; None where no host was asked
    is_sure: bool = False  # False if the answer may mean something else
    is_permanent: bool = False  # will it not be tried again?
    stage: str | None = None  # connect, mail, rcpt, data, dot, report
    smtp_code: int | None = None
    enhanced_status: str | None = None  # RFC 3463, such as "5.1.1"
    diagnostic: str | None = None  # the whole answer, up to 2,000 characters
    operator: str | None = None  # of the recipient's mail host, such as "google.com"
    rule: str | None = None  # what the class was known by
    has_given_up: bool = False  # were the attempts or the time of the message used up?
    suppressed: Suppression | None = None  # the entry that came of it, or that stopped the message

    @property
    def reject_reason(self) -> str:
        """Anymail's reject reason."""
        if self.name == SUPPRESSED and self.suppressed is not None:
            return self.suppressed.reject_reason
        return CLASSES.get(self.name, NOBODY).reject_reason


def read(fields: Mapping[str, Any], key: str = "classification") -> Classification | None:
    """The classification in a payload of our server; None if it has none, as with Postal.

    Raises `UnreadableBody` for values of wrong types, as all of this module that takes fields.
    """
    found = body.mapping(fields, key)
    name = body.short_text(found, "class", WORD)
    if not name:
        return None
    return Classification(
        name=name,
        about=body.short_text(found, "about", WORD) or CLASSES.get(name, NOBODY).about,
        is_sure=body.flag(found, "sure") or False,
        is_permanent=body.flag(found, "permanent") or False,
        stage=body.short_text(found, "stage", WORD),
        smtp_code=body.whole(found, "smtp_code"),
        enhanced_status=body.short_text(found, "enhanced_status", WORD),
        diagnostic=body.short_text(found, "diagnostic", DIAGNOSTIC),
        operator=body.short_text(found, "operator", NAME),
        rule=body.short_text(found, "rule", NAME),
        has_given_up=body.flag(found, "gave_up") or False,
        suppressed=read_suppression(found, "suppressed"),
    )


def read_suppression(fields: Mapping[str, Any], key: str = "suppression") -> Suppression | None:
    """The entry of a suppression list in a payload of our server; None if it has none."""
    found = body.mapping(fields, key)
    if not found:
        return None
    evidence = body.mapping(found, "evidence")
    return Suppression(
        scope=body.short_text(found, "scope", NAME) or "",
        reason=body.short_text(found, "reason", WORD) or "",
        keep_until=body.time(found, "keep_until"),
        address=body.short_text(found, "address", NAME),
        times=body.whole(found, "times"),
        text=body.short_text(found, "text", DIAGNOSTIC),
        source_message_id=body.whole(found, "source_message"),
        answer=body.short_text(evidence, "answer", DIAGNOSTIC),
        code=body.short_text(evidence, "code", WORD),
        rule=body.short_text(evidence, "rule", NAME),
        created_at=body.time(found, "created_at"),
        ended_at=body.time(found, "ended_at"),
        ended_by=body.short_text(found, "ended_by", NAME),
    )


def judge(status: str | None, details: str, output: str) -> Classification | None:
    """A classification by Postal's texts: `details` are its own, `output` is the answer of the mail host.

    None if no host was asked, or if it took the message.
    """
    is_permanent, has_given_up = status == "HardFail", details.startswith(ATTEMPTS_USED_UP)
    if status not in ("HardFail", "SoftFail") or not details.startswith(TRIED):
        return None
    reply = SMTP_REPLY.match(output)
    code, enhanced = (int(reply[1]), reply[2]) if reply else (None, None)
    name = "expired" if has_given_up else answer_words.find_class(output, enhanced)
    return Classification(
        name=name,
        about=CLASSES[name].about,
        is_permanent=is_permanent,
        smtp_code=code,
        enhanced_status=enhanced,
        diagnostic=output[:DIAGNOSTIC] or None,
        has_given_up=has_given_up,
    )
