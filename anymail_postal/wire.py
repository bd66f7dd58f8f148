"""The responses of Postal's API as values.

Times are aware UTC, sizes are bytes. Readers raise `WireError` for data of another shape, and nothing else.
Source: contract 1.5 and 1.9 to 1.12.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeVar

T = TypeVar("T")

PURGED = b"\r\n\r\n"  # what Postal has in place of a raw message that it has deleted


class WireError(ValueError):
    """Data is not of the shape that Postal's API has."""


class PostalMessageId(int):
    """Postal's id of the message to one recipient: an int with the other names of the message.

    `token` is Postal's, `rfc_message_id` the Message-ID without brackets ("" if the response has none),
    `server` the name of the server in the settings: ids are unique for a mail server only.
    """

    token: str
    rfc_message_id: str
    server: str

    def __new__(
        cls, value: int, token: str = "", rfc_message_id: str = "", server: str = "default"
    ) -> PostalMessageId:
        self = super().__new__(cls, value)
        self.token, self.rfc_message_id, self.server = token, rfc_message_id, server
        return self


@dataclass(frozen=True)
class Answer:
    """The envelope of a response. `code` is None for success, `message` Postal's text for an error."""

    code: str | None
    data: Any
    message: str = ""


@dataclass(frozen=True)
class SendResult:
    """The queued messages: the Message-ID without brackets, and the id of each message by its recipient."""

    rfc_message_id: str | None
    messages: dict[str, PostalMessageId]


@dataclass(frozen=True)
class Delivery:
    """An attempt to deliver a message, or a decision about it."""

    id: int
    status: str
    details: str
    output: str | None
    sent_with_ssl: bool
    log_id: str | None
    duration_seconds: float | None
    at: datetime
    classification: dict[str, Any] | None = None  # as in webhooks; from `postal_server` only


@dataclass(frozen=True)
class Activity:
    """An open of a message, or a click on `url`."""

    at: datetime
    ip_address: str | None
    user_agent: str | None
    url: str | None = None


@dataclass(frozen=True)
class Attachment:
    """A file in a stored message."""

    filename: str
    content_type: str | None
    content: bytes
    size_bytes: int
    sha1: str


@dataclass(frozen=True)
class PostalMessage:
    """A message. Values whose expansion was not requested are None or empty."""

    id: PostalMessageId
    # status
    status: str | None = None
    last_attempt_at: datetime | None = None
    is_held: bool | None = None
    hold_expires_at: datetime | None = None
    # details
    recipient: str | None = None
    mail_from: str | None = None
    subject: str | None = None
    created_at: datetime | None = None
    direction: str | None = None
    size_bytes: int | None = None
    is_bounce: bool | None = None
    bounce_for_id: int | None = None
    tag: str | None = None
    received_with_ssl: bool | None = None
    # details, from `postal_server` only
    stream: str | None = None
    kind: str | None = None  # of a report: what it was taken for
    hold_reason: str | None = None
    # inspection
    is_inspected: bool | None = None
    is_spam: bool | None = None
    spam_score: float | None = None
    is_threat: bool | None = None
    threat_details: str | None = None
    # contents; `raw_message` is also None if Postal has deleted it
    plain_body: str | None = None
    html_body: str | None = None
    headers: dict[str, list[str | None]] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    raw_message: bytes | None = None
    # activity_entries
    opens: tuple[Activity, ...] = ()
    clicks: tuple[Activity, ...] = ()


def raw_params(mail_from: str, rcpt_to: Iterable[str], data: bytes) -> dict[str, Any]:
    """The parameters of `send/raw` (contract 1.10)."""
    return {
        "mail_from": mail_from,
        "rcpt_to": list(rcpt_to),
        "data": base64.b64encode(data).decode("ascii"),
    }


def read_answer(body: Any) -> Answer:
    """The envelope of a response from the parsed JSON."""
    if not isinstance(body, dict) or not isinstance(body.get("status"), str):
        raise WireError("no Postal envelope")
    if body["status"] == "success":
        if not isinstance(body.get("data"), (dict, list)):
            raise WireError("success without data")
        return Answer(None, body["data"])
    data = body.get("data")
    details = data if isinstance(data, dict) else {}
    code, message = details.get("code"), details.get("message")
    return Answer(
        code if isinstance(code, str) else body["status"],
        details,
        message if isinstance(message, str) else "",
    )


def read_send(data: Any, server: str) -> SendResult:
    """The data of a successful `send/message` or `send/raw`."""
    data = _of(dict, data)
    rfc_message_id = _optional(str, data.get("message_id"))
    messages = {}
    for recipient, value in _of(dict, data.get("messages")).items():
        details = _of(dict, value)
        token = _optional(str, details.get("token")) or ""
        messages[recipient] = PostalMessageId(_int(details.get("id")), token, rfc_message_id or "", server)
    return SendResult(rfc_message_id, messages)


