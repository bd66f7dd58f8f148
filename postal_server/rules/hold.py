"""Why a message waits for a person. Texts are Postal's (contract, appendix A)."""

from __future__ import annotations

from .status import ServerMode

SUSPENDED = (
    "Mail server has been suspended. No e-mails can be processed at present. Contact support for assistance."
)
DEVELOPMENT = "Server is in development mode."
CREDENTIAL = "Credential is configured to hold all messages authenticated by it."
QUARANTINE = "Message placed into quarantine."
NO_ENDPOINT = "Message has been accepted but not sent to any endpoints."
RELEASED_WITHOUT_ENDPOINT = "Message has been processed."
POISON = "Held because workers stopped while they processed this message."  # not Postal's
BY_PERSON = "Message has been held by an administrator."  # not Postal's: it has no such button
CANCELLED = "The hold on this message has been removed without action."

APPROACHING = 0.9  # of the send limit: from here on its owners are warned


def by_mode(mode: ServerMode, is_manual: bool) -> str | None:
    """Development servers hold everything that no person has released."""
    return DEVELOPMENT if mode is ServerMode.DEVELOPMENT and not is_manual else None


def by_credential(is_holding: bool, is_manual: bool) -> str | None:
    return CREDENTIAL if is_holding and not is_manual else None


def by_suppression(recipient: str, reason: str) -> str:
    """`reason` is why the recipient is suppressed, in Postal's words or such."""
    return f"Recipient ({recipient}) is on the suppression list (reason: {reason})"


def by_send_limit(volume: int, limit: int | None) -> str | None:
    """`volume`: attempts of the last hour. A person's release does not lift the limit (contract 6.2)."""
    if limit is None or volume < limit:
        return None
    return f"Message held because send limit ({limit}) has been reached."


def is_limit_approaching(volume: int, limit: int | None) -> bool:
    return limit is not None and APPROACHING * limit <= volume < limit
