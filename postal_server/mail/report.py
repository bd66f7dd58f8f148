"""What is this mail that came back to a return path, and what does it say about which recipients?

Reports about mail take many forms; they are looked for in a fixed order, and the first that is found counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from . import mime
from .bounce import BounceKind, recognize
from .delivery_status import Part, read_status
from .feedback import Feedback, read_feedback
from .header import header_values, message_id, split_header

__all__ = ["Feedback", "Kind", "Part", "Report", "read"]

STATUS_TYPES = frozenset(["message/delivery-status", "message/global-delivery-status"])
RETURNED_TYPES = frozenset(
    ["message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"]
)
MAX_STATUS = 1_000_000  # bytes
MAX_TOKENS = 10

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
    root = mime.parse(raw, into_messages=True, for_reading=True)
    own = [part for part in root.walk_own() if not part.is_multipart]
    status = next((part for part in own if part.mime_type in STATUS_TYPES), None)
    feedback = next((part for part in own if part.mime_type == "message/feedback-report"), None)
    returned = next((part for part in own if part.mime_type in RETURNED_TYPES), None)
    header = split_header(returned.content_of(mime.MAX_HEADER))[0] if returned else b""
    tokens = tuple(header_values(header, "X-Postal-MsgID"))[:MAX_TOKENS]
    original = message_id(header)
    if feedback is not None:
        fields = read_feedback(feedback.content_of(MAX_STATUS))
        return Report(
            _KINDS_OF_FEEDBACK.get(fields.type, Kind.COMPLAINT),
            parts=tuple(Part(address) for address in fields.original_recipients),
            tokens=tokens,
            message_id=original,
            recognizer="rfc5965",
            feedback=fields,
        )
    if status is not None:
        said = read_status(status.content_of(MAX_STATUS))
        return Report(
            kind_of(said.parts),
            said.parts,
            said.reporting_mta,
            said.envelope_id,
            tokens,
            original,
            "rfc3464",
        )
    return _other(raw, reverse_path, tokens, original)


_KINDS_OF_FEEDBACK = {
    "opt-out": Kind.UNSUBSCRIBE,
    "opt-out-list": Kind.UNSUBSCRIBE,
    "not-spam": Kind.NOT_SPAM,
    "auth-failure": Kind.AUTH_FAILURE,
}


def kind_of(parts: Sequence[Part]) -> Kind:
    """The kind of a report with these parts: BOUNCE if one failed."""
    actions = {action_of(part) for part in parts}
    action = next((action for action in _ORDER if action in actions), None)
    if action is None:
        return Kind.UNRECOGNISED
    return Kind.BOUNCE if action == "failed" else Kind(action)


def action_of(part: Part) -> str:
    """What happened to a recipient: its action, or what follows from the class of its status."""
    if part.action:
        return part.action
    if part.status is None:
        return "failed" if part.diagnostic else ""
    return "delivered" if part.status.startswith("2") else "failed"


def _other(raw: bytes, reverse_path: str | None, tokens: tuple[str, ...], original: str | None) -> Report:
    bounce = recognize(raw)
    if bounce is not None and (bounce.recipient or bounce.status):
        action = "delayed" if bounce.kind is BounceKind.DELAYED else "failed"
        part = Part(bounce.recipient, None, action, bounce.status, bounce.diagnostic)
        return Report(
            kind_of([part]), (part,), tokens=tokens, message_id=original, recognizer="mailer-daemon"
        )
    return Report(Kind.REPLY if reverse_path else Kind.UNRECOGNISED, tokens=tokens, message_id=original)
