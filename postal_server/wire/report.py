"""What came back about a message, as events and the API show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from postal_server.mail.report import Kind, Part


@dataclass(frozen=True)
class Reported:
    """What a report says of one message.

    `evidence` is `strong` or `weak`: how sure it is that the report is about this message. `is_forwarded`:
    the address that failed is not the one that the message was sent to.
    """

    kind: Kind
    evidence: str
    part: Part
    reporting_mta: str | None = None
    is_forwarded: bool = False


def report_hash(reported: Reported) -> dict[str, Any]:
    """The key `report` of `MessageBounced`."""
    part = reported.part
    return {
        "kind": reported.kind.value,
        "evidence": reported.evidence,
        "final_recipient": part.final_recipient,
        "original_recipient": part.original_recipient,
        "action": part.action or None,
        "reporting_mta": reported.reporting_mta,
        "remote_mta": part.remote_mta,
        "forwarded": reported.is_forwarded,
    }
