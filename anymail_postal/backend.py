"""The Django e-mail backend: a Django mail becomes one call to Postal, or one for each To recipient.

`EmailBackend` makes the calls and keeps the recipients' status. `MessagePayload` (`POSTAL_API = "message"`)
reads a mail exactly as Anymail documents its own Postal backend. `Payload` (auto and raw) collects the mail's
contents first and decides then which of Postal's two calls can carry them.
"""

from __future__ import annotations

import io
import logging
import mimetypes
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, Literal, cast

import anymail
import requests
from anymail.backends.base_requests import AnymailRequestsBackend, RequestsPayload
from anymail.exceptions import (
    AnymailError,
    AnymailInvalidAddress,
    AnymailSerializationError,
    AnymailUnsupportedFeature,
)
from anymail.message import AnymailRecipientStatus, AnymailStatus
from anymail.utils import (
    UNSET,
    Attachment,
    CaseInsensitiveCasePreservingDict,
    EmailAddress,
    force_non_lazy_dict,
    merge_dicts_deep,
    parse_address_list,
    parse_single_address,
)
from django.core.mail import EmailMessage
from django.template import Context, Engine, TemplateDoesNotExist
from django.template.backends.django import Template as DjangoTemplate
from django.template.loader import get_template
from django.utils.functional import Promise
from requests.structures import CaseInsensitiveDict

from . import __version__, conf, header_values, metadata, mime, wire
from .client import PostalSession, api_headers, post, read_data, read_response, retry_safely
from .errors import PostalHeaderError, PostalMetadataTooLarge, redact
from .ports import ScheduledSend, SentMessage

logger = logging.getLogger(__name__)

MAX_FOR_PYTHON = 1000  # characters: the time that its parser of addresses takes grows with their square
MAX_ADDRESSES = 50  # in each of To, Cc and Bcc of send/message
MAX_TAG = 255  # characters: Postal's column
TYPES = mimetypes.MimeTypes()  # Python's own table: that of the system differs from machine to machine

# What esp_extra tells the backend itself.
OWN_EXTRA = frozenset({"server", "api", "metadata"})
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
ADDRESS_HEADERS = frozenset({"from", "sender", "to", "cc", "bcc", "reply-to"})
HTML_LINK = re.compile(r"""((?i:\bhref)\s*=\s*(?:["']\s*)?)((?i:https?))(?=://)""")
TEXT_LINK = re.compile(r"\b(https?)(?=://)")
# An address of nothing but letters, digits and the signs that need no quotes, perhaps with such a name.
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDR_SPEC = rf"({_ATEXT}(?:\.{_ATEXT})*)@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)"
PLAIN_ADDRESS = re.compile(rf"{_ADDR_SPEC}|([\w'-]+(?: [\w'-]+)*) <{_ADDR_SPEC}>")


def read_addresses(values: Any, field: str) -> list[EmailAddress]:
    """The addresses in a field of the mail, as Anymail reads them.

    Most are plain, and those need no parser, which would take half of the time that reading a mail takes.
    """
    emails = []
    for value in [values] if isinstance(values, str) else values or ():
        plain = PLAIN_ADDRESS.fullmatch(value) if isinstance(value, str) else None
        if plain is None:
            return parsed_addresses(values, field)
        username, domain, name, named_username, named_domain = plain.groups()
        emails.append(EmailAddress(name, username=username or named_username, domain=domain or named_domain))
    return emails


def parsed_addresses(values: Any, field: str) -> list[EmailAddress]:
    """The addresses in a field by Anymail's parser.

    Raises `PostalHeaderError` for a line break, which parsers may take for a blank, or for the end.
    """
    texts = [str(values)] if isinstance(values, (str, Promise)) else list(map(str, values or ()))
    for text in texts:
        mime.check_line(field, text)
    if max(map(len, texts), default=0) > MAX_FOR_PYTHON:
        return [email for text in texts for email in long_list(text, field)]
    return list(parse_address_list(values, field=field))


def long_list(text: str, field: str) -> list[EmailAddress]:
    """The addresses in a text that Python's parser would take too long for."""
    try:
        found = header_values.parse_all_addresses(text)
    except ValueError:
        found = []
    if not found:
        raise AnymailInvalidAddress(f"Invalid email address in `{field}`: {text[:100]!r}...")
    return [EmailAddress(each.name, username=each.local_part, domain=each.domain) for each in found]


