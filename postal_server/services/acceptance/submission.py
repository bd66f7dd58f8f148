"""Accept outgoing mail, from the API or authenticated SMTP: what the journal appends.

Nothing here touches the database: the caller brings the directory, the time and the randomness.
Source: contract 1.7 to 1.10, 1.13 and 5.5.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from postal_server.conf import Config
from postal_server.errors import (
    HeaderTooLarge,
    MalformedHeader,
    MessageTooLarge,
    ParameterError,
    UnauthenticatedFromAddress,
)
from postal_server.mail.address import (
    as_stored,
    bare_address,
    split_address,
    unquoted,
)
from postal_server.mail.address_list import MAX_ORIGINATORS, Recipient, originators, recipients_in
from postal_server.mail.charset import decode_undeclared
from postal_server.mail.compose import OutgoingAttachment, OutgoingMail, compose
from postal_server.mail.encoded_word import neutralize
from postal_server.mail.header import (
    MAX_FIELDS,
    decode_header,
    find_body,
    header_fields,
    is_header_too_large,
    remove_header,
    subject,
)
from postal_server.mail.message import received_line
from postal_server.mail.origination import complete
from postal_server.rules.priority import Priority
from postal_server.rules.priority import of_header as priority_of_header
from postal_server.rules.status import Scope
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import CredentialEntry, DomainEntry, ServerEntry
from postal_server.services.shared.recipient import envelope_recipient
from postal_server.services.shared.work import Accepted, NewMessage
from postal_server.wire import api

from . import stream

MAX_API_MESSAGE_BYTES = 50 * 1024 * 1024
AUTHORS = ("from", "sender")
TAG_HEADER = "x-postal-tag"
STREAM_HEADER = stream.HEADER.lower()
IGNORED_CHARACTERS = 80

FIELD_NAMES = re.compile(r"[!-9;-~]*\Z")  # RFC 5322 section 2.2
NOT_IN_NAME = re.compile(r"[^!-9;-~]")


@dataclass(frozen=True)
class Client:
    """Who sends: an IP address, and its name in DNS if that is known."""

    ip: str
    name: str | None = None


@dataclass(frozen=True)
class Submitted:
    """An accepted submission. `keys` holds each recipient as it was named, and its place in `messages`."""

    accepted: Accepted
    keys: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class HeaderFacts:
    """What is stored of a message's header."""

    subject: str | None
    message_id: str | None
    tag: str | None
    priority: Priority
    stream: str = ""
    ignored_stream: str = ""


def submit_message(
    request: api.SendMessage,
    credential: CredentialEntry,
    directory: Directory,
    *,
    client: Client,
    message_uuid: str,
    boundaries: tuple[str, str],
    config: Config,
    now: datetime,
) -> Submitted:
    """What `send/message` asks for. Raises a `Refusal`, the first one in Postal's order."""
    api.check_before_authorization(request)
    server = directory.servers[credential.server_id]
    head = _by_name(request.headers)
    named = request.stream or _named_stream(head)
    senders = () if request.sender is None else (request.sender,)
    author = neutralize(request.from_ or "")
    domain = authorize(directory, server, (author,), senders)
    api.check_attachments(request)
    recipients = api.recipients(request)
    new_id = f"{message_uuid}@{config.dns.return_path_domain}"
    received = received_line(
        "api",
        ip=client.ip,
        rdns=client.name,
        by=config.postal.web_hostname,
        via="HTTP",
        at=now,
        private=server.privacy_mode,
    )
    raw = compose(_mail(request), message_id=new_id, date=now, received=received, boundaries=boundaries)
    if len(raw) > MAX_API_MESSAGE_BYTES:
        raise MessageTooLarge
    _check_header_size(raw, config)
    facts = HeaderFacts(
        subject=subject(raw),
        message_id=new_id,
        tag=_first_not_blank(request.tag, *_tag_headers(request)),
        priority=priority_of_header(head),
        stream=named,
    )
    return _submit(
        raw,
        recipients,
        credential,
        domain,
        server,
        mail_from=_author(author),
        facts=facts,
        is_bounce=request.bounce,
        received_with_ssl=True,
    )


