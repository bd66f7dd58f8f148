"""Delivery status notifications (RFC 3464): the one we send, and those that others send us."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from . import mime
from .compose import encode_address
from .date import format_date
from .encoded_word import neutralize, unstructured
from .header import decode_header, header_fields, message_id, split_header
from .transfer import choose, encode, to_crlf
from .transport_encoding import repair_lines

# Names after RFC 6533 carry addresses that are not ASCII.
STATUS_TYPES = frozenset(["message/delivery-status", "message/global-delivery-status"])
RETURNED_TYPES = frozenset(
    ["message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"]
)
MAX_RECIPIENTS = 500
MAX_STATUS_BYTES = 256_000

_ABOUT_RECIPIENT = [
    "final-recipient",
    "original-recipient",
    "action",
    "status",
    "diagnostic-code",
    "remote-mta",
]
_STATUS_FIELDS = frozenset(["reporting-mta", *_ABOUT_RECIPIENT])
_GROUP_END = re.compile(rb"(?:\r?\n[ \t]*){2,}")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)


@dataclass(frozen=True)
class Failure:
    """Why a message could not be delivered. `diagnostic` has its type first (`smtp; 550 ...`)."""

    status: str = "5.0.0"
    diagnostic: str | None = None


def compose_failure(
    header: bytes,
    *,
    sender: str,
    recipient: str,
    subject: str | None,
    original_message_id: str | None,
    token: str,
    postmaster: str,
    reporting_mta: str,
    failure: Failure,
    message_id: str,
    date: datetime,
    boundary: str,
) -> bytes:
    """The notice to `sender` that a mail could not be delivered to `recipient`, the route's address.

    Of the mail it returns the `header` alone: `sender` may have been forged. To be sent with
    a null return path. `token` is `<message token>@<server token>`, `message_id` is without brackets. Unlike
    Postal's (contract, 7.2) it is a report that programs understand; From, subject and the lines about the
    message are Postal's.
    """
    sender = neutralize(sender)
    text = _explanation(recipient, postmaster, sender, original_message_id, token)
    returned = repair_lines(header)
    label = "7bit" if returned.isascii() else "8bit"
    fields = [
        f"Date: {format_date(date)}",
        f"From: Mail Delivery Service <{encode_address(recipient)}>",
        f"To: {encode_address(sender)}",
        f"Message-ID: <{message_id}>",
        unstructured("Subject", f"Mail Delivery Failed ({subject or ''})"),
        "Auto-Submitted: auto-replied",
        "Mime-Version: 1.0",
        f'Content-Type: multipart/report;\r\n boundary="{boundary}";\r\n report-type=delivery-status',
        f"Content-Transfer-Encoding: {label}",
    ]
    body = to_crlf(text.encode("utf-8", "replace"))
    encoding = choose(body)
    status = _status_fields(recipient, reporting_mta, failure, date)
    delimiter = f"--{boundary}\r\n".encode()
    return b"".join(
        [
            _lines(fields),
            delimiter,
            _lines(["Content-Type: text/plain;\r\n charset=UTF-8", f"Content-Transfer-Encoding: {encoding}"]),
            encode(body, encoding),
            b"\r\n",
            delimiter,
            _lines(["Content-Type: message/delivery-status"]),
            status,
            b"\r\n",
            delimiter,
            _lines(
                [
                    "Content-Type: text/rfc822-headers",
                    f"Content-Transfer-Encoding: {label}",
                    'Content-Disposition: attachment;\r\n filename="Original Header.txt"',
                ]
            ),
            returned,
            b"\r\n" + delimiter[:-2] + b"--\r\n",
        ]
    )


def _lines(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")


def _explanation(
    recipient: str, postmaster: str, sender: str, original_message_id: str | None, token: str
) -> str:
    return "\n".join(
        [
            f"Your message to {recipient} could not be delivered; it comes back with this notice.",
            "",
            f"If you need help, write to {postmaster} and quote these lines:",
            "",
            f"Message Token: {token}",
            f"Orginal Message ID: {original_message_id or ''}",  # Postal's spelling; people search for it
            f"Mail from: {sender}",
            f"Rcpt To: {recipient}",
            "",
        ]
    )


def _status_fields(recipient: str, reporting_mta: str, failure: Failure, date: datetime) -> bytes:
    fields = [
        f"Reporting-MTA: dns; {reporting_mta}",
        "",
        f"Final-Recipient: rfc822; {encode_address(recipient)}",
        "Action: failed",
        f"Status: {failure.status}",
    ]
    if failure.diagnostic:
        fields.append(unstructured("Diagnostic-Code", " ".join(failure.diagnostic.split())))
    fields.append(f"Last-Attempt-Date: {format_date(date)}")
    # RFC 3464 section 2.1: these fields are ASCII.
    return "\r\n".join([*fields, ""]).encode("ascii", "replace")


@dataclass(frozen=True)
class RecipientStatus:
    """What a report says about one recipient. `action` is in lower case, `""` where it is missing."""

    final_recipient: str | None
    original_recipient: str | None
    action: str
    status: str | None
    diagnostic: str | None
    remote_mta: str | None


@dataclass(frozen=True)
class DeliveryReport:
    """A report; `original_header` are the header fields of the message that came back, or `b""`."""

    reporting_mta: str | None
    recipients: tuple[RecipientStatus, ...]
    original_message_id: str | None
    original_header: bytes


def parse_report(root: mime.Part) -> DeliveryReport | None:
    """The report in a parsed message, or None if it has none. Never raises."""
    parts = {part.mime_type: part for part in reversed(list(root.walk_own())) if not part.is_multipart}
    status = next((part for name, part in parts.items() if name in STATUS_TYPES), None)
    if status is None:
        return None
    reporting_mta, recipients = None, []
    groups = _GROUP_END.split(status.content_of(MAX_STATUS_BYTES).strip(), maxsplit=MAX_RECIPIENTS + 1)
    for group in groups[: MAX_RECIPIENTS + 1]:
        fields = {
            key: decode_header(value)
            for name, value in header_fields(group + b"\r\n\r\n")
            if (key := name.lower()) in _STATUS_FIELDS
        }
        reporting_mta = reporting_mta or _typed(fields.get("reporting-mta"))
        if "final-recipient" in fields or "original-recipient" in fields or "action" in fields:
            recipients.append(_recipient(fields))
    returned = next((part for name, part in parts.items() if name in RETURNED_TYPES), None)
    header = split_header(returned.content_of(mime.MAX_HEADER))[0] if returned else b""
    return DeliveryReport(reporting_mta, tuple(recipients), message_id(header), header)


def parse(raw: bytes) -> DeliveryReport | None:
    """The report in a raw message, or None if it is no report. Never raises."""
    return parse_report(mime.parse(raw, for_reading=True))


def _recipient(fields: dict[str, str]) -> RecipientStatus:
    status = _STATUS.search(fields.get("status", ""))
    return RecipientStatus(
        final_recipient=_typed(fields.get("final-recipient")),
        original_recipient=_typed(fields.get("original-recipient")),
        action=fields.get("action", "").partition("(")[0].strip().lower(),
        status=status[0] if status else None,
        diagnostic=_typed(fields.get("diagnostic-code")),
        remote_mta=_typed(fields.get("remote-mta")),
    )


def _typed(value: str | None) -> str | None:
    """The value of a field that names its type first (`rfc822; a@b.example`), or None."""
    if value is None:
        return None
    kind, semicolon, rest = value.partition(";")
    text = rest if semicolon and " " not in kind.strip() else value
    return text.strip().strip("<>") or None