def read_message(data: Any, server: str) -> PostalMessage:
    """The data of `messages/message` with any expansions."""
    data = _of(dict, data)
    details = _of(dict, data.get("details", {}))
    rfc_message_id = _optional(str, details.get("message_id")) or ""
    postal_id = PostalMessageId(_int(data.get("id")), _of(str, data.get("token")), rfc_message_id, server)
    activity = _of(dict, data.get("activity_entries", {}))
    return PostalMessage(
        postal_id,
        **_status(_of(dict, data.get("status", {}))),
        **_details(details),
        **_inspection(_of(dict, data.get("inspection", {}))),
        plain_body=_optional(str, data.get("plain_body")),
        html_body=_optional(str, data.get("html_body")),
        headers=_of(dict, data.get("headers", {})),
        attachments=tuple(map(_attachment, _of(list, data.get("attachments", [])))),
        raw_message=_raw_message(data.get("raw_message")),
        opens=tuple(map(_activity, _of(list, activity.get("loads", [])))),
        clicks=tuple(map(_activity, _of(list, activity.get("clicks", [])))),
    )


def read_deliveries(data: Any, server: str) -> list[Delivery]:
    """The data of `messages/deliveries`, the oldest first."""
    return sorted(map(_delivery, _of(list, data)), key=lambda delivery: delivery.at)


def _status(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status": _optional(str, data.get("status")),
        "last_attempt_at": _epoch(data.get("last_delivery_attempt")),
        "is_held": _optional(bool, data.get("held")),
        "hold_expires_at": _epoch(data.get("hold_expiry")),
    }


def _details(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "recipient": _optional(str, data.get("rcpt_to")),
        "mail_from": _optional(str, data.get("mail_from")),
        "subject": _optional(str, data.get("subject")),
        "created_at": _epoch(data.get("timestamp")),
        "direction": _optional(str, data.get("direction")),
        "size_bytes": _size(data.get("size")),
        "is_bounce": _optional(bool, data.get("bounce")),
        "bounce_for_id": _optional(int, data.get("bounce_for_id")) or None,  # Postal has 0 for none
        "tag": _optional(str, data.get("tag")),
        "received_with_ssl": _optional(bool, data.get("received_with_ssl")),
        "stream": _optional(str, data.get("stream")),
        "kind": _optional(str, data.get("kind")),
        "hold_reason": _optional(str, data.get("hold_reason")),
    }


def _inspection(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "is_inspected": _optional(bool, data.get("inspected")),
        "is_spam": _optional(bool, data.get("spam")),
        "spam_score": _float(data.get("spam_score")),
        "is_threat": _optional(bool, data.get("threat")),
        "threat_details": _optional(str, data.get("threat_details")),
    }


def _attachment(data: Any) -> Attachment:
    data = _of(dict, data)
    return Attachment(
        filename=_of(str, data.get("filename")),
        content_type=_optional(str, data.get("content_type")),
        content=_base64(_of(str, data.get("data"))),
        size_bytes=_int(data.get("size")),
        sha1=_of(str, data.get("hash")),
    )


def _activity(data: Any) -> Activity:
    data = _of(dict, data)
    return Activity(
        at=_iso(data.get("timestamp")),
        ip_address=_optional(str, data.get("ip_address")),
        user_agent=_optional(str, data.get("user_agent")),
        url=_optional(str, data.get("url")),
    )


def _delivery(data: Any) -> Delivery:
    data = _of(dict, data)
    at = _epoch(data.get("timestamp"))
    if at is None:
        raise WireError("a delivery without a time")
    return Delivery(
        id=_int(data.get("id")),
        status=_of(str, data.get("status")),
        details=_optional(str, data.get("details")) or "",
        output=_optional(str, data.get("output")),
        sent_with_ssl=bool(_optional(bool, data.get("sent_with_ssl"))),
        log_id=_optional(str, data.get("log_id")),
        duration_seconds=_float(data.get("time")),
        at=at,
        classification=_optional(dict, data.get("classification")),
    )


def _of(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise WireError(f"{kind.__name__} expected, got {type(value).__name__}")
    return value


def _optional(kind: type[T], value: Any) -> T | None:
    return None if value is None else _of(kind, value)


def _int(value: Any) -> int:
    if isinstance(value, bool):
        raise WireError("int expected, got bool")
    return _of(int, value)


def _float(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WireError(f"number expected, got {type(value).__name__}")
    return float(value)


def _size(value: Any) -> int | None:
    """A number of bytes, which Postal writes as text here and as a number elsewhere."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()) or len(value) > 18:
            raise WireError("not a size")
        return int(value)
    return None if value is None else _int(value)


def _epoch(value: Any) -> datetime | None:
    """A time from epoch seconds."""
    seconds = _float(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError) as error:
        raise WireError("not a time") from error


def _iso(value: Any) -> datetime:
    """A time from ISO 8601 text with any offset."""
    text = _of(str, value)
    try:
        at = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
        return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (OverflowError, ValueError) as error:
        raise WireError("not a time") from error


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise WireError("not base64") from error


def _raw_message(value: Any) -> bytes | None:
    raw = None if value is None else _base64(_of(str, value))
    return None if raw == PURGED else raw