def submit_raw(
    request: api.SendRaw,
    credential: CredentialEntry,
    directory: Directory,
    *,
    new_id: Callable[[], str],
    config: Config,
    now: datetime,
) -> Submitted | None:
    """What `send/raw` asks for, or None where there is no recipient. Raises a `Refusal`.

    `new_id` makes the Message-ID, without brackets, of a mail that has none; `now` is its Date.
    """
    server = directory.servers[credential.server_id]
    raw = normalize(request.data)
    if len(raw) > MAX_API_MESSAGE_BYTES:
        raise MessageTooLarge
    _check_header_size(raw, config)
    head = read_head(raw)
    named = request.stream or _named_stream(head)
    try:
        domain = authorize(directory, server, head["from"], head["sender"])
    except UnauthenticatedFromAddress as refusal:
        refusal.text = None  # this action says no more than the code
        raise
    if not (recipients := api.raw_recipients(request)):
        return None
    raw, message_id = complete(_without_stream(raw, head), head, at=0, new_id=new_id, now=now)
    return _submit(
        raw,
        recipients,
        credential,
        domain,
        server,
        mail_from=as_stored(request.mail_from),
        facts=_header_facts(head, message_id, named),
        is_bounce=request.bounce,
        received_with_ssl=True,
    )


def submit_smtp(
    raw: bytes,
    recipients: Sequence[str],
    credential: CredentialEntry,
    directory: Directory,
    *,
    reverse_path: str | None,
    received_with_ssl: bool,
    new_id: Callable[[], str],
    now: datetime,
) -> Accepted:
    """A mail from an authenticated SMTP client; `raw` begins with our Received line. Raises a `Refusal`.

    A null reverse-path is recorded, but does not make the mail a bounce. `new_id` makes the Message-ID,
    without brackets, of a mail that has none; `now` is its Date.
    """
    server = directory.servers[credential.server_id]
    head = read_head(raw)
    domain = authorize(directory, server, head["from"], head["sender"])
    raw = _without_stream(raw, head)
    raw, message_id = complete(raw, head, at=raw.find(b"\n") + 1, new_id=new_id, now=now)
    named, ignored = _stream_of_smtp(head)
    return _submit(
        raw,
        [Recipient(recipient, recipient) for recipient in recipients],
        credential,
        domain,
        server,
        mail_from=reverse_path,
        facts=_header_facts(head, message_id, named, ignored),
        received_with_ssl=received_with_ssl or None,
    ).accepted


def check_sender(raw: bytes, credential: CredentialEntry, directory: Directory) -> None:
    """Raise `UnauthenticatedFromAddress` for a mail whose From this credential's server may not use."""
    head = read_head(raw)
    authorize(directory, directory.servers[credential.server_id], head["from"], head["sender"])


def authorize(
    directory: Directory, server: ServerEntry, from_values: Iterable[str], sender_values: Iterable[str]
) -> DomainEntry:
    """The domain that lets `server` send as this. Raises `UnauthenticatedFromAddress`.

    Every address of every From field must be authorized (unlike Postal's, contract Q5), and the first one
    decides the domain; where the server allows it, those of the Sender fields will do.
    """
    domain = _domain_of_all(directory, server, from_values)
    if domain is None and server.allow_sender:
        domain = _domain_of_all(directory, server, sender_values)
    if domain is None:
        raise UnauthenticatedFromAddress
    return domain


def _domain_of_all(directory: Directory, server: ServerEntry, values: Iterable[str]) -> DomainEntry | None:
    authorizing, left = None, MAX_ORIGINATORS
    for value in values:
        left -= len(value)
        if left < 0:  # of all fields together, as each of them takes time
            return None
        try:
            addresses = originators(value)
        except ValueError:
            return None
        domains = [directory.authorized_domain(server, address) for address in addresses]
        if not all(domains) or not domains:
            return None
        authorizing = authorizing or domains[0]
    return authorizing


def normalize(data: bytes) -> bytes:
    """The message as it is stored: header, CRLF CRLF, body. Line ends elsewhere stay as they are."""
    header_end, body_start = find_body(data, 0, len(data))
    if data.startswith(b"\r\n\r\n", header_end - 2) and data.endswith(b"\r\n", 0, header_end):
        return data
    return data[:header_end].rstrip(b"\r\n") + b"\r\n\r\n" + data[body_start:]


def _mail(request: api.SendMessage) -> OutgoingMail:
    return OutgoingMail(
        to=list(request.to),
        cc=list(request.cc),
        from_=request.from_ or "",
        sender=request.sender,
        subject=request.subject,
        reply_to=request.reply_to,
        plain_body=request.plain_body,
        html_body=request.html_body,
        headers=[(name, value) for name, value in request.headers if name.lower() != STREAM_HEADER],
        attachments=[
            OutgoingAttachment(item.name or "", item.content_type, item.data or b"")
            for item in request.attachments
        ],
    )


def _tag_headers(request: api.SendMessage) -> list[str]:
    return [value for name, value in reversed(request.headers) if name.lower() == TAG_HEADER]


