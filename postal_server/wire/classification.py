"""Why a message was not taken, as events and the API show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from postal_server.rules.enhanced_code import enhanced_code
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.status import DeliveryStatus

DIAGNOSTIC_CHARACTERS = 2000


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


def classification_hash(
    row: ClassifiedRow, suppressed: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The `classification` of a delivery; None where nothing failed.

    `suppressed` has scope, reason and keep_until where the recipient came on the suppression list. A message
    was given up where no attempt ended it: then nothing says how it was sent.
    """
    if not row.failure_class:
        return None
    is_permanent = row.status in (DeliveryStatus.FAILED.value, DeliveryStatus.BOUNCED.value)
    diagnostic = row.diagnostic or row.output or None
    return {
        "class": row.failure_class,
        "about": FailureClass(row.failure_class).about.value,
        "sure": row.is_sure,
        "permanent": is_permanent,
        "stage": row.stage or None,
        "smtp_code": row.code,
        "enhanced_status": _enhanced(diagnostic),
        "diagnostic": diagnostic and diagnostic[:DIAGNOSTIC_CHARACTERS],
        "operator": row.operator or None,
        "rule": row.rule or None,
        "gave_up": row.status == DeliveryStatus.FAILED.value and row.sent_with_ssl is None,
        "suppressed": suppressed,
    }


def _enhanced(diagnostic: str | None) -> str | None:
    found = enhanced_code(diagnostic or "")
    return ".".join(found) if found else None
