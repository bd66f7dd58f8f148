"""Replies: addresses to put into mail, and what an incoming mail answers.

`reply_received` and `reply_rejected` (see `anymail_postal.signals`) are sent for mail that the inbound view
takes, if "anymail_postal" is in INSTALLED_APPS; a project without it calls `connect()` once.
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

from . import conf, signals
from .auto_response import is_auto_response
from .errors import ReplyTokenError
from .quotations import is_forwarded, is_replied
from .reply_address import ReplyToken, address_pattern, make_token, open_token

UNSET: Any = object()
DEFAULT_PURPOSE = "reply"
# Anybody may write a mail with a million of them.
MAX_CANDIDATES = 50
MAX_SENDER = 998  # characters of a From that is read: a line (RFC 5322, section 2.1.1)

MESSAGE_ID = re.compile(r"<([^<>\s]+)>")
Via = Literal["envelope", "To", "Cc", "Delivered-To", "In-Reply-To", "References"]
Reason = Literal["token", "auto_response", "sender"]


@dataclass(frozen=True)
class ReplyMatch:
    """What a mail answers. It proves that its sender has seen the address or the mail, not who that is.

    A reply address gives `object_id` and perhaps `user_id`; a Message-ID of ours, echoed by In-Reply-To or
    References, gives the `metadata` sealed in it. `sender_matches` says whether From is the user's address,
    None where there is no user to compare with.
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
    """An address whose mail `match_reply` recognises as an answer to `obj`, for `reply_to=[...]`.

    `obj` is a saved object or its id, `user` the person the mail goes to. `max_age` (a timedelta or seconds;
    by default POSTAL_REPLY_MAX_AGE, None for ever) is rounded up to the end of a day, UTC. Raises
    `AnymailConfigurationError` without a POSTAL_REPLY_DOMAIN, ValueError for an id that is neither a whole
    number of 64 bits nor a UUID, and for a UUID together with a user.
    """
    config = conf.server(server)
    if config.reply_domain is None:
        raise AnymailConfigurationError(
            "You must set ANYMAIL = {'POSTAL_REPLY_DOMAIN': ...} in your Django settings"
            " to make reply addresses."
        )
    max_age = config.reply_max_age if max_age is UNSET else conf.optional(conf.duration)(max_age)
    token = ReplyToken(_id(obj), None if user is None else _user_id(user), _last_day(max_age))
    text = make_token(token, conf.secret_keys(config)[0], purpose)
    return f"{config.reply_local_part}+{text}@{config.reply_domain}"


def match_reply(
    message: AnymailInboundMessage,
    *,
    purpose: str = DEFAULT_PURPOSE,
    server: str = conf.DEFAULT_SERVER,
) -> ReplyMatch | None:
    """What `message` answers, None if it answers nothing of ours.

    Reply addresses count before Message-IDs. Raises `ReplyTokenError` if there are reply addresses, but none
    is good: forged, damaged, expired, or of another purpose.
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
    """Whether a mail answers another one, going by its headers; who forwards a mail does not answer it.

    It is sent to a reply address, names the mail that it answers, or its subject begins with "Re:", in any of
    the languages of `quotation_words`.
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
    """Headers for mail that a program sends by itself, so that no other program answers it (RFC 3834)."""
    return {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


def connect() -> None:
    """Have `reply_received` and `reply_rejected` sent. Done by "anymail_postal" in INSTALLED_APPS."""
    inbound.connect(receive, dispatch_uid="anymail_postal.replies")


def receive(sender: type, event: AnymailInboundEvent, esp_name: str, **kwargs: Any) -> None:
    """A receiver of Anymail's `inbound`: sends our signals if the mail answers something of ours."""
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
    """Why a matched mail is not to be acted on."""
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
    """The day in UTC on which an age that counts from now is reached."""
    if max_age is None:
        return None
    try:
        return (datetime.now(timezone.utc) + max_age).date()
    except OverflowError:
        raise ValueError(f"A max_age of {max_age} is out of all calendars.") from None


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
    """Where there are reply addresses in the mail, and the tokens in them."""
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
    """The Message-IDs that a mail answers: first the next one, then the thread from its newest mail."""
    for found in MESSAGE_ID.finditer(" ".join(_values(message, "In-Reply-To"))):
        yield "In-Reply-To", found[1]
    for message_id in reversed(MESSAGE_ID.findall(" ".join(_values(message, "References")))):
        yield "References", message_id


def _values(message: AnymailInboundMessage, name: str) -> list[str]:
    """The values of a header as written: what its parser would make of hostile ones does not matter here."""
    return [str(value) for key, value in message.raw_items() if key.lower() == name.lower()]


def _sender_matches(
    message: AnymailInboundMessage, user_id: int | None, config: conf.ServerConfig
) -> bool | None:
    """Whether the only From address is the user's. Case does not matter: few servers tell it apart."""
    if user_id is None or config.reply_sender_check == "off":
        return None
    expected = _email(user_id).lower()
    return bool(expected) and _senders(message) == [expected]


def _senders(message: AnymailInboundMessage) -> list[str]:
    """The From addresses, none where they are hidden in too much else."""
    values = _values(message, "From")
    if sum(map(len, values)) > MAX_SENDER:  # Python's parser takes time that grows with the square
        return []
    try:
        return [address.lower() for _, address in getaddresses(values)]
    except RecursionError:  # comments within comments
        return []


def _email(user_id: int) -> str:
    """The address of a user, "" if there is no such user."""
    try:
        users = get_user_model()
    except ImproperlyConfigured:
        return ""  # The project has no users; its ids are of something else.
    emails = users._default_manager.filter(pk=user_id).values_list(users.get_email_field_name(), flat=True)
    return emails.first() or ""


def _is_auto_response(message: AnymailInboundMessage) -> bool:
    """As far as the mail itself tells. Where there is an envelope, its sender None is the null one."""
    has_envelope = message.envelope_recipient is not None
    return is_auto_response(message, message.envelope_sender or ("" if has_envelope else "unknown"))
