"""What is this mail that came back to a return path, and what does it say about which recipients?

Reports about mail take many forms; they are looked for in a fixed order, and the first that is found counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from . import autoreply, bounce_shapes
from .aggregate_report import Aggregate, find_aggregate
from .bounce_words import DELAYS, FAILURE_SUBJECTS, FAILURE_TEXTS, GIVEN_UP, MAILERS
from .charset import decode_undeclared
from .delivery_status import MAX_RECIPIENTS, MAX_STATUS, DeliveryStatus, Part, is_status, read_status
from .enhanced_code import find_status
from .feedback import FEEDBACK_TYPE, Feedback, find_jmrp, is_feedback, read_feedback
from .header import header_values, message_id
from .mime import Part as MimePart
from .phrases import has_any, plain
from .report_tree import MAX_LABEL, VAGUE_TYPES, Message, content, messages
from .report_words import find_stage, find_success, squeeze, words_about

__all__ = ["Feedback", "Kind", "Part", "Report", "read"]

# Names after RFC 6533 carry addresses that are not ASCII.
STATUS_TYPES = frozenset(["message/delivery-status", "message/global-delivery-status"])
RECEIPT_TYPES = frozenset(["message/disposition-notification", "message/global-disposition-notification"])
MAX_TOKENS = 10
MAX_SENDER = 1000  # characters
MAX_BEGINNING = 3000  # characters of an explanation that say what it is about

# A line end is looked for faster than `^`.
_STATUS_FIELD = re.compile(
    r"\n[ \t]{0,8}(?:Final-Recipient|Original-Recipient|Reporting-MTA)[ \t]*:", re.IGNORECASE
)
_TOKEN = re.compile(r"[A-Za-z0-9]{1,100}\Z")

# The least final comes first: of several recipients, it makes the kind of the report.
_ORDER = ("failed", "delayed", "expanded", "relayed", "delivered")


class Kind(str, Enum):
    """What a report is. Only BOUNCE says that a message could not be delivered."""

    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    NOT_SPAM = "not_spam"
    AUTH_FAILURE = "auth_failure"
    DMARC = "dmarc"
    TLS = "tls"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    DELAYED = "delayed"
    BOUNCE = "bounce"
    CHALLENGE = "challenge"
    AUTOREPLY = "autoreply"
    REPLY = "reply"
    UNRECOGNISED = "unrecognised"


_KINDS_OF_FEEDBACK = {
    "opt-out": Kind.UNSUBSCRIBE,
    "opt-out-list": Kind.UNSUBSCRIBE,
    "not-spam": Kind.NOT_SPAM,  # RFC 6430
    "auth-failure": Kind.AUTH_FAILURE,  # RFC 6591
}


@dataclass(frozen=True)
class Report:
    """What a mail reports. `parts` are about one recipient each.

    `envelope_id` is that which the sender had given (RFC 3461, ENVID). `tokens` are the X-Postal-MsgID and
    `message_id`, without brackets, the Message-ID of the message that it returns; what that message quotes is
    not looked at. `recognizer` names the form in which it came. Only feedback reports (RFC 5965) have
    `feedback`.
    """

    kind: Kind
    parts: tuple[Part, ...] = ()
    reporting_mta: str | None = None
    envelope_id: str | None = None
    tokens: tuple[str, ...] = ()
    message_id: str | None = None
    recognizer: str = ""
    feedback: Feedback | None = None


def read(raw: bytes, reverse_path: str | None) -> Report:
    """The report in a raw mail. Never raises; None or `""` is the null reverse-path."""
    inner = messages(raw)
    mail = next(inner)
    return (
        _explicit(mail)
        or _in_words(mail, reverse_path)
        or _by_a_program(mail, reverse_path)
        or _attached(inner)
        or _returned(mail, reverse_path)
        or _report(Kind.REPLY if reverse_path else Kind.UNRECOGNISED, mail, "")
    )


def _attached(inner: Iterator[Message]) -> Report | None:
    """The report in a mail that hands it on: mailing lists and gateways do that."""
    return next((report for message in inner if (report := _explicit(message))), None)


def _report(kind: Kind, message: Message, recognizer: str, parts: Sequence[Part] = ()) -> Report:
    header = message.returned
    return Report(
        kind,
        tuple(parts),
        tokens=tuple(filter(_TOKEN.match, header_values(header, "X-Postal-MsgID")))[:MAX_TOKENS],
        message_id=message_id(header),
        recognizer=recognizer,
    )


# Reports for programs


def _explicit(message: Message) -> Report | None:
    """A report that says in its fields what it is."""
    return _complaint(message) or _aggregate(message) or _notification(message)


def _complaint(message: Message) -> Report | None:
    part = message.first([FEEDBACK_TYPE]) or _labelled_otherwise(message, is_feedback)
    if part is not None:
        feedback, recognizer = read_feedback(content(part, MAX_STATUS)), "rfc5965"
    elif jmrp := find_jmrp(message.header, message.returned):
        feedback, recognizer = jmrp, "jmrp"
    else:
        return None
    kind = _KINDS_OF_FEEDBACK.get(feedback.type, Kind.COMPLAINT)
    parts = [Part(address) for address in feedback.original_recipients]
    report = _report(kind, message, recognizer, parts)
    return replace(
        report,
        reporting_mta=feedback.reporting_mta,
        envelope_id=feedback.envelope_id,
        feedback=feedback,
    )


def _aggregate(message: Message) -> Report | None:
    found = find_aggregate(message.header, message.leaves)
    if found is None:
        return None
    return Report(Kind.DMARC if found is Aggregate.DMARC else Kind.TLS, recognizer=found.value)


def _notification(message: Message) -> Report | None:
    """RFC 3464: a status part of its own, under whatever label."""
    found = [part for part in message.leaves if part.mime_type in STATUS_TYPES]
    if not found and (other := _labelled_otherwise(message, is_status)):
        found = [other]
    if not found:
        return None
    statuses = [read_status(content(part, MAX_STATUS // len(found))) for part in found]
    parts = [part for status in statuses for part in status.parts]
    return _of_status(replace(statuses[0], parts=tuple(parts[:MAX_RECIPIENTS])), message)


def _labelled_otherwise(message: Message, test: Callable[[str], bool]) -> MimePart | None:
    """A part whose content passes the test, though its type promises nothing of the kind."""
    for part in message.leaves:
        if part.mime_type in VAGUE_TYPES and test(decode_undeclared(content(part, MAX_LABEL))):
            return part
    return None


def _of_status(status: DeliveryStatus, message: Message) -> Report:
    parts: Sequence[Part] = status.parts
    if not any("@" in f"{part.final_recipient} {part.original_recipient}" for part in parts):
        parts = _completed(parts, message)
    parts = _unfolded(parts, message)
    is_only = len(parts) == 1
    parts = [_explained(part, message, is_only=is_only) for part in parts]
    report = _report(_kind_of(parts), message, "rfc3464", parts)
    return replace(report, reporting_mta=status.reporting_mta, envelope_id=status.envelope_id)


def _completed(parts: Sequence[Part], message: Message) -> list[Part]:
    """Parts of a report that names no recipient in its fields, or has been cut short."""
    shape = _find_shape(message, has_null_path=True)
    said = list(shape.parts) if shape else []
    recipients = [part.final_recipient for part in said if part.final_recipient] or message.returned_to
    if not parts:
        return said or [Part(address) for address in recipients[:1]] or [Part()]
    if len(parts) == 1 and len(recipients) == 1:
        name = "original_recipient" if parts[0].final_recipient else "final_recipient"
        return [replace(parts[0], **{name: recipients[0]})]
    return list(parts)


def _unfolded(parts: Sequence[Part], message: Message) -> Sequence[Part]:
    """Parts that name an alias, with who is behind it as their recipient. Exim says that in words only."""
    if "generated from" not in message.explanation:
        return parts
    shape = _find_shape(message, has_null_path=True)
    behind = [found for found in (shape.parts if shape else ()) if found.original_recipient]
    unfolded = []
    for part in parts:
        found = next((each for each in behind if each.original_recipient == part.final_recipient), None)
        if found is None:
            unfolded.append(part)
            continue
        behind.remove(found)
        diagnostic = part.diagnostic or found.diagnostic
        unfolded.append(
            replace(
                part,
                final_recipient=found.final_recipient,
                original_recipient=part.final_recipient,
                diagnostic=diagnostic,
            )
        )
    return unfolded


def _explained(part: Part, message: Message, *, is_only: bool) -> Part:
    """`part` with what its fields leave open taken from the words about it."""
    words = words_about(part, message.explanation, is_only=is_only)
    diagnostic = part.diagnostic or squeeze(words) or None
    status = part.status or find_status(part.diagnostic or "") or find_status(words)
    return replace(
        part,
        action=part.action or _action(status, message),
        status=status,
        diagnostic=diagnostic,
        stage=_stage(part, message.explanation, is_only=is_only),
    )


def _action(status: str | None, message: Message) -> str:
    """What happened, where no action says so: RFC 3463 section 2, and for class 4 the words."""
    if status is not None and status[0] in "25":
        return "delivered" if status[0] == "2" else "failed"
    if success := _success(message):
        return success
    if _says(message, DELAYS) and not _says(message, GIVEN_UP):
        return "delayed"
    return "failed" if status or _says(message, FAILURE_SUBJECTS) or _says(message, FAILURE_TEXTS) else ""


def _says(message: Message, listed: Sequence[str]) -> bool:
    """Is one of the phrases in the subject or the first lines?"""
    said = message.explaining_words.plain[:MAX_BEGINNING]
    return has_any(f"{plain(message.fields.subject)} {said}", listed)


def _success(message: Message) -> str:
    """The action that a notice of success speaks of, or `""`."""
    said = message.explaining_words.plain[:MAX_BEGINNING]
    return find_success(plain(message.fields.subject), said)


def _kind_of(parts: Sequence[Part]) -> Kind:
    """The kind of a report with these parts: BOUNCE if one failed."""
    actions = {part.action for part in parts}
    action = next((action for action in _ORDER if action in actions), None)
    if action is None:
        return Kind.UNRECOGNISED
    return Kind.BOUNCE if action == "failed" else Kind(action)


# Reports for people


def _in_words(message: Message, reverse_path: str | None) -> Report | None:
    """A failure notice whose text says it all."""
    if message.first(RECEIPT_TYPES):
        return None
    if not reverse_path and (status := _status_in(message)):
        return _of_status(status, message)
    shape = _find_shape(message, has_null_path=not reverse_path)
    if shape is None:
        return None
    parts = list(shape.parts)
    if success := _success(message):
        parts = [replace(part, action=success) for part in parts]
    if len(parts) == 1 and not parts[0].final_recipient and len(message.returned_to) == 1:
        parts = [replace(parts[0], final_recipient=message.returned_to[0])]
    is_only = len(parts) == 1
    parts = [replace(part, stage=_stage(part, message.explanation, is_only=is_only)) for part in parts]
    return _report(_kind_of(parts), message, shape.name, parts)


def _stage(part: Part, explanation: str, *, is_only: bool) -> str:
    stage = find_stage(part.diagnostic or "")
    return find_stage(words_about(part, explanation, is_only=is_only)) if stage == "report" else stage


def _find_shape(message: Message, *, has_null_path: bool) -> bounce_shapes.Shape | None:
    """What the words say: those above the mail that comes back, or else all, as some put theirs below."""
    shape = bounce_shapes.find(message.fields, message.explaining_words, has_null_path=has_null_path)
    is_complete = message.explaining_words is message.words
    if is_complete or (shape and shape.parts[0].final_recipient):
        return shape
    return bounce_shapes.find(message.fields, message.words, has_null_path=has_null_path) or shape


def _status_in(message: Message) -> DeliveryStatus | None:
    """Status fields in the text itself: what is left of a report whose structure was lost."""
    said = f"\n{message.explanation}"
    match = _STATUS_FIELD.search(said)
    if match is None:
        return None
    status = read_status(said[match.start() :].encode("utf-8", "replace"))
    is_one = any(part.final_recipient and (part.action or part.status) for part in status.parts)
    return status if is_one else None


def _returned(message: Message, reverse_path: str | None) -> Report | None:
    """A notice in no known words that returns a mail: one of ours, or from a mail server."""
    if reverse_path or not message.returned:
        return None
    sender = plain(" ".join(message.fields.values("from"))[:MAX_SENDER])
    report = _report(Kind.BOUNCE, message, "returned")
    if not report.tokens and not has_any(sender, MAILERS):
        return None
    recipient = message.returned_to[0] if len(message.returned_to) == 1 else None
    diagnostic = squeeze(message.explanation) or None
    part = Part(
        recipient,
        action=_action(None, message) or "failed",
        status=find_status(message.explanation),
        diagnostic=diagnostic,
    )
    return replace(report, kind=_kind_of([part]), parts=(part,))


def _by_a_program(message: Message, reverse_path: str | None) -> Report | None:
    if autoreply.is_challenge(message.fields, message.words):
        return _report(Kind.CHALLENGE, message, "challenge")
    if message.first(RECEIPT_TYPES):
        return _report(Kind.AUTOREPLY, message, "rfc8098")
    if autoreply.is_autoreply(message.fields, reverse_path):
        return _report(Kind.AUTOREPLY, message, "rfc3834")
    return None
