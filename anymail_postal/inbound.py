"""Incoming mail in Postal's four formats (Hash or RawMessage, as JSON or a form) as Anymail's events.

Mail is parsed from its bytes; mail with 8-bit headers, unknown charsets or broken headers is read as far as
possible. Source: contract 4.3 to 4.8.
"""

# Anymail's message class is not typed.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.message import Message
from typing import Any

from anymail.signals import AnymailInboundEvent, EventType

from . import body
from .auto_response import is_auto_response
from .errors import UnreadableBody
from .headers import read_date
from .inbound_message import InboundMessage, parse
from .structure import MAX_PARTS

# Fields of the format Hash that are headers. `reply_to` is a list in JSON, a text in a form.
HASH_HEADERS = {
    "from": "From",
    "to": "To",
    "cc": "Cc",
    "reply_to": "Reply-To",
    "subject": "Subject",
    "date": "Date",
    "message_id": "Message-ID",
    "in_reply_to": "In-Reply-To",
    "references": "References",
    "auto_submitted": "Auto-Submitted",
}
SPAM_STATUS = {"Spam": True, "NotSpam": False}  # NotChecked is None
YES_NO = {"yes": True, "no": False}
DIGITS = re.compile(r"\d{1,15}(?:\.\d{1,15})?", re.ASCII)
FORM_ATTACHMENT = re.compile(r"attachments\[(\d{1,6})\]\[(\w{1,20})\]", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class PostalInbound:
    """Postal's data about a mail: `event.postal` of every inbound event.

    Values that the format lacks are None: token, bounce and received_with_ssl in RawMessage, threat in Hash.
    """

    id: int
    server: str = "default"
    token: str | None = None
    size: int | None = None  # bytes as received, without the headers that Postal's inspection adds
    bounce: bool | None = None
    received_with_ssl: bool | None = None  # Postal has null instead of false
    threat: bool | None = None  # what the virus scanner found; such mail is delivered as well
    is_auto_response: bool = False  # automatic mail, which must not be replied to


class InboundEvent(AnymailInboundEvent):
    """An `AnymailInboundEvent` with Postal's own data."""

    message: InboundMessage
    postal: PostalInbound


def read(fields: Mapping[str, Any], *, server: str = "default") -> InboundEvent:
    """Anymail's event for the fields of a request, with Postal's own data as `event.postal`.

    Raises `UnreadableBody` if they are in none of the four formats.
    """
    message_id, reverse_path, recipient = envelope(fields)
    raw = _raw_mail(fields)
    message = _rebuild(fields) if raw is None else parse(raw)
    message.envelope_sender = reverse_path
    message.envelope_recipient = recipient
    if raw is None:
        message.spam_detected = SPAM_STATUS.get(body.text(fields, "spam_status") or "")
        if "replies_from_plain_body" in fields:
            message.stripped_text = body.text(fields, "plain_body")
    else:
        # The sender may have set these headers too, but Postal's own are above those.
        message.spam_detected = _yes_no(message, "X-Postal-Spam")
        message.spam_score = _spam_score(message)
    bounce = body.flag(fields, "bounce")
    event = InboundEvent(
        event_type=EventType.INBOUND,
        timestamp=_stored_at(fields) if raw is None else _received_at(message),
        event_id=message_id,
        esp_event=fields,
        message=message,
    )
    event.postal = PostalInbound(
        id=message_id,
        server=server,
        token=body.text(fields, "token"),
        size=body.whole(fields, "size"),
        bounce=bounce,
        received_with_ssl=body.flag(fields, "received_with_ssl"),
        threat=_yes_no(message, "X-Postal-Threat") if raw is not None else None,
        is_auto_response=is_auto_response(message, reverse_path, bool(bounce)),
    )
    return event


def envelope(fields: Mapping[str, Any]) -> tuple[int, str | None, str]:
    """Postal's id of a mail, its reverse-path (None is the null reverse-path) and its recipient.

    Raises `UnreadableBody` if there is no id or recipient.
    """
    message_id, recipient = body.whole(fields, "id"), body.text(fields, "rcpt_to")
    if message_id is None or recipient is None:
        raise UnreadableBody("The body is not a mail from Postal: it has no id or rcpt_to.")
    return message_id, body.text(fields, "mail_from"), recipient


def subject(fields: Mapping[str, Any]) -> str | None:
    """The subject of a mail, without parsing its body."""
    raw = _raw_mail(fields)
    if raw is None:
        return body.text(fields, "subject")
    return body.text({"subject": parse(raw, headers_only=True).subject}, "subject")


def _raw_mail(fields: Mapping[str, Any]) -> bytes | None:
    """The mail in the format RawMessage; None for the format Hash."""
    message = body.text(fields, "message")
    if message is None:
        if not fields.keys() & {"plain_body", "html_body", "subject"}:
            raise UnreadableBody("The body has neither Postal's Hash nor its RawMessage format.")
        return None
    return _decode(message) if body.flag(fields, "base64") else message.encode()


def _decode(text: str) -> bytes:
    """The bytes of base64, which Postal writes in lines."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise UnreadableBody("The body has data that is not base64.") from error


def _yes_no(message: Message, name: str) -> bool | None:
    return YES_NO.get(str(message.get(name, "")).strip().lower())


def _spam_score(message: Message) -> float | None:
    try:
        score = float(str(message.get("X-Postal-Spam-Score", "")))
    except ValueError:
        return None
    return score if math.isfinite(score) else None


def _stored_at(fields: Mapping[str, Any]) -> datetime | None:
    """When Postal accepted the mail, in the format Hash: epoch seconds, which a form has as text."""
    value = fields.get("timestamp")
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = float(value)
    return body.time({"timestamp": value}, "timestamp")


def _received_at(message: Message) -> datetime | None:
    """When Postal accepted the mail, by the topmost Received header. None if that has no time."""
    for name, value in message.raw_items():
        if name.lower() == "received":
            found = read_date(str(value).rpartition(";")[2].strip())
            return None if found is None or found.tzinfo is None else found.astimezone(timezone.utc)
    return None


# --- format Hash ---


def _rebuild(fields: Mapping[str, Any]) -> InboundMessage:
    """A mail from the format Hash, in which other headers and Content-IDs are missing."""
    message: InboundMessage = InboundMessage.construct(
        headers=list(_headers(fields)),
        text=body.text(fields, "plain_body"),
        html=body.text(fields, "html_body"),
        attachments=[_attachment(each) for each in _attachments(fields)[:MAX_PARTS]],
    )
    return message


def _headers(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, name in HASH_HEADERS.items():
        values = fields.get(field)
        for each in values if isinstance(values, list) else [values]:
            value = body.text({field: each}, field)
            if value:
                yield name, f"<{value}>" if name == "Message-ID" else value


def _attachments(fields: Mapping[str, Any]) -> Sequence[Any]:
    """The fields of the attachments, which are a list in JSON and `attachments[0][data]` etc. in a form."""
    if "attachments" in fields:
        found = fields["attachments"]
        if found is not None and not isinstance(found, list):
            raise UnreadableBody("'attachments' is not a list.")
        return found or ()
    flat: dict[int, dict[str, Any]] = {}
    for key, value in fields.items():
        match = FORM_ATTACHMENT.fullmatch(key)
        if match:
            flat.setdefault(int(match[1]), {})[match[2]] = value
    return [flat[number] for number in sorted(flat)]


def _attachment(fields: Any) -> InboundMessage:
    if not isinstance(fields, dict):
        raise UnreadableBody("An attachment is not an object.")
    content_type = body.text(fields, "content_type") or "application/octet-stream"
    name, data = body.text(fields, "filename"), body.text(fields, "data") or ""
    content = _decode(data)
    part = InboundMessage()
    part["Content-Type"] = content_type
    maintype = part.get_content_maintype()
    if maintype == "multipart":  # Python would look for the parts of the multipart
        part.replace_header("Content-Type", "application/octet-stream")
    if name:
        part.add_header("Content-Disposition", "attachment", filename=name)
    else:
        part["Content-Disposition"] = "attachment"
    if maintype == "message":
        part.set_payload([parse(content)])
    else:
        part["Content-Transfer-Encoding"] = "base64"
        part.set_payload(data)
    return part
