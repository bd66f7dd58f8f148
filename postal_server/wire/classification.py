"""Why a message was not taken, as events and the API show it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from postal_server.mail.enhanced_code import enhanced_code
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.status import DeliveryStatus
from postal_server.rules.suppression import Reason

DIAGNOSTIC_CHARACTERS = 2000
# Classes of what no answer has led to, and is about nobody.
SUPPRESSED = "suppressed"  # mail to a recipient on the suppression list
NOT_TRIED = {DeliveryStatus.HELD.value: "held", DeliveryStatus.HOLD_CANCELLED.value: "cancelled"}


class ClassifiedRow(Protocol):
    """What is stored of an attempt or a decision, and why it failed."""

    @property
    def status(self) -> str: ...
    @property
    def code(self) -> int | None: ...
    @property
    def output(self) -> str | None: ...
    @property
    def diagnostic(self) -> str | None: ...
    @property
    def sent_with_ssl(self) -> bool | None: ...
    @property
    def failure_class(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def stage(self) -> str: ...
    @property
    def operator(self) -> str: ...
    @property
    def is_sure(self) -> bool: ...


class SuppressedRow(Protocol):
    """An entry of a suppression list. `reason` is a `rules.suppression.Reason`."""

    @property
    def scope(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def keep_until(self) -> datetime | None: ...


def suppressed_hash(row: SuppressedRow | None) -> dict[str, Any] | None:
    """What an event about a message says of an entry; `keep_until` is null where it has no end."""
    if row is None:
        return None
    keep_until = row.keep_until.timestamp() if row.keep_until else None
    return {"scope": row.scope, "reason": Reason(row.reason).value, "keep_until": keep_until}


def classification_hash(
    row: ClassifiedRow, suppressed: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The `classification` of a delivery; None where nothing failed.

    `suppressed` is the `suppressed_hash` of what stops the message, or has come of it. A message was given up
    where no attempt ended it: then nothing says how it was sent.
    """
    name = row.failure_class or NOT_TRIED.get(row.status)
    if not name:
        return None
    is_answer = name not in (SUPPRESSED, *NOT_TRIED.values())
    is_permanent = row.status in (DeliveryStatus.FAILED.value, DeliveryStatus.BOUNCED.value)
    diagnostic = row.diagnostic or row.output or None
    return {
        "class": name,
        "about": FailureClass(name).about.value if is_answer else None,
        "sure": row.is_sure or not is_answer,
        "permanent": is_permanent,
        "stage": row.stage or None,
        "smtp_code": row.code,
        "enhanced_status": _enhanced(diagnostic),
        "diagnostic": diagnostic and diagnostic[:DIAGNOSTIC_CHARACTERS],
        "operator": row.operator or None,
        "rule": row.rule or None,
        "gave_up": is_answer and row.status == DeliveryStatus.FAILED.value and row.sent_with_ssl is None,
        "suppressed": suppressed,
    }


def _enhanced(diagnostic: str | None) -> str | None:
    found = enhanced_code(diagnostic or "")
    return ".".join(found) if found else None