def read_address(value: Any, field: str) -> EmailAddress:
    """The one address in a field of the mail."""
    found = parsed_addresses([value], field)
    return found[0] if len(found) == 1 else parse_single_address(str(value)[:MAX_FOR_PYTHON], field=field)


class PostalStatus(AnymailStatus):
    """Anymail's status, whose recipients are found in any case, with every response of a batch."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recipients = CaseInsensitiveCasePreservingDict()  # type: ignore[assignment]
        self.postal_responses: list[requests.Response] = []

    def set_recipient_status(self, recipients: Mapping[str, AnymailRecipientStatus]) -> None:
        """Take over the recipients; `message_id` names only messages that Postal has."""
        super().set_recipient_status(recipients)  # type: ignore[no-untyped-call]
        ids = {status.message_id for status in recipients.values()} - {None}
        self.message_id = ids if len(ids) > 1 else next(iter(ids), None)


@dataclass
class Call:
    """One call to Postal, and what the store remembers of the mail."""

    endpoint: Literal["send/message", "send/raw"]
    params: dict[str, Any]
    subject: str = ""
    tag: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


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


class EmailBackend(AnymailRequestsBackend):
    """Sends mail through a Postal server.

    Options are the settings of `anymail_postal.conf` in lower case without prefix, Anymail's own, and
    `server`, the name of the server to send through: by default the alias in MAILERS, or "default".
    """

    esp_name = "Postal"
    session: requests.Session

    def __init__(self, **kwargs: Any) -> None:
        alias = kwargs.get("alias")
        options = {name: kwargs.pop(name) for name in conf.SERVER_ATTRIBUTES & kwargs.keys()}
        server = kwargs.pop("server", None)
        if alias and not server:
            self.config = conf.mailer(alias, options)
        else:
            self.config = conf.server(server or conf.DEFAULT_SERVER, **options)
        self.config.required("api_key", alias)
        super().__init__(f"{self.config.required('api_url', alias)}/", **kwargs)  # type: ignore[no-untyped-call]

    def create_session(self) -> requests.Session:
        """A session that repeats what Postal cannot have accepted."""
        session = PostalSession()
        ours, base = f"anymail-postal/{__version__}", f"django-anymail/{anymail.__version__}"
        session.headers["User-Agent"] = f"{ours} {base} {requests.utils.default_user_agent()}"
        if self.debug_api_requests:
            session.hooks["response"].append(self._dump_api_request)
        retry_safely(session, self.config.retries)
        return session

    def build_message_payload(self, message: EmailMessage, defaults: dict[str, Any]) -> PostalPayload:
        """Read the mail, by the rules of the API that its server, or its `esp_extra`, asks for."""
        message.anymail_status = PostalStatus()  # type: ignore[attr-defined]
        if self.config.api == "message":
            return MessagePayload(message, defaults, self, self.config)
        extra = merge_dicts_deep(defaults.get("esp_extra", UNSET), getattr(message, "esp_extra", UNSET))
        extra = {} if extra is UNSET else extra
        config = conf.server(extra["server"]) if "server" in extra else self.config
        api = extra.get("api", config.api)
        if api == "message":
            return MessagePayload(message, defaults, self, config, consumed=OWN_EXTRA)
        if api not in ("auto", "raw"):
            raise AnymailUnsupportedFeature(
                f"Postal has no API {api!r}: esp_extra['api'] is 'auto', 'message' or 'raw'.",
                email_message=message,
                backend=self,
            )
        return Payload(message, defaults, self, config, always_raw=api == "raw")

    def post_to_esp(self, payload: PostalPayload, message: EmailMessage) -> requests.Response | None:
        """Make the calls, and return the last response; None if there was nothing to call for now."""
        if payload.is_scheduled:
            payload.schedule()
            return None
        if payload.is_personal:
            return self.post_batch(payload, message)
        call = next(payload.calls(), None)
        return None if call is None else self.post_call(call(), payload, message)

    def post_batch(self, payload: PostalPayload, message: EmailMessage) -> requests.Response | None:
        """Make a call for each To recipient. One that fails marks its recipient; raises only if all fail."""
        response: requests.Response | None = None
        failure: AnymailError | None = None
        for call in payload.calls():
            try:
                response = self.post_call(call(), payload, message)
                payload.accept(response)
            except AnymailError as error:
                logger.warning("A mail of a batch was not sent: %s", error)
                failure = error
        payload.fail_unanswered()
        if failure is not None and all(status.status != "queued" for status in payload.statuses.values()):
            raise failure
        return response

    def post_call(self, call: Call, payload: PostalPayload, message: EmailMessage) -> requests.Response:
        """Make one call. Raises `PostalAPIError` for an HTTP error or none at all."""
        payload.load(call)
        params = payload.get_request_params(payload.api_url)
        context = {"email_message": message, "payload": payload, "backend": self}
        response = post(self.session, self.timeout, params, **context)
        message.anymail_status.postal_responses.append(response)  # type: ignore[attr-defined]
        self.raise_for_status(response, payload, message)
        return response

    def raise_for_status(
        self, response: requests.Response, payload: PostalPayload, message: EmailMessage
    ) -> None:
        """Raises `PostalAPIError` for an HTTP status outside 200-299."""
        if not 200 <= response.status_code < 300:
            read_response(response, email_message=message, payload=payload, backend=self)

    def parse_recipient_status(
        self, response: requests.Response | None, payload: PostalPayload, message: EmailMessage
    ) -> Mapping[str, AnymailRecipientStatus]:
        """The status of every recipient, also of those that Postal's answer leaves out ("unknown")."""
        if response is not None and not payload.is_personal:
            payload.accept(response)
        return payload.statuses

    @staticmethod
    def _dump_api_request(response: requests.Response, **kwargs: Any) -> None:
        """Print request and response for debugging, without the API key."""
        printed = io.StringIO()
        with redirect_stdout(printed):
            AnymailRequestsBackend._dump_api_request(response, **kwargs)
        key = response.request.headers.get("X-Server-API-Key", "")
        print(redact(printed.getvalue(), key), end="")


