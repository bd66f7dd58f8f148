"""The message that receivers get: Anymail's, with texts and files as mail programs show them."""

# Anymail's message class is not typed.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.message import Message
from email.policy import EmailPolicy
from typing import Any

from anymail.exceptions import AnymailInvalidAddress
from anymail.inbound import AnymailInboundMessage
from anymail.utils import EmailAddress
from django.core.files.uploadedfile import SimpleUploadedFile

from . import charsets, flowed, header_values
from .body import storable
from .headers import POLICY, read_date
from .structure import Reader

TYPES = mimetypes.MimeTypes()  # Python's own table, because the system's differs between machines
BODY_TYPES = ("text/plain", "text/html")
OFFICE = "application/vnd.openxmlformats-officedocument"
# Types that Python's releases lack or disagree about.
EXTENSIONS = {
    "application/gzip": ".gz",
    "application/pgp-signature": ".asc",
    "application/pkcs7-signature": ".p7s",
    "application/rtf": ".rtf",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.text": ".odt",
    f"{OFFICE}.presentationml.presentation": ".pptx",
    f"{OFFICE}.spreadsheetml.sheet": ".xlsx",
    f"{OFFICE}.wordprocessingml.document": ".docx",
    "application/x-zip-compressed": ".zip",
    "application/xml": ".xml",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "image/bmp": ".bmp",
    "image/jpg": ".jpg",
    "image/webp": ".webp",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/rtf": ".rtf",
    "text/vcard": ".vcf",
}


def parse(raw: bytes, *, headers_only: bool = False) -> InboundMessage:
    """The mail in these bytes. With `headers_only`, the rest is the payload, which is not parsed."""
    reader = Reader(raw, InboundMessage)
    return reader.read_header() if headers_only else reader.read()


