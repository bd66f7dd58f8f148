"""The four actions of `/api/v1`: request parameters in, envelopes out.

What is missing, or of a wrong type, is a `Refusal` with Postal's code and text; what Postal answers with an
HTTP 500 is a `ParameterError` that names the parameter. Source: contract 1.3 to 1.12.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from postal_server.errors import (
    AttachmentMissingData,
    AttachmentMissingName,
    Busy,
    FromAddressMissing,
    HostileInput,
    InvalidMediaType,
    InvalidRecipient,
    NoContent,
    NoRecipients,
    ParameterError,
    Refusal,
    TooManyBCCAddresses,
    TooManyCCAddresses,
    TooManyToAddresses,
)
from postal_server.mail.address import bare_address
from postal_server.mail.address_list import Recipient, recipients_in
from postal_server.mail.header import first
from postal_server.mail.mime import parse_header_value
from postal_server.mail.transfer import decode
from postal_server.rules.stream import NAMES as STREAM_NAMES
from postal_server.rules.stream import is_name as is_stream_name

from .http import to_json

MAX_RECIPIENTS = 50  # of each kind
# Characters of what goes into a header. Addresses: all of one kind together; 50 have 16,000 with their names.
MAX_TEXT = 10_000
MAX_ADDRESSES = 16_000
MAX_CUSTOM = 50_000  # names and values of `headers`
MAX_NESTING = 100  # of JSON, as in the framework that Postal uses
MAX_FORM_BYTES = 4 * 1024 * 1024
MAX_FORM_FIELDS = 4096
MAX_BOUNDARY = 70
MAX_ID = 2**63 - 1  # the column's
EXPANSIONS = (
    "status",
    "details",
    "inspection",
    "plain_body",
    "html_body",
    "attachments",
    "headers",
    "raw_message",
    "activity_entries",
    "reports",
)
DEFAULT_CONTENT_TYPE = "application/octet-stream"

_HEADER_NAME = re.compile(r"[!-9;-~]{1,255}\Z")  # RFC 5322 section 2.2
_MEDIA_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"  # RFC 6838 section 4.2
_MEDIA_TYPE = re.compile(rf"(?:{_MEDIA_NAME}/(?:{_MEDIA_NAME}|\*)|\*/\*)\Z")
ALPHABET = re.compile(r"[A-Za-z0-9+/_-]")
DATA_URI = re.compile(r"data:[^,]{0,1000};base64,", re.IGNORECASE)
URL_SAFE = bytes.maketrans(b"-_", b"+/")

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Attachment:
    """An attachment as it was sent: `name` and `data` may be missing."""

    name: str | None
    content_type: str
    data: bytes | None


@dataclass(frozen=True)
class SendMessage:
    """The parameters of `send/message`, with their types right; nothing else is checked yet."""

    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    from_: str | None = None
    sender: str | None = None
    subject: str | None = None
    tag: str | None = None
    reply_to: str | None = None
    plain_body: str | None = None
    html_body: str | None = None
    attachments: Sequence[Attachment] = ()
    headers: Sequence[tuple[str, str]] = ()
    bounce: bool = False
    stream: str | None = None


@dataclass(frozen=True)
class SendRaw:
    """The parameters of `send/raw`. `data` is the decoded message."""

    rcpt_to: Sequence[str]
    mail_from: str
    data: bytes = field(repr=False)
    bounce: bool = False
    stream: str | None = None


@dataclass(frozen=True)
class Lookup:
    """The parameters of `messages/*`. `expansions` is in the order of the answer."""

    id: int
    expansions: Sequence[str] = ()


def read_parameters(content_type: str, body: bytes, query: str) -> Parameters:
    """The parameters of a request, from JSON, the query string, or a form field called `params`.

    Raises `HostileInput` for what Postal answers with HTTP 400 and, as `InvalidMediaType`, with 406;
    `ParameterError` for bad `params`.
    """
    named = re.split("[,;]", content_type, maxsplit=1)[0].strip()
    if named and not _MEDIA_TYPE.match(named):
        raise InvalidMediaType("not a media type")
    if content_type.startswith("application/json"):
        parameters = parse_json(body) if body.strip() else {}
        return {**(parameters if isinstance(parameters, dict) else {}), **_query(query)}
    params = dict(_query(query)).get("params")
    if _is_blank(params):
        params = _form(content_type, body).get("params")
    if _is_blank(params):
        return {}
    try:
        parameters = parse_json(str(params).encode("utf-8", "surrogatepass"))
    except HostileInput as error:
        raise ParameterError("`params` parameter is not valid JSON") from error
    if not isinstance(parameters, dict):
        raise ParameterError("`params` parameter must be a JSON object")
    return parameters


def parse_json(body: bytes) -> Any:
    """A JSON text, without the nulls in its arrays and with lone surrogates replaced.

    Raises `HostileInput` for anything that is not UTF-8 or not JSON, numbers of more than 4300 digits and
    nesting deeper than 100 included.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise HostileInput("not a JSON text") from error
    if body.count(b"[") + body.count(b"{") > MAX_NESTING and _depth(value) > MAX_NESTING:
        raise HostileInput("nested too deeply")
    return _clean(value)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _depth(value: Any) -> int:
    """How many arrays and objects stand inside each other."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else _unicode(value)
    if isinstance(value, list):
        return [_clean(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _unicode(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _query(query: str) -> dict[str, Any]:
    """Query parameters: the last one of a name, or a list for names that end in `[]`."""
    parameters: dict[str, Any] = {}
    for name, value in _pairs(query):
        if name.endswith("[]"):
            items = parameters.setdefault(name[:-2], [])
            parameters[name[:-2]] = [*items, value] if isinstance(items, list) else [value]
        else:
            parameters[name] = value
    return parameters


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError as error:
        raise HostileInput("not urlencoded UTF-8 text") from error


def _form(content_type: str, body: bytes) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        if len(body) > MAX_FORM_BYTES:
            raise HostileInput("a form of more than 4 MiB")
        try:
            return _query(body.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise HostileInput("not UTF-8") from error
    if kind == "multipart/form-data":
        return dict(_multipart(content_type, body))
    return {}


def _multipart(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """The named fields of a multipart form (RFC 7578); nothing within a field is a part of its own."""
    if len(body) > MAX_FORM_BYTES:
        raise HostileInput("a form of more than 4 MiB")
    boundary = parse_header_value(content_type).parameters.get("boundary", "")
    if not 0 < len(boundary) <= MAX_BOUNDARY:  # RFC 2046 section 5.1.1
        raise HostileInput("a form without a boundary")
    delimiter = b"\r\n--" + boundary.encode("utf-8", "replace")
    most = MAX_FORM_FIELDS + 2  # with what stands before the first, and the end
    parts = (b"\r\n" + body).split(delimiter, most)
    if len(parts) > most:
        raise HostileInput(f"a form of more than {MAX_FORM_FIELDS} fields")
    for part in parts[1:]:
        if part.startswith(b"--"):  # the end
            return
        header, _, content = part.partition(b"\r\n")[2].partition(b"\r\n\r\n")
        disposition = parse_header_value(first(header, "Content-Disposition") or "")
        encoding = first(header, "Content-Transfer-Encoding") or ""
        if name := disposition.parameters.get("name"):
            try:
                yield name, decode(content, encoding).decode("utf-8")
            except UnicodeDecodeError as error:
                raise HostileInput("not UTF-8") from error


def read_send_message(parameters: Parameters) -> SendMessage:
    """The parameters of `send/message`. Raises `ParameterError` for a wrong type, or for too much of it."""
    message = _send_message(parameters)
    sizes: Mapping[str, tuple[int, int]] = {
        "to": (sum(map(len, message.to)), MAX_ADDRESSES),
        "cc": (sum(map(len, message.cc)), MAX_ADDRESSES),
        "bcc": (sum(map(len, message.bcc)), MAX_ADDRESSES),
        "from": (len(message.from_ or ""), MAX_TEXT),
        "sender": (len(message.sender or ""), MAX_TEXT),
        "reply_to": (len(message.reply_to or ""), MAX_TEXT),
        "subject": (len(message.subject or ""), MAX_TEXT),
        "tag": (len(message.tag or ""), MAX_TEXT),
        "headers": (sum(len(name) + len(value) for name, value in message.headers), MAX_CUSTOM),
    }
    for name, (size, limit) in sizes.items():
        if size > limit:
            raise ParameterError(f"`{name}` parameter is too long (maximum {limit} characters)")
    return message


def _send_message(parameters: Parameters) -> SendMessage:
    return SendMessage(
        to=_addresses(parameters, "to"),
        cc=_addresses(parameters, "cc"),
        bcc=_addresses(parameters, "bcc"),
        from_=_text(parameters, "from"),
        sender=_text(parameters, "sender"),
        subject=_text(parameters, "subject", numbers=True),
        tag=_text(parameters, "tag", numbers=True),
        reply_to=_text(parameters, "reply_to"),
        plain_body=_text(parameters, "plain_body"),
        html_body=_text(parameters, "html_body"),
        attachments=_attachments(parameters),
        headers=_headers(parameters),
        bounce=_is_true(parameters.get("bounce")),
        stream=_stream(parameters),
    )


def _stream(parameters: Parameters) -> str | None:
    name = _text(parameters, "stream", numbers=True)
    if _is_blank(name):
        return None
    check_stream("`stream` parameter", name or "")
    return name


def check_stream(what: str, name: str) -> None:
    """Raise `ParameterError` for what is no name of a stream; `what` says where it stands."""
    if not is_stream_name(name):
        raise ParameterError(f"{what} is not the name of a stream ({STREAM_NAMES}): {name[:80]!r}")


def check_before_authorization(message: SendMessage) -> None:
    """Raise the first refusal that comes before the From address is looked at."""
    if not (message.to or message.cc or message.bcc):
        raise NoRecipients
    for _, entries, refusal in _kinds(message):
        if len(entries) > MAX_RECIPIENTS:
            raise refusal
    if _is_blank(message.plain_body) and _is_blank(message.html_body):
        raise NoContent
    if _is_blank(message.from_):
        raise FromAddressMissing


def recipients(message: SendMessage) -> list[Recipient]:
    """The recipients in `to`, `cc` and `bcc`, in order; an entry may be a list of addresses.

    Raises the refusals of more than 50, of none at all, and of an entry that cannot be read.
    """
    everybody: list[Recipient] = []
    for name, entries, refusal in _kinds(message):
        recipients = [recipient for entry in entries for recipient in _recipients(name, entry)]
        if len(recipients) > MAX_RECIPIENTS:
            raise refusal
        everybody += recipients
    if not everybody:
        raise NoRecipients
    return everybody


def raw_recipients(request: SendRaw) -> list[Recipient]:
    """Everybody whom `rcpt_to` names, under the entry as it is written where that names one."""
    everybody: list[Recipient] = []
    for entry in dict.fromkeys(request.rcpt_to):
        recipients = _recipients("rcpt_to", entry)
        everybody += (
            recipients if len(recipients) > 1 else [Recipient(entry, each.address) for each in recipients]
        )
    return everybody


def _kinds(message: SendMessage) -> Sequence[tuple[str, Sequence[str], type[Refusal]]]:
    return (
        ("to", message.to, TooManyToAddresses),
        ("cc", message.cc, TooManyCCAddresses),
        ("bcc", message.bcc, TooManyBCCAddresses),
    )


def _recipients(name: str, entry: str) -> list[Recipient]:
    """Whom an entry names. Without an `@` it is accepted as in Postal, and its delivery fails."""
    try:
        recipients = recipients_in(entry)
    except ValueError as error:
        if "@" not in entry:
            return [Recipient(bare_address(entry), bare_address(entry))]
        raise _invalid(name, entry) from error
    if not recipients and "@" in entry:  # a comment, say: somebody may be meant
        raise _invalid(name, entry)
    return recipients


def _invalid(name: str, entry: str) -> InvalidRecipient:
    return InvalidRecipient(f"`{name}` parameter has an entry that no mail server can take: {entry[:80]!r}")


def check_attachments(message: SendMessage) -> None:
    """Raise the refusal for the first attachment without a name or content."""
    for attachment in message.attachments:
        if _is_blank(attachment.name):
            raise AttachmentMissingName
        if not attachment.data or not attachment.data.strip():
            raise AttachmentMissingData


def read_send_raw(parameters: Parameters) -> SendRaw:
    """The parameters of `send/raw`. Raises `ParameterError` for what is missing or of a wrong type."""
    recipients = parameters.get("rcpt_to")
    if not isinstance(recipients, list):
        raise _missing("rcpt_to")
    for name in ("mail_from", "data"):
        if _is_blank(parameters.get(name)):
            raise _missing(name)
    mail_from, data = _text(parameters, "mail_from"), _text(parameters, "data")
    return SendRaw(
        rcpt_to=_address_list("rcpt_to", recipients),
        mail_from=mail_from or "",
        data=decode_base64(data or "", "data"),
        bounce=_is_true(parameters.get("bounce")),
        stream=_stream(parameters),
    )


def read_lookup(parameters: Parameters) -> Lookup:
    """The parameters of `messages/*`. A string of digits is read as a number (Q1)."""
    number = parameters.get("id")
    if _is_blank(number):
        raise _missing("id")
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) <= len(str(MAX_ID)):
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise ParameterError("`id` parameter must be an integer")
    wanted = parameters.get("_expansions")
    if wanted is True:
        return Lookup(number, EXPANSIONS)
    names = wanted if isinstance(wanted, list) else ()
    return Lookup(number, tuple(name for name in EXPANSIONS if name in names))


def decode_base64(text: str, name: str) -> bytes:
    """What the base64 in parameter `name` stands for, in lines or not; padding may be missing.

    Understood as well: the URL-safe alphabet (RFC 4648 section 5), and a data URI (RFC 2397) of base64.
    Text with nothing of the alphabet is no data, as in Postal. Raises `ParameterError` for anything else,
    where Postal passes over what it does not know.
    """
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # `binascii.Error` is one
        pass
    if not ALPHABET.search(text):
        return b""
    start = DATA_URI.match(text)
    data = text[start.end() if start else 0 :].encode("utf-8", "replace").translate(URL_SAFE)
    # A blank within a line was a `+` that a form took for one.
    data = b"".join([line.strip(b" \t") for line in data.splitlines()]).rstrip(b"=")
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except ValueError as error:
        raise ParameterError(f"`{name}` parameter has data that is not base64") from error


def success(data: Any, seconds: float) -> bytes:
    """The envelope of a result."""
    return _envelope("success", data, seconds)


def failure(refusal: Refusal, seconds: float) -> bytes:
    """The envelope of a refusal."""
    message = {} if refusal.text is None else {"message": refusal.text}
    if isinstance(refusal, ParameterError):
        return _envelope("parameter-error", message, seconds)
    return _envelope("error", {**message, **refusal.extra, "code": refusal.code}, seconds)


def busy(error: Busy, seconds: float) -> bytes:
    """The envelope that goes with HTTP 503: not Postal's, which has no back-pressure."""
    return _envelope("error", {"message": str(error), "code": "Busy"}, seconds)