class PostalPayload(RequestsPayload):
    """What both kinds of payload share: the server's settings, the call being made, the recipients' status.

    `is_personal`: one call for each To recipient. `is_scheduled`: no call now, but at `send_at`.
    """

    base_message_attrs = tuple(  # type: ignore[assignment]
        (name, combine, partial(read_addresses, field=name) if convert is parse_address_list else convert)
        for name, combine, convert in RequestsPayload.base_message_attrs
    )
    anymail_message_attrs = tuple(  # type: ignore[assignment]
        (name, combine, partial(read_address, field=name) if convert is parse_single_address else convert)
        for name, combine, convert in RequestsPayload.anymail_message_attrs
    )
    is_personal = False
    is_scheduled = False
    backend: EmailBackend
    message: EmailMessage

    def __init__(
        self,
        message: EmailMessage,
        defaults: dict[str, Any],
        backend: EmailBackend,
        config: conf.ServerConfig,
    ) -> None:
        self.config = config
        self.api_url = f"{config.required('api_url')}/"
        self.call = Call("send/message", {})
        self.addresses: dict[str, str] = {}  # those asked for, by their lower-case spelling on the wire
        self.statuses: dict[str, AnymailRecipientStatus] = {}
        super().__init__(message, defaults, backend, headers=api_headers(config.required("api_key")))  # type: ignore[no-untyped-call]

    def process_extra_headers(self, headers: Mapping[str, Any]) -> None:
        """Take the headers. Raises `PostalHeaderError` for a line break in one that holds addresses."""
        for name, value in headers.items():
            if name.lower() in ADDRESS_HEADERS:
                mime.check_line(name, str(value))
        headers = CaseInsensitiveDict(headers)
        reply_to = headers.pop("Reply-To", None)  # often what somebody wrote into a form
        if reply_to:
            self.set_reply_to(parsed_addresses([reply_to], "extra_headers['Reply-To']"))
        super().process_extra_headers(headers)  # type: ignore[no-untyped-call]

    def calls(self) -> Iterator[Callable[[], Call]]:
        """What makes each call that sends this mail, when it is its turn: a batch may be long, and heavy.

        Making one raises an `AnymailError` if this one cannot be expressed.
        """
        raise NotImplementedError

    def schedule(self) -> None:
        """Keep the calls until their time."""
        raise NotImplementedError

    def load(self, call: Call) -> None:
        """Make `call` the one whose request parameters are asked for next."""
        self.call = call

    def get_api_endpoint(self) -> str:
        """The path below the server's URL."""
        return f"api/v1/{self.call.endpoint}"

    def serialize_data(self) -> str:
        """The JSON body of the call."""
        text: str = self.serialize_json(self.call.params)
        return text

    def wire_address(self, email: EmailAddress) -> str:
        """The bare address with an ASCII domain."""
        address: str = email.format_addr_spec(idna_encode=self.backend.idna_encode)
        return address

    def wire_format(self, emails: Iterable[EmailAddress]) -> list[str]:
        """Addresses with their names in Unicode and ASCII domains, as `send/message` takes them."""
        return [email.format(idna_encode=self.backend.idna_encode) for email in emails]

    def expect(self, email: EmailAddress) -> bool:
        """Begin the status of a recipient; False if it has begun before."""
        address = self.wire_address(email).lower()
        if address in self.addresses:
            return False
        self.addresses[address] = email.addr_spec
        self.statuses[email.addr_spec] = AnymailRecipientStatus(None, "unknown")
        return True

    def requested(self, address: str) -> str:
        """The address of a recipient as the mail spells it."""
        return self.addresses.get(address.lower(), address)

    def accept(self, response: requests.Response) -> None:
        """Take the recipients' status from Postal's answer to the call, and tell the store.

        Raises `PostalAPIError` if it is not a success.
        """
        context = {"email_message": self.message, "payload": self, "backend": self.backend}
        answer = read_response(response, **context)
        result = read_data(wire.read_send, answer, self.config.name, response=response, **context)
        for address, message_id in result.messages.items():
            self.statuses[self.requested(address)] = AnymailRecipientStatus(message_id, "queued")
        self.record(result)

    def fail_unanswered(self) -> None:
        """Note that the calls failed of those recipients whom Postal did not name."""
        for address, status in self.statuses.items():
            if status.status == "unknown":
                self.statuses[address] = AnymailRecipientStatus(None, "failed")

    def record(self, result: wire.SendResult) -> None:
        """Tell the store, if there is one, what was sent.

        The mail is on its way by now: a database that fails must not make it look unsent, and be sent again.
        """
        store = conf.store()
        if store is None:
            return
        sent = [
            SentMessage(
                postal_id=int(message_id),
                token=message_id.token,
                recipient=self.requested(address),
                rfc_message_id=message_id.rfc_message_id,
                subject=self.call.subject,
                tag=self.call.tag,
                metadata=self.call.metadata,
            )
            for address, message_id in result.messages.items()
        ]
        try:
            store.record_sent(self.config.name, sent)
        except Exception:
            logger.exception("Postal accepted a mail that the store could not record: %s", result.messages)


