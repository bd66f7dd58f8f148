"""Postal's words for messages, servers, credentials, routes and deliveries."""

from __future__ import annotations

import enum


class Scope(str, enum.Enum):
    """The direction of a message."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


class ServerMode(str, enum.Enum):
    """A server in `Development` holds all its mail."""

    LIVE = "Live"
    DEVELOPMENT = "Development"


class SuppressedAs(str, enum.Enum):
    """What becomes of mail to a suppressed address: Postal holds it. Not Postal's words."""

    HELD = "held"
    FAILED = "failed"


class CredentialType(str, enum.Enum):
    API = "API"
    SMTP = "SMTP"
    SMTP_IP = "SMTP-IP"


class RouteMode(str, enum.Enum):
    ENDPOINT = "Endpoint"
    ACCEPT = "Accept"
    HOLD = "Hold"
    BOUNCE = "Bounce"
    REJECT = "Reject"


class SpamMode(str, enum.Enum):
    MARK = "Mark"
    QUARANTINE = "Quarantine"
    FAIL = "Fail"


class EndpointType(str, enum.Enum):
    HTTP = "HTTPEndpoint"
    SMTP = "SMTPEndpoint"
    ADDRESS = "AddressEndpoint"


class DeliveryStatus(str, enum.Enum):
    """The result of one attempt or decision, and the status of a message.

    Source: Postal's words (contract, appendix A). `PENDING` is the status of a message without a delivery.
    """

    PENDING = "Pending"
    SENT = "Sent"
    DEFERRED = "SoftFail"
    FAILED = "HardFail"
    HELD = "Held"
    PROCESSED = "Processed"
    BOUNCED = "Bounced"
    HOLD_CANCELLED = "HoldCancelled"
    ERROR = "Error"

    @property
    def is_final(self) -> bool:
        """Does the message leave the queue with this status?"""
        return self not in (DeliveryStatus.PENDING, DeliveryStatus.DEFERRED, DeliveryStatus.ERROR)