class InboundMessage(AnymailInboundMessage):
    """An `AnymailInboundMessage` that is parsed fast, and does not raise for malformed mail.

    The public interface is the same. Text, HTML and files are those that a mail program shows: consecutive
    bodies are joined, and the contents of an attached mail are not the mail's own. Texts have no characters
    that databases refuse.
    """

    def __init__(self, policy: EmailPolicy | None = None) -> None:
        super().__init__(policy=policy or POLICY)

    # --- headers ---

    def get_content_type(self) -> str:
        """As in `email.message.Message`."""
        raw = self._raw_header("content-type")
        if raw is None:
            return self.get_default_type()
        return header_values.content_type(header_values.parse_parameterized(raw).word)

    def get_content_disposition(self) -> str | None:
        """As in `email.message.Message`."""
        raw = self._raw_header("content-disposition")
        return None if raw is None else header_values.parse_parameterized(raw).word

    def is_attachment(self) -> bool:
        """As in `email.message.EmailMessage`."""
        return self.get_content_disposition() == "attachment"

    def get_param(
        self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True
    ) -> Any:
        """As in `email.message.Message`."""
        raw = self._raw_header(header.lower())
        value = None if raw is None else header_values.parse_parameterized(raw).parameters.get(param.lower())
        if value is None:
            return failobj
        return value if unquote else f'"{value}"'

    def get_params(self, failobj: Any = None, header: str = "content-type", unquote: bool = True) -> Any:
        """As in `email.message.Message`."""
        raw = self._raw_header(header.lower())
        if raw is None:
            return failobj
        found = header_values.parse_parameterized(raw)
        quote = "" if unquote else '"'
        return [(found.word, ""), *((name, f"{quote}{v}{quote}") for name, v in found.parameters.items())]

    def get_filename(self, failobj: Any = None) -> Any:
        """As in `email.message.Message`, but a file without a name gets one by its type."""
        name = self._given_name()
        if name or failobj is not None or not self._is_file():
            return name or failobj
        content_type = self.get_content_type()
        return f"attachment{EXTENSIONS.get(content_type) or TYPES.guess_extension(content_type) or ''}"

    def _given_name(self) -> str | None:
        name = self.get_param("filename", header="content-disposition") or self.get_param("name")
        return None if name is None else str(name).strip()

    def _is_file(self) -> bool:
        if self.get_content_maintype() == "multipart":
            return False
        return self.is_attachment() or self.get_content_type() not in BODY_TYPES

    def as_uploaded_file(self) -> SimpleUploadedFile | None:
        """The file as Django's `SimpleUploadedFile`; None for a part that is not a file."""
        if "Content-Disposition" not in self and not self._is_file() and not self._given_name():
            return None
        return SimpleUploadedFile(self.get_filename(), self.get_content_bytes(), self.get_content_type())

    def get_address_header(self, header: str) -> list[EmailAddress]:
        """The addresses in a header, as far as they can be parsed."""
        raw = ", ".join(self._raw_headers(header.lower()))
        return [each for each in map(_address, header_values.parse_addresses(raw)) if each is not None]

    def get_date_header(self, header: str) -> datetime | None:
        """The time in a header; None if it has none."""
        value = self[header]
        return None if value is None else read_date(str(value))

    def _raw_header(self, name: str) -> str | None:
        return next(self._raw_headers(name), None)

    def _raw_headers(self, name: str) -> Iterator[str]:
        """The unparsed values of a header. `name` is in lower case."""
        for each, value in self.raw_items():
            if each.lower() == name:
                yield getattr(value, "raw", value)

    # --- contents ---

    @property
    def text(self) -> str | None:
        """The text of the mail, with LF line endings; None if it has none."""
        return _joined([part.read_body() for part in self._contents().texts])

    @property
    def html(self) -> str | None:
        """The HTML of the mail, with LF line endings; None if it has none."""
        return _joined([part.read_body() for part in self._contents().htmls])

    @property
    def attachments(self) -> list[InboundMessage]:
        """The files of the mail except for `inlines`."""
        return self._contents().attachments

    @property
    def inlines(self) -> list[InboundMessage]:
        """The files that are shown in the text or HTML."""
        return self._contents().inlines

    @property
    def content_id_map(self) -> dict[str, InboundMessage]:
        """The files that the HTML may show, by Content-ID without brackets."""
        found = {}
        for part in self._contents().shown:
            content_id = (part._raw_header("content-id") or "").strip()
            if content_id:
                found[header_values.plain(content_id.removeprefix("<").partition(">")[0])] = part
        return found

    def _contents(self) -> Contents:
        found = Contents()
        found.add(self)
        return found

    def read_body(self) -> str:
        """The text of a part, with the lines of format=flowed joined (RFC 3676)."""
        text = self.get_content_text() if self.get_content_maintype() != "multipart" else self._unread_text()
        if str(self.get_param("format", "")).lower() == "flowed" and text:
            text = flowed.join_lines(text, delsp=str(self.get_param("delsp", "")).lower() == "yes")
        return text or ""

    def _unread_text(self) -> str:
        """The text of a multipart in which no parts were found."""
        return _clean(charsets.decode(str(self.get_payload()).encode("ascii", "surrogateescape"), None))

    def get_payload(self, i: int | None = None, decode: bool = False) -> Any:
        """As in `email.message.Message`, but a payload with an invalid encoding is returned as it is."""
        payload = self._payload  # type: ignore[attr-defined]
        if isinstance(payload, str) and not decode and self.get_content_maintype() == "multipart":
            return (
                payload  # no parts were found: Python would replace the 8-bit text, and fail to serialize it
            )
        try:
            return super().get_payload(i, decode)  # type: ignore[call-overload]
        except ValueError:  # from uuencoded text, before Python 3.13
            text = str(payload)
            return text.encode("ascii", "surrogateescape") if decode else text

    def as_string(self, *args: Any, **kwargs: Any) -> str:
        """As in `email.message.Message`, but UTF-8 replaces charsets that Python cannot write."""
        try:
            return super().as_string(*args, **kwargs)
        except (LookupError, ValueError, MessageError):
            return self.as_bytes().decode("utf-8", "replace")

    def get_content_text(self, charset: str | None = None, errors: str | None = None) -> str | None:
        """The text of this part, with LF line endings, decoded as mail programs do."""
        if self.get_content_maintype() == "message":
            return storable("\n".join(part.as_string() for part in self._attached()))
        if charset is not None or errors is not None or self.get_content_maintype() == "multipart":
            text: str | None = super().get_content_text(charset, errors)
        else:
            payload = self.get_payload(decode=True)
            decode = charsets.decode_html if self.get_content_type() == "text/html" else charsets.decode
            text = None if payload is None else decode(payload, self.get_content_charset())
        return text if text is None else _clean(text)

    def get_content_bytes(self) -> Any:
        """The bytes of this part; those of an attached mail have LF line endings."""
        if self.get_content_maintype() == "message" and self.is_multipart():
            return b"\n".join(part.as_bytes() for part in self._attached())
        if self.get_content_maintype() == "message":
            return self.get_payload(decode=True)
        return super().get_content_bytes()

    def _attached(self) -> list[Message]:
        """The contents of a message part: a mail, or the blocks of a delivery status (RFC 3464)."""
        if self.is_multipart():
            return [part for part in self.get_payload() if isinstance(part, Message)]
        return [parse(self.get_payload(decode=True) or b"")]