class MessagePayload(PostalPayload):
    """A mail for `send/message` only, as django-anymail's Postal backend sends it."""

    def __init__(
        self,
        message: EmailMessage,
        defaults: dict[str, Any],
        backend: EmailBackend,
        config: conf.ServerConfig,
        consumed: frozenset[str] = frozenset(),
    ) -> None:
        self.consumed = consumed  # keys of esp_extra that are not Postal's
        self.recipients: list[EmailAddress] = []
        super().__init__(message, defaults, backend, config)

    def calls(self) -> Iterator[Callable[[], Call]]:
        yield self.only_call

    def only_call(self) -> Call:
        for email in self.recipients:
            self.expect(email)
        return Call(
            "send/message",
            self.data,
            subject=str(self.data.get("subject", "")),
            tag=str(self.data.get("tag", "")),
        )

    def init_payload(self) -> None:
        self.data: dict[str, Any] = {}

    def set_from_email(self, email: EmailAddress) -> None:
        self.data["from"] = email.format(idna_encode=self.backend.idna_encode)

    def set_recipients(self, recipient_type: str, emails: list[EmailAddress]) -> None:
        if emails:
            self.data[recipient_type] = self.wire_format(emails)
            self.recipients += emails

    def set_subject(self, subject: str) -> None:
        self.data["subject"] = subject

    def set_reply_to(self, emails: list[EmailAddress]) -> None:
        if len(emails) > 1:
            self.unsupported_feature("multiple reply_to addresses")
        if emails:
            self.data["reply_to"] = self.wire_format(emails)[0]

    def set_extra_headers(self, headers: Mapping[str, Any]) -> None:
        if "Message-ID" in headers:
            logger.warning("Postal replaces the Message-ID of mail sent with POSTAL_API = 'message'.")
        self.data["headers"] = headers

    def set_text_body(self, body: str) -> None:
        self.data["plain_body"] = body

    def set_html_body(self, body: str) -> None:
        self.data["html_body"] = body

    def set_attachments(self, attachments: list[Attachment]) -> None:
        if any(attachment.inline for attachment in attachments):
            self.unsupported_feature("inline attachments")
        if attachments:
            self.data["attachments"] = [attachment_params(each, each.name or "") for each in attachments]

    def set_envelope_sender(self, email: EmailAddress) -> None:
        if self.config.strict_envelope_sender:
            self.unsupported_feature("envelope_sender")
        else:
            self.data["sender"] = str(email)

    def set_tags(self, tags: list[str]) -> None:
        if len(tags) > 1:
            self.unsupported_feature("multiple tags")
        if tags:
            self.data["tag"] = tags[0]

    def set_esp_extra(self, extra: dict[str, Any]) -> None:
        self.data.update({key: value for key, value in extra.items() if key not in self.consumed})


