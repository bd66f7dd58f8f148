"""A stored message as `messages/message` and `messages/deliveries` show it. Source: contract 1.11, 1.12."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from postal_server.mail.transfer import base64_lines
from postal_server.rules.status import DeliveryStatus

from .classification import classification_hash
from .report import ReportRow, report_row_hash
from .rows import DeliveryRow, MessageRow

PURGED_TEXT = b"\r\n\r\n"  # what Postal shows for a text that is gone (contract Q13)


class File(Protocol):
    """An attachment of a parsed message."""

    @property
    def filename(self) -> str: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def data(self) -> bytes: ...


class ActivityRow(Protocol):
    """An open or a click."""

    @property
    def ip_address(self) -> str: ...
    @property
    def user_agent(self) -> str | None: ...
    @property
    def created_at(self) -> datetime: ...


def epoch(at: datetime | None) -> float | None:
    """Seconds since 1970."""
    return None if at is None else at.timestamp()


def status(message: MessageRow) -> dict[str, Any]:
    """The expansion `status`."""
    return {
        "status": message.status,
        "last_delivery_attempt": epoch(message.last_attempt_at),
        "held": message.status == DeliveryStatus.HELD.value,
        "hold_expiry": epoch(message.hold_expires_at),
    }


def details(message: MessageRow) -> dict[str, Any]:
    """The expansion `details`."""
    return {
        "rcpt_to": message.rcpt_to,
        "mail_from": message.mail_from,
        "subject": message.subject,
        "message_id": message.message_id,
        "timestamp": epoch(message.created_at),
        "direction": message.scope,
        "size": None if message.body_id is None else str(message.size_bytes),
        "bounce": message.is_bounce,
        "bounce_for_id": message.bounce_for_id or 0,
        "tag": message.tag,
        "received_with_ssl": message.received_with_ssl,
        "kind": message.kind or None,
        "stream": message.stream or None,
        "hold_reason": message.hold_reason or None,
    }


def inspection(message: MessageRow) -> dict[str, Any]:
    """The expansion `inspection`."""
    return {
        "inspected": message.is_inspected,
        "spam": message.is_spam,
        "spam_score": float(message.spam_score),
        "threat": message.is_threat,
        "threat_details": message.threat_details,
    }


def attachments(files: Iterable[File]) -> list[dict[str, Any]]:
    """The expansion `attachments`, with the data in base64."""
    return [
        {
            "filename": file.filename,
            "content_type": file.content_type,
            "data": mime_base64(file.data),
            "size": len(file.data),
            "hash": hashlib.sha1(file.data, usedforsecurity=False).hexdigest(),
        }
        for file in files
    ]


def activity(
    loads: Iterable[ActivityRow], clicks: Iterable[tuple[str, ActivityRow]]
) -> dict[str, list[dict[str, Any]]]:
    """Opens, and clicks as (target, row)."""
    return {
        "loads": [_activity(load) for load in loads],
        "clicks": [{"url": url, **_activity(click)} for url, click in clicks],
    }


def deliveries(rows: Sequence[DeliveryRow]) -> list[dict[str, Any]]:
    """What `messages/deliveries` answers, in the order of `rows`."""
    return [
        {
            "id": row.id,
            "status": row.status,
            "details": row.details,
            "output": row.output,
            "sent_with_ssl": bool(row.sent_with_ssl),
            "log_id": row.log_id,
            "time": None if row.seconds is None else round(row.seconds, 2),
            "timestamp": epoch(row.created_at),
            "classification": classification_hash(row),
        }
        for row in rows
    ]


def reports(rows: Iterable[ReportRow]) -> list[dict[str, Any]]:
    """The expansion `reports`: what came back about a message, in the order of `rows`."""
    return [
        {
            "id": row.message_id,
            **report_row_hash(row),
            "found_by": row.found_by or None,
            "repeated": row.is_repeated,
            "status": row.status or None,
            "diagnostic": row.diagnostic,
            "class": row.failure_class or None,
            "timestamp": epoch(row.created_at),
        }
        for row in rows
    ]


def mime_base64(data: bytes) -> str:
    """Base64 in lines of 60 characters, each ended by LF, the last one included."""
    return base64_lines(data, b"\n").decode("ascii")


def _activity(row: ActivityRow) -> dict[str, Any]:
    at = row.created_at.astimezone(timezone.utc).replace(tzinfo=None)
    return {
        "ip_address": row.ip_address,
        "user_agent": row.user_agent,
        "timestamp": f"{at.isoformat(timespec='milliseconds')}Z",
    }