@dataclass
class Contents:
    """The texts and files of a mail. `shown` are the files that its HTML may show."""

    texts: list[InboundMessage] = field(default_factory=list)
    htmls: list[InboundMessage] = field(default_factory=list)
    attachments: list[InboundMessage] = field(default_factory=list)
    inlines: list[InboundMessage] = field(default_factory=list)
    shown: list[InboundMessage] = field(default_factory=list)
    # Alternatives to HTML or plain text of other types.
    renderings: list[InboundMessage] = field(default_factory=list)

    def add(self, part: InboundMessage, container: str | None = None, *, is_main: bool = True) -> None:
        """Add a part of a multipart of the subtype `container`, None for the mail itself.

        `is_main`: is it the first part, or in a multipart/related the root?

        Source: JMAP, which describes what mail programs do (RFC 8621, section 4.1.4).
        """
        if part.get_content_maintype() == "multipart":
            self._add_multipart(part)
        elif _is_body(part, container, is_main):
            (self.htmls if part.get_content_type() == "text/html" else self.texts).append(part)
        elif container == "alternative" and _is_rendering(part):
            self.renderings.append(part)
        else:
            self._add_file(part, container)

    def _add_multipart(self, part: InboundMessage) -> None:
        parts = part.get_payload()
        if not isinstance(parts, list):
            self.texts.append(part)  # no parts were found
        elif part.get_content_subtype() == "alternative":
            self._add_alternatives(parts)
        else:
            container = part.get_content_subtype()
            main = _root(part, parts) if container == "related" else next(iter(parts), None)
            for each in parts:
                self.add(each, container, is_main=each is main)

    def _add_alternatives(self, parts: list[InboundMessage]) -> None:
        """Add the first text and the first HTML of alternative parts, and the files of all."""
        every = []
        for part in parts:
            found = Contents()
            found.add(part, "alternative")
            every.append(found)
        texts = next((found.texts for found in every if found.texts), [])
        htmls = next((found.htmls for found in every if found.htmls), [])
        renderings = [rendering for found in every for rendering in found.renderings]
        self.texts += texts if texts or htmls else renderings[:1]
        self.htmls += htmls
        for found in every:
            self.attachments += found.attachments
            self.inlines += found.inlines
            self.shown += found.shown

    def _add_file(self, part: InboundMessage, container: str | None) -> None:
        disposition = part.get_content_disposition()
        is_related = container == "related" and "Content-ID" in part
        if disposition == "inline" or (is_related and disposition != "attachment"):
            self.inlines.append(part)
            self.shown.append(part)
        else:
            self.attachments.append(part)
            self.shown += [part] if is_related else []


def _root(related: InboundMessage, parts: list[InboundMessage]) -> InboundMessage | None:
    """The root of a multipart/related (RFC 2387): the part that `start` names, or else the first text.

    None if there are no parts.
    """
    start = str(related.get_param("start", "")).strip()
    named = (part for part in parts if start and (part._raw_header("content-id") or "").strip() == start)
    texts = (
        part
        for part in parts
        if part.get_content_maintype() == "multipart" or part.get_content_type() in BODY_TYPES
    )
    return next(named, None) or next(texts, None) or next(iter(parts), None)


def _is_body(part: InboundMessage, container: str | None, is_main: bool) -> bool:
    """Is this a body of the mail rather than a file?"""
    if part.get_content_type() not in BODY_TYPES or part.is_attachment():
        return False
    if container is None:
        return True
    if part.get_param("filename", header="content-disposition"):
        return False
    return is_main or (container != "related" and not part.get_param("name"))


def _is_rendering(part: InboundMessage) -> bool:
    is_text = part.get_content_maintype() == "text" and part.get_content_type() != "text/calendar"
    return is_text and part.get_content_disposition() is None and not part.get_param("name")


def _joined(texts: list[str]) -> str | None:
    """Consecutive texts joined, each beginning on a new line."""
    if not texts:
        return None
    *before, last = texts
    return "".join([*(text if text.endswith("\n") or not text else f"{text}\n" for text in before), last])


def _clean(text: str) -> str:
    """A text with LF line endings, and without characters that databases refuse."""
    # Anymail 15.2 does the first too, 15.1 does not.
    return storable(text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text)


def _address(mailbox: header_values.Mailbox) -> EmailAddress | None:
    try:
        return EmailAddress(mailbox.name, username=mailbox.local_part, domain=mailbox.domain)
    except AnymailInvalidAddress:
        return None