class Payload(PostalPayload):
    """A mail for whichever call can carry it: `send/message`, unless it needs `send/raw`."""

    def __init__(
        self,
        message: EmailMessage,
        defaults: dict[str, Any],
        backend: EmailBackend,
        config: conf.ServerConfig,
        always_raw: bool,
    ) -> None:
        self.always_raw = always_raw
        super().__init__(message, defaults, backend, config)
        self.finish()

    # --- what the mail says ---

    def init_payload(self) -> None:
        self.contents = Contents()
        self.extra: dict[str, Any] = {}
        self.tag: Any = ""
        self.hides_links = False
        self.send_at: datetime | None = None
        self.metadata_channel = self.config.metadata
        self.template_id = ""
        self.merge_global_data: dict[str, Any] = {}
        self.merge_data: dict[str, dict[str, Any]] = {}
        self.merge_headers: dict[str, dict[str, Any]] = {}
        self.merge_metadata: dict[str, dict[str, Any]] = {}

    def set_from_email_list(self, emails: list[EmailAddress]) -> None:
        self.contents.from_emails = emails

    def set_recipients(self, recipient_type: str, emails: list[EmailAddress]) -> None:
        setattr(self.contents, recipient_type, emails)

    def set_spoofed_to_header(self, header_to: str) -> None:
        self.contents.spoofed_to = header_to

    def set_subject(self, subject: str) -> None:
        mime.check_header("Subject", subject)
        self.contents.subject = subject

    def set_reply_to(self, emails: list[EmailAddress]) -> None:
        self.contents.reply_to = emails

    def set_extra_headers(self, headers: Mapping[str, Any]) -> None:
        self.contents = with_headers(self.contents, headers)

    def set_text_body(self, body: str) -> None:
        self.contents.text = body or None

    def set_html_body(self, body: str) -> None:
        self.contents.html = body or None

    def add_alternative(self, content: str, mimetype: str) -> None:
        if mime.mimetype(mimetype) in mime.ALTERNATIVES:
            self.contents.alternatives.append((mimetype, content))
        else:
            super().add_alternative(content, mimetype)  # type: ignore[no-untyped-call]

    def set_attachments(self, attachments: list[Attachment]) -> None:
        self.contents.attachments = attachments

    def set_envelope_sender(self, email: EmailAddress) -> None:
        if self.config.strict_envelope_sender:
            self.unsupported_feature("envelope_sender")
        else:
            self.contents.envelope_sender = email

    def set_metadata(self, metadata: dict[str, Any]) -> None:
        self.contents.metadata = metadata

    def set_send_at(self, send_at: Any) -> None:
        if self.config.send_at != "store":
            self.unsupported_feature("send_at")
        elif not isinstance(send_at, datetime):
            self.unsupported_feature(f"send_at {send_at!r}, which is not a time")
        else:
            self.send_at = send_at
            self.is_scheduled = True

    def set_tags(self, tags: list[str]) -> None:
        separator = self.config.tag_separator
        if len(tags) > 1 and separator is None:
            self.unsupported_feature("multiple tags")
        if tags:
            self.tag = separator.join(map(str, tags)) if separator and len(tags) > 1 else tags[0]
        if len(str(self.tag)) > MAX_TAG:
            self.unsupported_feature(f"tags of more than {MAX_TAG} characters")
            self.tag = str(self.tag)[:MAX_TAG]

    def set_track_clicks(self, track_clicks: bool) -> None:
        if self.config.click_tracking is None or (track_clicks and self.config.click_tracking == "off"):
            self.unsupported_feature("track_clicks")
        else:
            self.hides_links = not track_clicks and self.config.click_tracking == "on"

    def set_track_opens(self, track_opens: bool) -> None:
        if self.config.open_tracking != ("on" if track_opens else "off"):
            self.unsupported_feature("track_opens")

    def set_template_id(self, template_id: str) -> None:
        self.template_id = template_id

    def set_merge_data(self, merge_data: dict[str, dict[str, Any]]) -> None:
        self.merge_data = merge_data

    def set_merge_global_data(self, merge_global_data: dict[str, Any]) -> None:
        self.merge_global_data = merge_global_data

    def set_merge_headers(self, merge_headers: dict[str, dict[str, Any]] | None) -> None:
        self.merge_headers = force_non_lazy_dict(merge_headers or {})

    def set_merge_metadata(self, merge_metadata: dict[str, dict[str, Any]]) -> None:
        self.merge_metadata = merge_metadata

    def set_esp_extra(self, extra: dict[str, Any]) -> None:
        self.extra = {key: value for key, value in extra.items() if key not in OWN_EXTRA}
        self.metadata_channel = extra.get("metadata", self.metadata_channel)
        if self.metadata_channel not in ("auto", "message_id", "store"):
            self.unsupported_feature(f"esp_extra['metadata'] = {self.metadata_channel!r}")

    def finish(self) -> None:
        """Settle what only all attributes together decide: who is mailed, and in how many calls."""
        if not self.template_id and not self.config.inline_merge:
            if any(self.merge_data.values()):
                self.unsupported_feature("merge_data without template_id")
            if self.merge_global_data:
                self.unsupported_feature("merge_global_data without template_id")
        self.keep_recipients(self.expect)  # once each: Postal mails a repeated address twice
        if self.config.suppression == "store":
            self.leave_out_suppressed()
        self.is_personal = self.is_batch() and bool(self.contents.to)

    def keep_recipients(self, is_kept: Callable[[EmailAddress], bool]) -> None:
        """Leave out all other recipients."""
        for kind in ("to", "cc", "bcc"):
            setattr(self.contents, kind, list(filter(is_kept, getattr(self.contents, kind))))

    def leave_out_suppressed(self) -> None:
        """Report recipients whose mail bounced before as rejected, and do not mail them again."""
        store = conf.require_store("POSTAL_SUPPRESSION = 'store'")
        addresses = [email.addr_spec for email in self.contents.recipients]
        suppressed = store.suppressed(self.config.name, addresses)
        for address in suppressed:
            self.statuses[address] = AnymailRecipientStatus(None, "rejected")
        self.keep_recipients(lambda email: email.addr_spec not in suppressed)

    # --- the calls that send it ---

    def calls(self) -> Iterator[Callable[[], Call]]:
        if self.is_personal:
            for email in self.contents.to:
                yield partial(self.personal_call, email)
        elif self.contents.recipients:
            yield self.only_call

    def only_call(self) -> Call:
        """The call for a mail that is the same for everybody."""
        return self.call_for(self.merged(self.contents, self.merge_global_data))

    def personal_call(self, email: EmailAddress) -> Call:
        """The call for one To recipient, who sees no other; Cc and Bcc get a copy of each."""
        address = email.addr_spec
        contents = replace(
            self.contents,
            to=[email],
            metadata={**self.contents.metadata, **self.merge_metadata.get(address, {})},
        )
        contents = with_headers(contents, self.merge_headers.get(address, {}))
        return self.call_for(
            self.merged(contents, {**self.merge_global_data, **self.merge_data.get(address, {})})
        )

    def schedule(self) -> None:
        """Keep the calls in the store until their time."""
        store = conf.require_store("POSTAL_SEND_AT = 'store'")
        send_at = cast("datetime", self.send_at)
        sends = []
        for make in self.calls():
            call = make()
            self.serialize_json(call.params)  # now is the time to complain
            sends.append(
                ScheduledSend(
                    server=self.config.name,
                    send_at=send_at,
                    endpoint=call.endpoint,
                    params=call.params,
                    subject=call.subject,
                    tag=call.tag,
                    metadata=call.metadata,
                )
            )
        store.schedule(sends)
        for email in self.contents.recipients:
            self.statuses[email.addr_spec] = AnymailRecipientStatus(None, "queued")

    def merged(self, contents: Contents, context: dict[str, Any]) -> Contents:
        """The contents with the merge data filled in, by the templates that `template_id` names."""
        if self.template_id:
            return from_templates(contents, self.template_id, context)
        if self.config.inline_merge and (self.merge_data or self.merge_global_data):
            return from_itself(contents, context)
        return contents

    def call_for(self, contents: Contents) -> Call:
        """The call that carries these contents."""
        if self.hides_links:
            contents = replace(
                contents,
                text=contents.text and TEXT_LINK.sub(r"\1+notrack", contents.text),
                html=contents.html and HTML_LINK.sub(mark, contents.html),
            )
        message_id = self.message_id_for(contents)
        is_raw = self.always_raw or message_id is not None or needs_raw(contents)
        return Call(
            "send/raw" if is_raw else "send/message",
            self.raw_params(contents, message_id) if is_raw else self.message_params(contents),
            subject=contents.subject,
            tag=str(self.tag),
            metadata=contents.metadata,
        )

    def message_id_for(self, contents: Contents) -> str | None:
        """The Message-ID that the mail must have: the caller's, or one that carries the metadata.

        Raises `PostalMetadataTooLarge` if neither it nor the store can carry the metadata.
        """
        if not contents.metadata:
            return contents.message_id
        if self.metadata_channel == "store":
            conf.require_store("Metadata in the store")
            return contents.message_id
        is_stored = self.metadata_channel == "auto" and conf.store() is not None
        try:
            if contents.message_id is None:
                return self.sealed(contents)
            if not is_stored:
                raise PostalMetadataTooLarge(
                    "The mail has a Message-ID of its own, which leaves 0 bytes for metadata. Leave it out, "
                    "or install anymail_postal.contrib.store, which keeps metadata of any size.",
                    email_message=self.message,
                    backend=self.backend,
                )
        except PostalMetadataTooLarge:
            if not is_stored:
                raise
        return contents.message_id

    def sealed(self, contents: Contents) -> str:
        """A Message-ID that carries the metadata."""
        try:
            return metadata.seal(
                contents.metadata,
                conf.secret_keys(self.config)[0],
                secrets.token_bytes(metadata.NONCE_BYTES),
                self.domain(contents),
            )
        except PostalMetadataTooLarge:
            raise
        except (TypeError, ValueError) as error:
            raise AnymailSerializationError(
                orig_err=error, email_message=self.message, backend=self.backend, payload=self
            ) from None

    def domain(self, contents: Contents) -> str:
        """The right side of Message-IDs."""
        return self.config.message_id_domain or self.wire_address(contents.from_emails[0]).rpartition("@")[2]

    def message_params(self, contents: Contents) -> dict[str, Any]:
        """The parameters of `send/message`."""
        sender = contents.sender
        if sender is None and contents.envelope_sender is not None:
            sender = str(contents.envelope_sender)
        params = {
            "from": ", ".join(self.wire_format(contents.from_emails)),
            "to": self.wire_format(contents.to),
            "cc": self.wire_format(contents.cc),
            "bcc": self.wire_format(contents.bcc),
            "subject": contents.subject,
            "sender": sender,
            "reply_to": ", ".join(self.wire_format(contents.reply_to)),
            "headers": dict(contents.headers),
            "plain_body": contents.text,
            "html_body": contents.html,
            "attachments": [attachment_params(each, file_name(each)) for each in contents.attachments],
            "tag": self.tag,
        }
        return {**{key: value for key, value in params.items() if value or key == "subject"}, **self.extra}

    def raw_params(self, contents: Contents, message_id: str | None) -> dict[str, Any]:
        """The parameters of `send/raw`."""
        extra = dict(self.extra)
        sender = extra.pop("sender", None) or contents.sender
        sender_email = parse_single_address(sender, field="sender") if sender else None
        headers = CaseInsensitiveDict(contents.headers)
        date = headers.pop("Date", None)
        if self.tag:
            headers["X-Postal-Tag"] = self.tag
        mail = mime.Mail(
            from_=self.mailboxes(contents.from_emails),
            sender=self.mailboxes([sender_email])[0] if sender_email else None,
            reply_to=self.mailboxes(contents.reply_to),
            to=self.mailboxes(contents.to),
            spoofed_to=contents.spoofed_to,
            cc=[] if "Cc" in headers else self.mailboxes(contents.cc),
            message_id=message_id or f"{secrets.token_urlsafe(18)}@{self.domain(contents)}",
            date=str(date) if date else datetime.now(timezone.utc),
            subject=contents.subject,
            headers=[(name, str(value)) for name, value in headers.items()],
            text=contents.text,
            html=contents.html,
            alternatives=contents.alternatives,
            inline=[as_file(each) for each in contents.attachments if each.inline],
            attachments=[as_file(each) for each in contents.attachments if not each.inline],
        )
        mail_from = contents.envelope_sender or sender_email or contents.from_emails[0]
        recipients = map(self.wire_address, contents.recipients)
        data = mime.compose(mail, secrets.token_hex(8))
        return {**wire.raw_params(self.wire_address(mail_from), recipients, data), **extra}

    def mailboxes(self, emails: Iterable[EmailAddress]) -> list[mime.Mailbox]:
        """Addresses as `mime` takes them."""
        return [mime.Mailbox(email.display_name, self.wire_address(email)) for email in emails]