def _envelope(status: str, data: Any, seconds: float) -> bytes:
    return to_json({"status": status, "time": round(seconds, 3), "flags": {}, "data": data})


def _missing(name: str) -> ParameterError:
    return ParameterError(f"`{name}` parameter is required but is missing")


def _is_blank(value: Any) -> bool:
    """Null, false, empty, or nothing but white space."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value is False or value in ([], {})


def _is_true(value: Any) -> bool:
    return value is not None and value is not False


def _text(parameters: Parameters, name: str, *, numbers: bool = False) -> str | None:
    value = parameters.get(name)
    if value is None or value is False:
        return None
    if isinstance(value, str):
        return value
    if numbers and isinstance(value, (int, float)):
        return _as_text(value)
    raise ParameterError(f"`{name}` parameter must be a string")


def _addresses(parameters: Parameters, name: str) -> Sequence[str]:
    value = parameters.get(name)
    if isinstance(value, str):
        return () if _is_blank(value) else (value,)
    if value is None or value is False:
        return ()
    if not isinstance(value, list):
        raise ParameterError(f"`{name}` parameter must be a list of addresses")
    return _address_list(name, value)


def _address_list(name: str, values: list[Any]) -> Sequence[str]:
    if not all(isinstance(value, str) for value in values):
        raise ParameterError(f"`{name}` parameter must be a list of addresses")
    return tuple(values)


def _attachments(parameters: Parameters) -> Sequence[Attachment]:
    value = parameters.get("attachments")
    if value is None or value is False:
        return ()
    if not isinstance(value, list):
        raise ParameterError("`attachments` parameter must be a list of objects")
    return tuple(_attachment(item) for item in value if isinstance(item, dict))


def _attachment(item: Parameters) -> Attachment:
    for key in ("name", "content_type", "data"):
        if not (_is_blank(item.get(key)) or isinstance(item[key], str)):
            raise ParameterError(f"`attachments` parameter has a `{key}` that is not a string")
    data = item.get("data")
    return Attachment(
        name=item.get("name") or None,
        content_type=DEFAULT_CONTENT_TYPE if _is_blank(item.get("content_type")) else item["content_type"],
        data=decode_base64(data, "attachments") if isinstance(data, str) else None,
    )


def _headers(parameters: Parameters) -> Sequence[tuple[str, str]]:
    value = parameters.get("headers")
    if not isinstance(value, dict):
        return ()
    for name in value:
        if not _HEADER_NAME.match(name):
            raise ParameterError(f"`headers` parameter has a name that is not valid: {name[:80]}")
    return tuple((name, _as_text(content)) for name, content in value.items())


def _as_text(value: Any) -> str:
    """A value in a header: text as it is, null as nothing, all else as JSON, lists with blanks."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
