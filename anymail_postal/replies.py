"""Replies: reply addresses for mail to send, and matching incoming mail to what it replies to.

With "anymail_postal" in INSTALLED_APPS, the signals `reply_received` and `reply_rejected` are sent for mail
that the inbound view receives. Other projects call `connect()` once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from email.utils import getaddresses
from itertools import islice
from typing import Any, Literal
from uuid import UUID

from anymail.exceptions import AnymailConfigurationError
from anymail.inbound import AnymailInboundMessage
from anymail.signals import AnymailInboundEvent, inbound
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from . import conf, setting_values, signals
from .auto_response import is_auto_response
from .errors import ReplyTokenError
from .quotations import is_forwarded, is_replied
from .reply_address import ReplyToken, address_pattern, make_token, open_token

UNSET: Any = object()
DEFAULT_PURPOSE = "reply"
# Reply addresses and Message-IDs that are tried: a hostile mail may have a million of them.
MAX_CANDIDATES = 50
MAX_SENDER = 998  # characters of a From header: one line (RFC 5322, section 2.1.1)

MESSAGE_ID = re.compile(r"<([^<>\s]+)>")
Via = Literal["envelope", "To", "Cc", "Delivered-To", "In-Reply-To", "References"]
Reason = Literal["token", "auto_response", "sender"]


@dataclass(frozen=True)
class ReplyMatch:
    """What a mail replies to. It proves that the sender knows the address or the mail, not who the sender is.

    A reply address gives `object_id` and perhaps `user_id`. A Message-ID of ours, in In-Reply-To or
    References, gives the `metadata` sealed in it. `sender_matches` is whether From is the user's address,
    None if there is no user to compare with.
    """

    via: Via
    object_id: int | UUID | None = None
    user_id: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    sender_matches: bool | None = None
    is_auto_response: bool = False


def reply_address(
    obj: Model | int | UUID,
    user: Model | int | None = None,
    *,
    purpose: str = DEFAULT_PURPOSE,
    max_age: timedelta | float | None = UNSET,
    server: str = conf.DEFAULT_SERVER,
) -> str:
    """An address for `reply_to=[...]`: `match_reply` matches mail to it to `obj`.

    `obj` is a saved object or its id, `user` the recipient of the mail. `max_age` is a timedelta, seconds, or
    None for ever, by default POSTAL_REPLY_MAX_AGE, and is rounded up to the end of a day in UTC. Raises
    `AnymailConfigurationError` without a POSTAL_REPLY_DOMAIN, and ValueError for an id that is neither a
    whole number of 64 bits nor a UUID, and for a UUID with a user.
    """
    config = conf.server(server)
    if config.reply_domain is None:
        raise AnymailConfigurationError(
            "You must set ANYMAIL = {'POSTAL_REPLY_DOMAIN': ...} in your Django settings"
            " to make reply addresses."
        )
    max_age = (
        config.reply_max_age
        if max_age is UNSET
        else setting_values.optional(setting_values.duration)(max_age)
    )
    token = ReplyToken(_id(obj), None if user is None else _user_id(user), _last_day(max_age))
    text = make_token(token, conf.secret_keys(config)[0], purpose)
    return f"{config.reply_local_part}+{text}@{config.reply_domain}"


def match_reply(
    message: AnymailInboundMessage,
    *,
    purpose: str = DEFAULT_PURPOSE,
    server: str = conf.DEFAULT_SERVER,
) -> ReplyMatch | None:
    """What a mail replies to, None if that is nothing of ours.

    Reply addresses take precedence over Message-IDs. Raises `ReplyTokenError` if there are reply addresses
    but all are forged, damaged, expired or for another purpose.
    """
    config = conf.server(server)
    match = _by_address(message, purpose, config) or _by_message_id(message, config)
    if match is None:
        return None
    return replace(
        match,
        sender_matches=_sender_matches(message, match.user_id, config),
        is_auto_response=_is_auto_response(message),
    )


def is_answer(message: AnymailInboundMessage, *, server: str = conf.DEFAULT_SERVER) -> bool:
    """Whether a mail is a reply, by its headers. Forwarded mail is not.

    A reply is sent to a reply address, has In-Reply-To or References, or a subject that begins with "Re:" in
    one of the languages of `quotation_words`.
    """
    config = conf.server(server)
    subject = message.subject or ""
    if is_forwarded(subject, lambda: message.text or ""):
        return False
    return (
        bool(_values(message, "In-Reply-To") or _values(message, "References"))
        or is_replied(subject)
        or (config.reply_domain is not None and any(_tokens(message, config)))
    )


def auto_headers() -> dict[str, str]:
    """Headers for automatic mail, so that other programs do not reply to it (RFC 3834)."""
    return {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


def connect() -> None:
    """Connect the signals for replies. The app in INSTALLED_APPS does so itself."""
    inbound.connect(receive, dispatch_uid="anymail_postal.replies")


def receive(sender: type, event: AnymailInboundEvent, esp_name: str, **kwargs: Any) -> None:
    """A receiver of Anymail's `inbound`: sends our signals if the mail replies to something of ours."""
    if esp_name != conf.ESP_NAME:
        return
    facts = getattr(event, "postal", None)
    server = conf.DEFAULT_SERVER if facts is None else facts.server
    match, reason = None, None
    try:
        match = match_reply(event.message, server=server)
    except ReplyTokenError:
        reason = "token"
    if match is not None:
        if facts is not None and facts.is_auto_response:
            match = replace(match, is_auto_response=True)
        reason = _objection(match, conf.server(server))
    elif reason is None:
        return
    signal = signals.reply_received if reason is None else signals.reply_rejected
    signal.send(sender=sender, match=match, message=event.message, event=event, reason=reason)