def mark(link: re.Match[str]) -> str:
    """A link of HTML as one that Postal leaves alone; it knows schemes in lower case only."""
    return f"{link[1]}{link[2].lower()}+notrack"


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


def from_templates(contents: Contents, template_id: str, context: dict[str, Any]) -> Contents:
    """The contents by the templates `<template_id>.subject.txt`, `.txt` and `.html`, as far as they exist.

    Raises TemplateDoesNotExist if there is neither of the last two.
    """
    subject = rendered(f"{template_id}.subject.txt", context, autoescape=False)
    text = rendered(f"{template_id}.txt", context, autoescape=False)
    html = rendered(f"{template_id}.html", context, autoescape=True)
    if text is None and html is None:
        raise TemplateDoesNotExist(f"{template_id}.txt or {template_id}.html")
    return replace(
        contents,
        subject=contents.subject if subject is None else one_line(subject),
        text=contents.text if text is None else text,
        html=contents.html if html is None else html,
    )


def rendered(name: str, context: dict[str, Any], *, autoescape: bool) -> str | None:
    """The text of a template, None if there is none. Engines other than Django's escape as they are set."""
    try:
        template = get_template(name)
    except TemplateDoesNotExist:
        return None
    if isinstance(template, DjangoTemplate):
        return str(template.template.render(Context(context, autoescape=autoescape)))
    return str(template.render(context))


def from_itself(contents: Contents, context: dict[str, Any]) -> Contents:
    """The contents with subject and bodies taken as Django templates."""
    engine = Engine.get_default()

    def filled(source: str, autoescape: bool) -> str:
        return str(engine.from_string(source).render(Context(context, autoescape=autoescape)))

    return replace(
        contents,
        subject=one_line(filled(contents.subject, autoescape=False)),
        text=contents.text and filled(contents.text, autoescape=False),
        html=contents.html and filled(contents.html, autoescape=True),
    )


def one_line(text: str) -> str:
    """The text of a template as a subject."""
    return " ".join(text.split())
