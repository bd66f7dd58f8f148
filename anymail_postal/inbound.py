"""Incoming mail: Postal's four formats, Hash and RawMessage as JSON or form, to one Anymail message.

Bytes throughout: mail that is merely odd (8-bit, unknown charsets, broken headers) is read as far as it goes.
Source: contract, sections 4.3 to 4.8.
"""

# Anymail's message class is not typed.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.feedparser import BytesFeedParser
from email.headerregistry import HeaderRegistry
from email.message import Message
from email.parser import BytesParser
from email.policy import EmailPolicy
from email.utils import getaddresses
from functools import lru_cache
from typing import Any, cast

from anymail.exceptions import AnymailInvalidAddress
from anymail.inbound import AnymailInboundMessage
from anymail.signals import AnymailInboundEvent, EventType
from anymail.utils import EmailAddress

from . import body
from .auto_response import is_auto_response
from .errors import UnreadableBody

# Hash fields that are headers of the mail. `reply_to` is a list in JSON, a text in a form.
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
SPAM_STATUS = {"Spam": True, "NotSpam": False}  # NotChecked: nobody knows
YES_NO = {"yes": True, "no": False}
FORM_ATTACHMENT = re.compile(r"attachments\[(\d{1,6})\]\[(\w{1,20})\]", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class PostalInbound:
    """What Postal says about a mail beside its contents; `event.postal` of every inbound event.

    None where the format does not say: RawMessage has no token, bounce or received_with_ssl, Hash no threat.
    """

    id: int
    server: str = "default"
    token: str | None = None
    size: int | None = None  # bytes as received, without the headers that Postal's inspection adds
    bounce: bool | None = None
    received_with_ssl: bool | None = None  # Postal writes null instead of false
    threat: bool | None = None  # the virus scanner's verdict; such mail is delivered all the same
    is_auto_response: bool = False  # sent by a machine: do not answer it


class InboundEvent(AnymailInboundEvent):
    """An `AnymailInboundEvent` with Postal's own facts."""

    message: InboundMessage
    postal: PostalInbound


def read(fields: Mapping[str, Any], *, server: str = "default") -> InboundEvent:
    """Anymail's event for a parsed post, with Postal's own facts as its `postal`.

    Raises `UnreadableBody` if it is not one of the four formats.
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
        # The sender may have written such headers too; Postal's own stand on top of them.
        message.spam_detected = _yes_no(message, "X-Postal-Spam")
        message.spam_score = _spam_score(message)
    bounce = body.flag(fields, "bounce")
    event = InboundEvent(
        event_type=EventType.INBOUND,
        timestamp=None,
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
    """Postal's id of a mail, its reverse-path (None is the null one) and its recipient."""
    message_id, recipient = body.whole(fields, "id"), body.text(fields, "rcpt_to")
    if message_id is None or recipient is None:
        raise UnreadableBody("The body is no mail of Postal's: it has no id or rcpt_to.")
    return message_id, body.text(fields, "mail_from"), recipient


def subject(fields: Mapping[str, Any]) -> str | None:
    """The subject of a posted mail, without reading its body."""
    raw = _raw_mail(fields)
    if raw is None:
        return body.text(fields, "subject")
    return body.text({"subject": parse(raw, headers_only=True).subject}, "subject")


def _raw_mail(fields: Mapping[str, Any]) -> bytes | None:
    """The mail in a RawMessage post; None for a Hash post."""
    message = body.text(fields, "message")
    if message is None:
        if not fields.keys() & {"plain_body", "html_body", "subject"}:
            raise UnreadableBody("The body has neither Postal's Hash nor its RawMessage format.")
        return None
    return _decode(message) if body.flag(fields, "base64") else message.encode()


def _decode(text: str) -> bytes:
    """The bytes of MIME style base64: Postal breaks its lines."""
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


# --- format Hash ---


def _rebuild(fields: Mapping[str, Any]) -> InboundMessage:
    """The mail that a Hash post describes; what Postal leaves out (other headers, Content-IDs) is gone."""
    message: InboundMessage = InboundMessage.construct(
        headers=list(_headers(fields)),
        text=body.text(fields, "plain_body"),
        html=body.text(fields, "html_body"),
        attachments=[_attachment(each) for each in _attachments(fields)],
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
    """The attachments' fields: a list in JSON, `attachments[0][data]` and so on in a form."""
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
    if maintype == "multipart":  # a container without its parts; Python would look for them
        part.replace_header("Content-Type", "application/octet-stream")
    if name:
        part.add_header("Content-Disposition", "attachment", filename=_one_line(name))
    else:
        part["Content-Disposition"] = "attachment"
    if maintype == "message":
        part.set_payload([parse(content)])
    else:
        part["Content-Transfer-Encoding"] = "base64"
        part.set_payload(data)
    return part


def _one_line(text: str) -> str:
    """Text that fits into a header: line breaks and other controls become a blank."""
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text)


# --- the message ---


# Python's folding never ends for a parameter with a name of some 64 characters whose value it has to encode.
MAX_PARAMETER_NAME = 40
LINE_END = re.compile(r"\r\n?|\n")


class LenientPolicy(EmailPolicy):
    """Python's default policy, but no header makes it raise, and mail handed on keeps its header lines."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        """The header as Python's default policy has it, or as plain text where that fails."""
        try:
            if name.lower() == "content-transfer-encoding":
                return _parse_encoding(name, value)
            return super().header_fetch_parse(name, value)
        except Exception:  # each Python release fixed some IndexError or TypeError of this parser
            return body.storable(_one_line(value))

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        """The header to keep for a value, whose line breaks become blanks."""
        value = _one_line(value)
        try:
            return super().header_store_parse(name, value)
        except Exception:  # as above
            return name, PLAIN_HEADER(name, value.replace("=?", "= ?"))

    def fold(self, name: str, value: str) -> str:
        """The header as text, folded."""
        line = self._unfoldable(name, value)
        return super().fold(name, value) if line is None else body.storable(line)

    def fold_binary(self, name: str, value: str) -> bytes:
        """The header line; as UTF-8 where Python cannot express the value in ASCII."""
        line = self._unfoldable(name, value)
        if line is None:
            try:
                return super().fold_binary(name, value)
            except Exception:  # as above, and UnicodeError
                line = f"{name}: {value}{self.linesep}"
        return line.encode("utf-8", "surrogateescape")

    def _unfoldable(self, name: str, value: Any) -> str | None:
        """The lines as they are of a header that Python would be folding for ever; None for all others."""
        if name.lower() not in ("content-type", "content-disposition"):
            return None
        header = value if hasattr(value, "params") else self.header_fetch_parse(name, value)
        if all(len(parameter) <= MAX_PARAMETER_NAME for parameter in getattr(header, "params", ())):
            return None
        return f"{name}: {self.linesep.join(re.split(LINE_END, str(value)))}{self.linesep}"


PLAIN_HEADER = HeaderRegistry(use_default_map=False)
POLICY = LenientPolicy(refold_source="none")


@lru_cache(maxsize=64)
def _parse_encoding(name: str, value: str) -> Any:
    """Every part has this header and few values exist, but its parser costs as much as the part itself."""
    return EmailPolicy.header_fetch_parse(POLICY, name, value)


# Header values that say what they seem to say: a type and parameters without comments, escapes, encoded
# words or continuations (RFC 2231). Reading them like this gives what Python's parser gives, in a hundredth
# of the time; that parser reads all others.
_ATOM = r"[A-Za-z0-9!#$&+.^_`{|}~-]+"
_QUOTED = r'"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*"'
PARAMETER = re.compile(rf";\s*({_ATOM})=({_ATOM}|{_QUOTED})\s*", re.ASCII)
PLAIN_VALUE = re.compile(
    rf"\s*({_ATOM}(?:/{_ATOM})?)\s*((?:;\s*{_ATOM}=(?:{_ATOM}|{_QUOTED})\s*)*);?\s*", re.ASCII
)
MAX_PLAIN_LENGTH = 1000


@lru_cache(maxsize=256)
def _read_plain(value: str) -> tuple[str, dict[str, str]] | None:
    """The type, in lower case, and the parameters of a plain value; None for any other."""
    match = PLAIN_VALUE.fullmatch(value) if len(value) <= MAX_PLAIN_LENGTH and "=?" not in value else None
    if not match:
        return None
    found = PARAMETER.findall(match[2])
    parameters = {name.lower(): text.strip('"') for name, text in found}
    return (match[1].lower(), parameters) if len(parameters) == len(found) else None


class InboundMessage(AnymailInboundMessage):
    """An `AnymailInboundMessage` that is read fast and does not raise on odd mail.

    The public interface is the same. An address that cannot be read is left out, text in no known charset is
    read as UTF-8 or else as ASCII with replacements, a date that no calendar has is None.
    """

    def __init__(self, policy: EmailPolicy | None = None) -> None:
        super().__init__(policy=policy or POLICY)

    def get_content_type(self) -> str:
        """As in `email.message.Message`."""
        plain = self._plain("content-type")
        return plain[0] if plain and "/" in plain[0] else super().get_content_type()

    def get_content_disposition(self) -> str | None:
        """As in `email.message.Message`."""
        plain = self._plain("content-disposition")
        return plain[0] if plain else super().get_content_disposition()

    def is_attachment(self) -> bool:
        """As in `email.message.EmailMessage`."""
        return self.get_content_disposition() == "attachment"

    def get_param(
        self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True
    ) -> Any:
        """As in `email.message.Message`."""
        plain = self._plain(header.lower()) if unquote else None
        if plain is None:
            return super().get_param(param, failobj, header, unquote)
        return plain[1].get(param.lower(), failobj)

    def get_address_header(self, header: str) -> list[EmailAddress]:
        """The addresses in a header, as far as they can be read."""
        try:
            return list(super().get_address_header(header))
        except AnymailInvalidAddress:
            found = (
                _address(*pair) for pair in getaddresses([str(each) for each in self.get_all(header, [])])
            )
            return [each for each in found if each is not None]

    def get_date_header(self, header: str) -> datetime | None:
        """The time in a header, or None."""
        try:
            found: datetime | None = super().get_date_header(header)
        except OverflowError:
            return None
        return found

    def get_payload(self, i: int | None = None, decode: bool = False) -> Any:
        """As in `email.message.Message`; what is not the encoding that it claims is left as it came."""
        payload = self._payload  # type: ignore[attr-defined]
        if isinstance(payload, str) and not decode and self.get_content_maintype() == "multipart":
            return payload  # no parts were found: Python would replace its 8-bit text, and fail to write that
        try:
            return super().get_payload(i, decode)  # type: ignore[call-overload]
        except ValueError:  # of uuencoded text, before Python 3.13; of a NUL in the name of a charset
            text = str(payload)
            return text.encode("ascii", "surrogateescape") if decode else text

    def as_string(self, *args: Any, **kwargs: Any) -> str:
        """As in `email.message.Message`; text whose charset Python cannot write is read as UTF-8."""
        try:
            return super().as_string(*args, **kwargs)
        except (LookupError, ValueError):
            return self.as_bytes().decode("utf-8", "replace")

    def get_content_text(self, charset: str | None = None, errors: str | None = None) -> str | None:
        """The text of this part, with LF line ends."""
        if self.get_content_maintype() == "message":
            return "\n".join(part.as_string() for part in self._attached())
        if charset is not None or errors is not None or self.get_content_maintype() == "multipart":
            return self._decoded(charset, errors)
        for guess, strictness in ((self.get_content_charset(), "replace"), ("utf-8", "strict")):
            try:
                if guess is not None:
                    return self._decoded(guess, strictness)
            except (LookupError, ValueError):  # as above; UnicodeError is one
                continue
        return self._decoded("us-ascii", "replace")

    def _decoded(self, charset: str | None, errors: str | None) -> str | None:
        text: str | None = super().get_content_text(charset, errors)
        # Anymail 15.2 does this too, 15.1 does not.
        return text if text is None else text.replace("\r\n", "\n").replace("\r", "\n")

    def get_content_bytes(self) -> Any:
        """The bytes of this part; those of an attached mail have LF line ends."""
        if self.get_content_maintype() == "message":
            return b"\n".join(part.as_bytes() for part in self._attached())
        return super().get_content_bytes()

    def _attached(self) -> list[Message]:
        """What a message part holds: one mail, or the blocks of a delivery status (RFC 3464)."""
        payload = self.get_payload()
        return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []

    def _plain(self, header: str) -> tuple[str, dict[str, str]] | None:
        for name, value in self.raw_items():
            if name.lower() == header:
                return _read_plain(value)
        return None


def parse(raw: bytes, *, headers_only: bool = False) -> InboundMessage:
    """The mail in these bytes."""
    if headers_only:
        message = BytesParser(InboundMessage, policy=POLICY).parsebytes(raw, headersonly=True)
        return cast(InboundMessage, message)
    parser = BytesFeedParser(InboundMessage, policy=POLICY)
    try:
        parser.feed(raw)
        return cast(InboundMessage, parser.close())
    except RecursionError:  # hundreds of parts within parts; nobody reads such mail
        return parse(raw, headers_only=True)


def _address(display_name: str, addr_spec: str) -> EmailAddress | None:
    try:
        return EmailAddress(display_name, addr_spec) if addr_spec else None
    except AnymailInvalidAddress:
        return None
