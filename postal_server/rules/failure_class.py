"""Why mail was not taken, as a word, and whom that is about. The table is in `docs/bounces.md`."""

from __future__ import annotations

from enum import Enum


class About(str, Enum):
    """Whom a failure is about: only what is about the recipient says that the address is bad."""

    RECIPIENT = "recipient"
    WAY = "way"  # between us and the recipient's mail host
    US = "us"  # our address, our names, our DNS, our pace
    MAIL = "mail"
    RECEIVER = "receiver"  # its own rules
    UNKNOWN = "unknown"


class FailureClass(str, Enum):
    """The reason for a failure or a deferral, by what the remote answered or reported."""

    BAD_ADDRESS = "bad_address"
    BAD_DOMAIN = "bad_domain"
    INACTIVE = "inactive"
    MAILBOX_FULL = "mailbox_full"
    EXPIRED = "expired"
    RATE = "rate"
    REPUTATION = "reputation"
    AUTHENTICATION = "authentication"
    INFRASTRUCTURE = "infrastructure"
    CONTENT = "content"
    TOO_LARGE = "too_large"
    POLICY = "policy"
    UNKNOWN = "unknown"

    @property
    def about(self) -> About:
        return ABOUT[self]


ABOUT: dict[FailureClass, About] = {
    FailureClass.BAD_ADDRESS: About.RECIPIENT,
    FailureClass.BAD_DOMAIN: About.RECIPIENT,
    FailureClass.INACTIVE: About.RECIPIENT,
    FailureClass.MAILBOX_FULL: About.RECIPIENT,
    FailureClass.EXPIRED: About.WAY,
    FailureClass.RATE: About.US,
    FailureClass.REPUTATION: About.US,
    FailureClass.AUTHENTICATION: About.US,
    FailureClass.INFRASTRUCTURE: About.US,
    FailureClass.CONTENT: About.MAIL,
    FailureClass.TOO_LARGE: About.MAIL,
    FailureClass.POLICY: About.RECEIVER,
    FailureClass.UNKNOWN: About.UNKNOWN,
}


class Stage(str, Enum):
    """The step of an SMTP session that an answer ended, or REPORT where a report does not say it."""

    CONNECT = "connect"  # all that precedes MAIL
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    REPORT = "report"
