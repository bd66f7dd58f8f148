"""What a mail to send says, and which of Postal's calls can carry it."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from anymail.utils import Attachment, EmailAddress
from requests.structures import CaseInsensitiveDict

from . import metadata, mime
from .addresses import parsed_addresses
from .errors import PostalHeaderError

MAX_ADDRESSES = 50  # in each of To, Cc and Bcc of send/message
TYPES = mimetypes.MimeTypes()  # Python's own table: that of the system differs from machine to machine
# Headers that other fields write; X-Postal-MsgID would cost the mail its DKIM signature and its token.
OTHERWISE_WRITTEN = frozenset(
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
    """What one mail says, before it is known which call carries it.

    `message_id` is the caller's, without brackets; `sender` is the Sender header, `spoofed_to` the To header
    in place of `to`. `headers` are all that no other field writes.
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
        """Everybody whom the mail goes to."""
        return [*self.to, *self.cc, *self.bcc]


def with_headers(contents: Contents, headers: Mapping[str, Any]) -> Contents:
    """The contents with these headers, those that belong to a field put there, and None dropped.

    Raises `PostalHeaderError` for a line break in a name or value, and for a Message-ID that Postal cannot
    keep.
    """
    changed: dict[str, Any] = {}
    kept = CaseInsensitiveDict(contents.headers)
    for name, value in headers.items():
        if value is None:
            continue
        mime.check_header(name, str(value))
        if name.lower() in OTHERWISE_WRITTEN:
            continue
        if name.lower() == "message-id":
            changed["message_id"] = checked_message_id(str(value))
        elif name.lower() == "sender":
            changed["sender"] = str(value)
        elif name.lower() == "reply-to":
            changed["reply_to"] = parsed_addresses([value], "Reply-To header")
        else:
            kept[name] = value
    return replace(contents, headers=kept, **changed)


def checked_message_id(value: str) -> str:
    """A Message-ID without its brackets."""
    message_id = value.strip().removeprefix("<").removesuffix(">")
    if not 0 < len(message_id) <= metadata.MAX_MESSAGE_ID or not message_id.isascii() or " " in message_id:
        raise PostalHeaderError(
            f"{value!r} is not a Message-ID of at most {metadata.MAX_MESSAGE_ID} characters."
        )
    return message_id


def needs_raw(contents: Contents) -> bool:
    """Does `send/message` lack the means for these contents?"""
    return (
        len(contents.from_emails) > 1
        or contents.spoofed_to is not None
        or max(len(contents.to), len(contents.cc), len(contents.bcc)) > MAX_ADDRESSES
        or bool(contents.alternatives)
        or (not (contents.text or "").strip() and not (contents.html or "").strip())
        or any(map(needs_raw_file, contents.attachments))
    )


def needs_raw_file(attachment: Attachment) -> bool:
    """Would `send/message` refuse this attachment, lose what it is for, or change its bytes?"""
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
    """An attachment as `send/message` takes it."""
    return {"name": name, "data": attachment.b64content, "content_type": attachment.content_type}


def as_file(attachment: Attachment) -> mime.File:
    """An attachment as `mime` takes it."""
    return mime.File(
        name=attachment.name or "" if attachment.inline else file_name(attachment),
        content_type=attachment.content_type,
        content=attachment.content_bytes,
        content_id=attachment.cid or None,
    )


def file_name(attachment: Attachment) -> str:
    """Its name, or one made from its type: Postal refuses attachments without."""
    name: str = attachment.name or f"attachment{TYPES.guess_extension(attachment.mimetype) or ''}"
    return name
