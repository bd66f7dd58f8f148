"""The delivery status notification (RFC 3464) that we send. `report.py` reads those of others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .compose import encode_address
from .date import format_date
from .encoded_word import neutralize, unstructured
from .transfer import choose, encode, to_crlf
from .transport_encoding import repair_lines


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
