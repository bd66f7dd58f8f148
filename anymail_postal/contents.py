"""What a mail to send says, and which of Postal's calls can carry it."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from anymail.utils import Attachment, EmailAddress
from requests.structures import CaseInsensitiveDict

from . import metadata, mime
from .addresses import parse_addresses
from .errors import PostalHeaderError

MAX_ADDRESSES = 50  # in each of To, Cc and Bcc of send/message
MIME_TYPES = mimetypes.MimeTypes()  # Python's own table, because the system's differs between machines
# Headers that have a field of their own. X-Postal-MsgID would cost the mail its DKIM signature and its token.
RESERVED_HEADERS = frozenset(
    {
        "bcc",
        "content-transfer-encoding",
        "content-type",
        "from",
        "mime-version",
        "subject",
        "to",
        "x-postal-msgid",
    }
)


@dataclass
class Contents:
    """What one mail says, whichever call carries it.

    `message_id` is the caller's, without brackets; `sender` is the Sender header, `spoofed_to` the To header
    in place of `to`. `headers` are all headers without a field of their own.
    """

    from_emails: list[EmailAddress] = field(default_factory=list)
    to: list[EmailAddress] = field(default_factory=list)
    cc: list[EmailAddress] = field(default_factory=list)
    bcc: list[EmailAddress] = field(default_factory=list)
    reply_to: list[EmailAddress] = field(default_factory=list)
    spoofed_to: str | None = None
    sender: str | None = None
    envelope_sender: EmailAddress | None = None
    message_id: str | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    subject: str = ""
    text: str | None = None
    html: str | None = None
    alternatives: list[tuple[str, str]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def recipients(self) -> list[EmailAddress]:
        """The recipients of all kinds."""
        return [*self.to, *self.cc, *self.bcc]


def with_headers(contents: Contents, headers: Mapping[str, Any]) -> Contents:
    """The contents with these headers. Message-ID, Sender and Reply-To set their fields; None is ignored.

    Raises `PostalHeaderError` for a line break in a name or value, and for a Message-ID that Postal would
    cut.
    """
    changed: dict[str, Any] = {}
    kept = CaseInsensitiveDict(contents.headers)
    for name, value in headers.items():
        if value is None:
            continue
        mime.check_header(name, str(value))
        if name.lower() in RESERVED_HEADERS:
            continue
        if name.lower() == "message-id":
            changed["message_id"] = parse_message_id(str(value))
        elif name.lower() == "sender":
            changed["sender"] = str(value)
        elif name.lower() == "reply-to":
            changed["reply_to"] = parse_addresses([value], "Reply-To header")
        else:
            kept[name] = value
    return replace(contents, headers=kept, **changed)


def parse_message_id(value: str) -> str:
    """A Message-ID without its brackets. Raises `PostalHeaderError` if it is too long or not ASCII."""
    message_id = value.strip().removeprefix("<").removesuffix(">")
    if not 0 < len(message_id) <= metadata.MAX_MESSAGE_ID or not message_id.isascii() or " " in message_id:
        raise PostalHeaderError(
            f"{value!r} is not a Message-ID of at most {metadata.MAX_MESSAGE_ID} characters."
        )
    return message_id


def needs_raw(contents: Contents) -> bool:
    """Is there anything in these contents that `send/message` cannot carry?"""
    return (
        len(contents.from_emails) > 1
        or contents.spoofed_to is not None
        or max(len(contents.to), len(contents.cc), len(contents.bcc)) > MAX_ADDRESSES
        or bool(contents.alternatives)
        or (not (contents.text or "").strip() and not (contents.html or "").strip())
        or any(map(file_needs_raw, contents.attachments))
    )


def file_needs_raw(attachment: Attachment) -> bool:
    """Would `send/message` refuse this attachment, change its bytes or not show it inline?"""
    if attachment.inline or attachment.mimetype == "message/rfc822":
        return True
    content = attachment.content_bytes
    if not content.strip():
        return True
    if attachment.maintype == "text" or not content.isascii():
        return False
    # Postal gives 7-bit data CRLF line ends, whatever it is.
    return not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")


def attachment_params(attachment: Attachment, name: str) -> dict[str, str]:
    """An attachment for `send/message`."""
    return {"name": name, "data": attachment.b64content, "content_type": attachment.content_type}


def mime_file(attachment: Attachment) -> mime.File:
    """An attachment for `mime.compose`."""
    return mime.File(
        name=attachment.name or "" if attachment.inline else attachment_name(attachment),
        content_type=attachment.content_type,
        content=attachment.content_bytes,
        content_id=attachment.cid or None,
    )


def attachment_name(attachment: Attachment) -> str:
    """The name of an attachment, or one made from its type: Postal refuses attachments without a name."""
    name: str = attachment.name or f"attachment{MIME_TYPES.guess_extension(attachment.mimetype) or ''}"
    return name
