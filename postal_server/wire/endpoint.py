"""The payload posted to an HTTP endpoint, in its four formats. Source: contract 4.5 to 4.7.

Key order is Postal's and part of the wire.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from postal_server.mail.message import MessageParts
from postal_server.mail.reply_separation import separate
from postal_server.mail.transfer import base64_lines

from .http import to_json
from .message import mime_base64
from .rows import MessageRow
from .signing import FORM, JSON

HASH, RAW = "Hash", "RawMessage"
AS_JSON, AS_FORM = "BodyAsJSON", "FormData"
PIECE = 60_000  # characters
SHOWN_HEADERS = ("to", "cc", "from", "date", "in_reply_to", "references")

_UNRESERVED = "*-._"  # beside letters and digits: what an HTML form leaves as it is


def raw_body(message: MessageRow, text: bytes, encoding: str) -> tuple[bytes, str]:
    """The request body in format `RawMessage`, and its content type.

    `text` is the stored text, the inspection's headers included.
    """
    head = {"id": message.id, "rcpt_to": message.rcpt_to, "mail_from": message.mail_from}
    tail = {"base64": True, "size": message.size_bytes}
    if encoding == AS_FORM:
        return _form({**head, "message": mime_base64(text), **tail}), FORM
    # But for its line ends, base64 is its own JSON: a large mail is not copied by an encoder of texts.
    mail = base64_lines(text, b"\\n")
    del text
    pieces: list[bytes | bytearray] = [to_json(head)[:-1], b',"message":"', mail, b'",', to_json(tail)[1:]]
    return b"".join(pieces), JSON


def hash_payload(
    message: MessageRow,
    token: str,
    parts: MessageParts,
    *,
    spam: str,
    strip_replies: bool = False,
    include_attachments: bool = True,
    is_form: bool = False,
) -> dict[str, Any]:
    """Format `Hash`: the parsed mail. A form has the full Content-Type of attachments, JSON the bare type."""
    body = parts.plain_body
    replies: dict[str, Any] = {}
    if strip_replies:
        body, cut = separate(body, is_undeclared=parts.is_undeclared)
        replies = {"replies_from_plain_body": cut}
    payload = {
        "id": message.id,
        "rcpt_to": message.rcpt_to,
        "mail_from": message.mail_from,
        "token": token,
        "subject": message.subject,
        "message_id": message.message_id,
        "timestamp": message.created_at.timestamp(),
        "size": str(message.size_bytes),
        "spam_status": spam,
        "bounce": message.is_bounce,
        "received_with_ssl": message.received_with_ssl,
        **{name: _last(parts, name) for name in SHOWN_HEADERS},
        "html_body": parts.html_body,
        "attachment_quantity": len(parts.attachments),
        "auto_submitted": _last(parts, "auto_submitted"),
        "reply_to": None if (reply_to := _last(parts, "reply_to")) is None else [reply_to],
        "plain_body": body,
        **replies,
    }
    if include_attachments:
        payload["attachments"] = [
            {
                "filename": attachment.filename,
                "content_type": attachment.full_content_type if is_form else attachment.content_type,
                "size": len(attachment.data),
                "data": mime_base64(attachment.data),
            }
            for attachment in parts.attachments
        ]
    return {**payload, "stream": message.stream or None}


def _last(parts: MessageParts, name: str) -> str | None:
    values = parts.headers.get(name.replace("_", "-"))
    return values[-1] if values else None


def hash_body(payload: Mapping[str, Any], encoding: str) -> tuple[bytes, str]:
    """The request body in format `Hash`, and its content type."""
    return (_form(payload), FORM) if encoding == AS_FORM else (to_json(payload), JSON)


def _form(payload: Mapping[str, Any]) -> bytes:
    """Fields `a[0][b]=c`; None is a bare name. Written in pieces: escapes of a large mail take memory."""
    form = io.BytesIO()
    for name, value in _fields("", payload):
        form.write(b"&" if form.tell() else b"")
        form.write(_quote(name))
        if value is not None:
            form.write(b"=")
            form.writelines(_quote(value[i : i + PIECE]) for i in range(0, len(value), PIECE))
    return form.getvalue()


def _fields(name: str, value: Any) -> Iterator[tuple[str, str | None]]:
    """The fields of a form for one value."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _fields(_inner(name, key), item)
    elif isinstance(value, list):
        is_flat = all(isinstance(item, str) for item in value)
        for n, item in enumerate(value):
            yield from _fields(name if is_flat else _inner(name, str(n)), item)
    elif isinstance(value, bool):
        yield name, str(value).lower()
    else:
        yield name, None if value is None else str(value)


def _inner(name: str, key: str) -> str:
    return f"{name}[{key}]" if name else key


def _quote(text: str) -> bytes:
    return quote_plus(text, safe=_UNRESERVED, errors="replace").replace("~", "%7E").encode()
