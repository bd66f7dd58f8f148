"""What became of an attempt, and what a remote's answer means.

What we do not understand is deferred. Source: contract 6.8 and 4.9, RFC 5321 section 4.2.1, and
`deviations` where Postal takes a permanent answer as a temporary one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from .status import DeliveryStatus


@dataclass(frozen=True)
class Outcome:
    """The result of talking: SENT, DEFERRED or FAILED, with one sentence for people.

    `output` is the remote's answer as it came. `sent_with_ssl` is null where no sending was attempted;
    `seconds` is null without a connection. `retry_after` is the least wait that the remote asked for.
    """

    status: DeliveryStatus
    details: str
    output: str | None = None
    code: int | None = None
    sent_with_ssl: bool | None = None
    tls: str = ""
    log_id: str | None = None
    seconds: float | None = None
    retry_after: timedelta | None = None
    spare_sender: bool = False  # a failure that sends no bounce (HTTP 429)