def _check_header_size(raw: bytes, config: Config) -> None:
    """Raise `HeaderTooLarge` for what the SMTP server refuses while it arrives."""
    if is_header_too_large(raw, config.max_header_bytes, config.smtp_server.max_header_fields):
        raise HeaderTooLarge


def read_head(raw: bytes) -> Mapping[str, Sequence[str]]:
    """The values of each field by its lower-case name, none for one that is not there. Read once.

    Raises the refusals of a header that would be sent otherwise than it is read here: with more fields, or
    with a bare CR, which some take for the end of a line.
    """
    header = raw[: find_body(raw, 0, len(raw))[0]]
    if header.count(b"\r") != header.count(b"\r\n"):
        raise MalformedHeader
    fields = header_fields(header)
    if len(fields) >= MAX_FIELDS:
        raise HeaderTooLarge
    if b"\0" in header and any(name.lower() in AUTHORS and b"\0" in value for name, value in fields):
        raise UnauthenticatedFromAddress  # some readers end there
    values = _by_name((name, decode_undeclared(value)) for name, value in fields)
    if not FIELD_NAMES.match("".join(values)):
        for name in [name for name in values if not FIELD_NAMES.match(name)]:
            values[NOT_IN_NAME.sub("", name)] += values[name]  # as readers may take it
    return values


def _by_name(fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in fields:
        values[name.lower()].append(value)
    return values


def _author(text: str) -> str:
    """The first address of a From field, by Postal's rules where it cannot be parsed."""
    try:
        return recipients_in(text)[0].address
    except (ValueError, IndexError):
        return bare_address(text)


def _header_facts(
    head: Mapping[str, Sequence[str]], message_id: str, named_stream: str, ignored_stream: str = ""
) -> HeaderFacts:
    """What the header of a complete message says; of repeated fields the last one counts."""
    subjects = head["subject"]
    return HeaderFacts(
        subject=decode_header(subjects[-1]) if subjects else None,
        message_id=message_id,
        tag=_first_not_blank(*reversed(head[TAG_HEADER])),
        priority=priority_of_header(head),
        stream=named_stream,
        ignored_stream=ignored_stream,
    )


def _named_stream(head: Mapping[str, Sequence[str]]) -> str:
    """The stream that the header names; empty for none. Raises `ParameterError` for what is no name."""
    values = head.get(STREAM_HEADER)
    name = (_first_not_blank(*reversed(values)) or "").strip() if values else ""
    if name:
        api.check_stream(f"`{stream.HEADER}` header", name)
    return name


def _stream_of_smtp(head: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """The stream that the header names, and what it has in place of a name: a mail is not refused for it."""
    try:
        return _named_stream(head), ""
    except ParameterError:
        return "", head[STREAM_HEADER][-1].strip()[:IGNORED_CHARACTERS]


def _without_stream(raw: bytes, head: Mapping[str, Sequence[str]]) -> bytes:
    return remove_header(raw, stream.HEADER) if head.get(STREAM_HEADER) else raw


def _first_not_blank(*values: str | None) -> str | None:
    return next((value for value in values if value and value.strip()), None)


def _submit(
    raw: bytes,
    recipients: Sequence[Recipient],
    credential: CredentialEntry,
    domain: DomainEntry,
    server: ServerEntry,
    *,
    mail_from: str | None,
    facts: HeaderFacts,
    is_bounce: bool = False,
    received_with_ssl: bool | None,
) -> Submitted:
    messages: list[NewMessage] = []
    places: dict[tuple[str, str], int] = {}
    keys = []
    for recipient in recipients:
        rcpt_to, destination = envelope_recipient(recipient.address)
        identity = (unquoted(split_address(rcpt_to or "")[0]), destination)
        if identity not in places:
            places[identity] = len(messages)
            messages.append(
                NewMessage(
                    server_id=credential.server_id,
                    scope=Scope.OUTGOING,
                    rcpt_to=rcpt_to,
                    destination=destination,
                    domain_id=domain.id,
                    credential_id=credential.id,
                    is_bounce=is_bounce,
                )
            )
        keys.append((recipient.name, places[identity]))
    accepted = Accepted(
        raw=raw,
        messages=tuple(messages),
        mail_from=mail_from,
        subject=facts.subject,
        message_id=facts.message_id,
        tag=facts.tag,
        stream=facts.stream or stream.derived(server, domain, credential, facts.tag),
        ignored_stream=facts.ignored_stream,
        priority=facts.priority.value,
        received_with_ssl=received_with_ssl,
    )
    return Submitted(accepted, keys)