def _objection(match: ReplyMatch, config: conf.ServerConfig) -> Reason | None:
    """Why a matched mail must not be acted on; None if it may be."""
    if match.is_auto_response:
        return "auto_response"
    if config.reply_sender_check == "require" and match.sender_matches is False:
        return "sender"
    return None


# --- making addresses ---


def _id(obj: Model | int | UUID) -> int | UUID:
    """The id of an object."""
    found = obj.pk if isinstance(obj, Model) else obj
    if isinstance(found, bool) or not isinstance(found, (int, UUID)):
        raise ValueError(
            f"A reply address can hold a whole number or a UUID, not {found!r}, the id of {obj!r}."
        )
    return found


def _user_id(user: Model | int) -> int:
    found = _id(user)
    if isinstance(found, UUID):
        raise ValueError("A reply address has no room for a user whose id is a UUID.")
    return found


def _last_day(max_age: timedelta | None) -> date | None:
    """The day in UTC on which something of now reaches an age."""
    if max_age is None:
        return None
    try:
        return (datetime.now(timezone.utc) + max_age).date()
    except OverflowError:
        raise ValueError(f"A max_age of {max_age} is too long.") from None


# --- matching mail ---


def _by_address(message: AnymailInboundMessage, purpose: str, config: conf.ServerConfig) -> ReplyMatch | None:
    if config.reply_domain is None:
        return None
    refusal: ReplyTokenError | None = None
    secrets, today = conf.secret_keys(config), datetime.now(timezone.utc).date()
    for via, text in islice(_tokens(message, config), MAX_CANDIDATES):
        try:
            token = open_token(text, secrets, purpose, today)
        except ReplyTokenError as error:
            refusal = error
        else:
            return ReplyMatch(via, token.object_id, token.user_id)
    if refusal is not None:
        raise refusal
    return None


def _tokens(message: AnymailInboundMessage, config: conf.ServerConfig) -> Iterator[tuple[Via, str]]:
    """The reply addresses in a mail: where each is, and its token."""
    pattern = address_pattern(config.reply_local_part, str(config.reply_domain))
    places: list[tuple[Via, list[str]]] = [
        ("envelope", [message.envelope_recipient or ""]),
        ("To", _values(message, "To")),
        ("Cc", _values(message, "Cc")),
        ("Delivered-To", _values(message, "Delivered-To")),
    ]
    for via, values in places:
        for value in values:
            for found in pattern.finditer(value):
                yield via, found[1]


def _by_message_id(message: AnymailInboundMessage, config: conf.ServerConfig) -> ReplyMatch | None:
    from .metadata import open_message_id  # noqa: PLC0415  (needs cryptography, which may be missing)

    secrets = conf.secret_keys(config)
    for via, message_id in islice(_message_ids(message), MAX_CANDIDATES):
        metadata = open_message_id(message_id, secrets)
        if metadata is not None:
            return ReplyMatch(via, metadata=metadata)
    return None


def _message_ids(message: AnymailInboundMessage) -> Iterator[tuple[Via, str]]:
    """The Message-IDs that a mail replies to: that of In-Reply-To, then the thread from the newest mail."""
    for found in MESSAGE_ID.finditer(" ".join(_values(message, "In-Reply-To"))):
        yield "In-Reply-To", found[1]
    for message_id in reversed(MESSAGE_ID.findall(" ".join(_values(message, "References")))):
        yield "References", message_id


def _values(message: AnymailInboundMessage, name: str) -> list[str]:
    """The values of a header as they are in the mail, not parsed, because they may be hostile."""
    return [str(value) for key, value in message.raw_items() if key.lower() == name.lower()]


def _sender_matches(
    message: AnymailInboundMessage, user_id: int | None, config: conf.ServerConfig
) -> bool | None:
    """Whether the only From address is the user's, compared without case; None if there is no user."""
    if user_id is None or config.reply_sender_check == "off":
        return None
    expected = _email(user_id).lower()
    return bool(expected) and _senders(message) == [expected]


def _senders(message: AnymailInboundMessage) -> list[str]:
    """The From addresses in lower case; none if the header is too long or too deeply nested."""
    values = _values(message, "From")
    if sum(map(len, values)) > MAX_SENDER:  # the time of Python's parser grows with the square
        return []
    try:
        return [address.lower() for _, address in getaddresses(values)]
    except RecursionError:  # nested comments
        return []


def _email(user_id: int) -> str:
    """The address of a user, "" if there is no such user."""
    try:
        users = get_user_model()
    except ImproperlyConfigured:
        return ""  # the project has no users
    emails = users._default_manager.filter(pk=user_id).values_list(users.get_email_field_name(), flat=True)
    return emails.first() or ""


def _is_auto_response(message: AnymailInboundMessage) -> bool:
    """Whether the mail itself is automatic. With an envelope, a sender of None is the null reverse-path."""
    has_envelope = message.envelope_recipient is not None
    return is_auto_response(message, message.envelope_sender or ("" if has_envelope else "unknown"))
