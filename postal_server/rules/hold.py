"""Why a message waits for a person, and what ends that. Texts are Postal's (contract, appendix A)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .status import ServerMode


class HoldReason(str, enum.Enum):
    """Why a message is held."""

    SUPPRESSED = "suppressed"  # its recipient is on the suppression list
    SEND_LIMIT = "send_limit"
    DEVELOPMENT_MODE = "development_mode"
    CREDENTIAL = "credential"
    SUSPENDED = "suspended"
    SPAM = "spam"
    ROUTE = "route"  # it keeps mail, or a role address has none
    POISON = "poison"  # workers died with it
    ADMIN = "admin"  # a person did it


class HoldEnd(str, enum.Enum):
    """What ended the hold of a message that is not sent."""

    EXPIRY = "expiry"
    ADMIN = "admin"  # a person, in the administration or by a command
    API = "api"


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason, and the sentence that people read."""

    reason: HoldReason
    sentence: str


# Postal's words but for the last two. What differs from message to message stands in braces.
SENTENCES: Mapping[HoldReason, str] = {
    HoldReason.SUPPRESSED: "Recipient ({recipient}) is on the suppression list (reason: {why})",
    HoldReason.SEND_LIMIT: "Message held because send limit ({limit}) has been reached.",
    HoldReason.DEVELOPMENT_MODE: "Server is in development mode.",
    HoldReason.CREDENTIAL: "Credential is configured to hold all messages authenticated by it.",
    HoldReason.SUSPENDED: (
        "Mail server has been suspended. No e-mails can be processed at present. Contact support for "
        "assistance."
    ),
    HoldReason.SPAM: "Message placed into quarantine.",
    HoldReason.ROUTE: "Message has been accepted but not sent to any endpoints.",
    HoldReason.POISON: "Held because workers stopped while they processed this message.",
    HoldReason.ADMIN: "Message has been held by an administrator.",
}
RELEASED_WITHOUT_ENDPOINT = "Message has been processed."
CANCELLED = "The hold on this message has been removed without action."

APPROACHING = 0.9  # of the send limit: from here on its owners are warned

_IN_BRACES = re.compile(r"\\{\w+\\}")
_PATTERNS = {
    reason: re.compile(_IN_BRACES.sub(".+", re.escape(sentence))) for reason, sentence in SENTENCES.items()
}


def by(reason: HoldReason, **values: object) -> Hold:
    """A hold for this reason; `values` are what its sentence has in braces."""
    sentence = SENTENCES[reason]
    return Hold(reason, sentence.format(**values) if values else sentence)


def by_mode(mode: ServerMode, is_manual: bool) -> Hold | None:
    """Development servers hold everything that no person has released."""
    is_held = mode is ServerMode.DEVELOPMENT and not is_manual
    return by(HoldReason.DEVELOPMENT_MODE) if is_held else None


def by_credential(is_holding: bool, is_manual: bool) -> Hold | None:
    return by(HoldReason.CREDENTIAL) if is_holding and not is_manual else None


def by_suppression(recipient: str, why: str) -> Hold:
    """`why` the recipient is suppressed, in Postal's words or such."""
    return by(HoldReason.SUPPRESSED, recipient=recipient, why=why)


def by_send_limit(volume: int, limit: int | None) -> Hold | None:
    """`volume`: attempts of the last hour. A person's release does not lift the limit (contract 6.2)."""
    if limit is None or volume < limit:
        return None
    return by(HoldReason.SEND_LIMIT, limit=limit)


def is_limit_approaching(volume: int, limit: int | None) -> bool:
    return limit is not None and APPROACHING * limit <= volume < limit


def reason_of(sentence: str) -> HoldReason | None:
    """The reason that a Postal wrote down as this sentence; None if it is none of these."""
    return next((reason for reason, pattern in _PATTERNS.items() if pattern.fullmatch(sentence)), None)
