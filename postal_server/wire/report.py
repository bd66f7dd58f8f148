"""What came back about a message, as events and the API show it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from postal_server.mail.report import Kind, Part


class Reported(Protocol):
    """What a report says of one message.

    `is_strong`: it is sure that the report is about this message. `is_forwarded`: the address that failed is
    not the one that the message was sent to.
    """

    @property
    def kind(self) -> Kind: ...
    @property
    def part(self) -> Part: ...
    @property
    def is_strong(self) -> bool: ...
    @property
    def is_forwarded(self) -> bool: ...
    @property
    def reporting_mta(self) -> str | None: ...


class ReportRow(Protocol):
    """What is stored of a report about one message. `message_id` is the report itself."""

    @property
    def message_id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def found_by(self) -> str: ...
    @property
    def is_strong(self) -> bool: ...
    @property
    def is_repeated(self) -> bool: ...
    @property
    def is_forwarded(self) -> bool: ...
    @property
    def action(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def final_recipient(self) -> str | None: ...
    @property
    def original_recipient(self) -> str | None: ...
    @property
    def reporting_mta(self) -> str | None: ...
    @property
    def remote_mta(self) -> str | None: ...
    @property
    def diagnostic(self) -> str | None: ...
    @property
    def failure_class(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


def report_row_hash(row: ReportRow) -> dict[str, Any]:
    """A stored report with the keys of `report_hash`."""
    return {
        "kind": row.kind,
        "evidence": _evidence(row),
        "final_recipient": row.final_recipient,
        "original_recipient": row.original_recipient,
        "action": row.action or None,
        "reporting_mta": row.reporting_mta,
        "remote_mta": row.remote_mta,
        "forwarded": row.is_forwarded,
    }


def report_hash(reported: Reported) -> dict[str, Any]:
    """The key `report` of `MessageBounced`."""
    part = reported.part
    return {
        "kind": reported.kind.value,
        "evidence": _evidence(reported),
        "final_recipient": part.final_recipient,
        "original_recipient": part.original_recipient,
        "action": part.action or None,
        "reporting_mta": reported.reporting_mta,
        "remote_mta": part.remote_mta,
        "forwarded": reported.is_forwarded,
    }


def _evidence(said: Reported | ReportRow) -> str:
    return "strong" if said.is_strong else "weak"
