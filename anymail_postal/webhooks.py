"""The views that Postal posts to: events of sent mail, and incoming mail.

Their answers decide what Postal does with the post: a wrong one bounces somebody's mail, or loses an event.
Postal retries after 5xx; it gives inbound mail back to its sender after every other refusal.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from anymail.exceptions import AnymailConfigurationError, AnymailWebhookValidationFailure
from anymail.signals import inbound, tracking
from anymail.webhooks.base import AnymailBaseWebhookView
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.dispatch import Signal
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from . import body as post_body
from . import conf, dedupe, events, keys, signals
from . import inbound as inbound_mail
from .dispatch import after_commit, find_enqueue
from .errors import KeysUnavailable, PostalError, UnknownServer, UnreadableBody
from .inbound_message import InboundMessage
from .ports import Claim, EventReceipt, MailReceipt, Receipt
from .reply_text import ReplyText, extract_reply, whole_text
from .signatures import read_signature, verify

logger = logging.getLogger(__name__)

UNSET: Any = object()
# While a message is younger, its row in the store may still be on its way.
YOUNG = timedelta(seconds=60)
# What Django would answer with 400, 403 or 404, whoever raises it.
ANSWERED_BY_DJANGO = (BadRequest, Http404, MultiPartParserError, PermissionDenied, SuspiciousOperation)

WRONG_URL = (
    "You seem to have set Postal's *{sent}* webhook to Anymail's Postal *{called}* webhook URL."
    " In Postal, webhooks belong to the tracking URL and HTTP endpoints to the inbound URL."
)


class ComeAgain(PostalError):
    """Not now: Postal is to post this again."""


class BodyTooLarge(PostalError):
    """The post is larger than POSTAL_INBOUND_MAX_BYTES."""


class ReceiverError(PostalError):
    """A receiver raised what Django answers with a 4xx, which would lose the event or bounce the mail."""


class PostalWebhookView(AnymailBaseWebhookView):
    """What both views do: find the server, check the request, run the receivers once.

    The settings in `conf.VIEW_OPTIONS` may be arguments of `as_view()` in lower case, such as `webhook_key`.
    """

    esp_name = "Postal"
    warn_if_no_basic_auth = False
    kind: ClassVar[str]

    server = conf.DEFAULT_SERVER
    webhook_secret: Any  # like all of `conf.VIEW_OPTIONS`, set below the class

    # A webhook may come before the backend has stored the message's metadata; a task comes late enough.
    may_wait = True

    # What is answered instead of an exception; all others are the 500 of a bug or a wrong setting.
    answers: Mapping[type[Exception], int] = {
        KeysUnavailable: 503,
        ComeAgain: 503,
        UnreadablePostError: 503,
    }

    def __init__(self, **kwargs: Any) -> None:
        # Anymail's base class takes these two out of the arguments.
        secret = kwargs.get("webhook_secret", kwargs.get("basic_auth", self.webhook_secret))
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.webhook_secret = secret
        self.config = conf.ServerConfig(self.server)
        self.posted = b""  # the verified bytes
        self.fields: dict[str, Any] = {}  # what they say

    # --- the request ---

    # As in Anymail's base class, but decorated once: doing it at every request costs more than the signature.
    dispatch = login_not_required(csrf_exempt(View.dispatch))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Check the post and run its receivers. Bodies of answers are empty: Postal keeps them in its log."""
        try:
            self.config = self.find_config(kwargs.get("server", self.server))
            self.basic_auth = list(self.config.webhook_secret)
            self.run_validators(request)
            content_type = request.META.get("CONTENT_TYPE", "")
            self.fields = self.parse(self.posted, content_type)
            self.check_age()
            if self.config.webhook_dispatch != "sync":
                return self.keep(content_type)
            found = self.parse_events(request)
        except tuple(self.answers) as error:
            return self.refuse(error)
        for event in found:
            with dedupe.receive(self.receipt(event), self.config) as claim:
                if claim is Claim.NEW:
                    self.send(event)
            if claim is Claim.RUNNING:
                return HttpResponse(status=503)
        return HttpResponse()

    def find_config(self, server: str) -> conf.ServerConfig:
        """The settings of the server in the URL, under the arguments of `as_view()`."""
        values = {name: getattr(self, name) for name in conf.VIEW_OPTIONS}
        options = {name: value for name, value in values.items() if value is not UNSET}
        return conf.kept_server(server, options)

    def run_validators(self, request: HttpRequest) -> None:
        """Anymail's validators, basic auth first: it costs nothing, while the signature needs the body."""
        for validator in reversed(self.validators):
            validator(self, request)

    def validate_request(self, request: HttpRequest) -> None:
        """Check the signature over the exact bytes, before anything reads them.

        Raises `WebhookSignatureError`, or `KeysUnavailable` if it cannot be checked now.
        """
        sources = keys.sources(self.config)
        signature = read_signature(
            request.META.get("HTTP_X_POSTAL_SIGNATURE_256"),
            request.META.get("HTTP_X_POSTAL_SIGNATURE"),
            request.META.get("HTTP_X_POSTAL_SIGNATURE_KID"),
            allow_sha1=self.config.webhook_allow_sha1,
        )
        self.posted = self.read_body(request)
        verify(self.posted, signature, sources.candidates(signature.key_id))

    def refuse(self, error: Exception) -> HttpResponse:
        """The answer to a post that is not taken."""
        status = self.status_for(error)
        logger.warning("Postal's %s post is answered %d: %s", self.kind, status, error)
        return HttpResponse(status=status)

    def status_for(self, error: Exception) -> int:
        """The row of `answers` for this exception."""
        return next(status for kind, status in self.answers.items() if isinstance(error, kind))

    # --- what the two views differ in ---

    @abstractmethod
    def read_body(self, request: HttpRequest) -> bytes:
        """The bytes of the post, as far as their size is allowed."""

    @abstractmethod
    def parse(self, body: bytes, content_type: str) -> dict[str, Any]:
        """The fields of a post. Raises `UnreadableBody`; `AnymailConfigurationError` at the wrong view."""

    def check_age(self) -> None:
        """Raises `AnymailWebhookValidationFailure` for a post that is too old to be taken."""

    @abstractmethod
    def read(self, fields: Mapping[str, Any]) -> list[Any]:
        """The events in a post. Raises `UnreadableBody`."""

    @abstractmethod
    def receipt(self, event: Any) -> Receipt:
        """What is remembered of the post."""

    @abstractmethod
    def receipt_to_keep(self) -> Receipt | None:
        """The same for a post that a task will read; None if there is nothing to do."""

    @abstractmethod
    def send(self, event: Any) -> None:
        """Call the receivers."""

    # --- events ---

    def parse_events(self, request: HttpRequest) -> list[Any]:
        """The events in a verified request."""
        return self.read(self.fields)

    def keep(self, content_type: str) -> HttpResponse:
        """Keep the post in the store, and have a task or callable run its receivers."""
        receipt = self.receipt_to_keep()
        if receipt is not None:
            enqueue = find_enqueue(self.config.webhook_dispatch)
            store = conf.require_store("POSTAL_WEBHOOK_DISPATCH")
            delivery_id = store.keep(receipt, self.posted, content_type)
            if delivery_id is not None:
                after_commit(partial(enqueue, delivery_id))
        return HttpResponse()

    def call_receivers(self, signal: Signal, **arguments: Any) -> None:
        """Call a signal's receivers, the first exception of which is a 500 whatever it is."""
        try:
            signal.send(sender=type(self), esp_name=self.esp_name, **arguments)
        except ANSWERED_BY_DJANGO as error:
            raise ReceiverError(f"A receiver raised {type(error).__name__}: {error}") from error


# `as_view()` takes an argument only where the class has an attribute of that name.
for _option in conf.VIEW_OPTIONS:
    setattr(PostalWebhookView, _option, UNSET)


class PostalTrackingWebhookView(PostalWebhookView):
    """Takes Postal's webhooks: delivery events, bounces, opens, clicks, and events of the server itself."""

    kind = "tracking"
    signal = tracking  # type: ignore[assignment]
    event_types: Mapping[str, str] = events.EVENT_TYPES
    answers = {
        **PostalWebhookView.answers,
        UnknownServer: 404,
        AnymailWebhookValidationFailure: 400,
        RequestDataTooBig: 400,
        UnreadableBody: 400,
    }

    def read_body(self, request: HttpRequest) -> bytes:
        """The body, within Django's DATA_UPLOAD_MAX_MEMORY_SIZE."""
        return request.body

    def parse(self, body: bytes, content_type: str) -> dict[str, Any]:
        """The fields of a webhook."""
        fields = post_body.parse(body, content_type)
        if "rcpt_to" in fields:
            raise AnymailConfigurationError(WRONG_URL.format(sent="inbound", called="tracking"))
        if not post_body.is_object(body):
            raise UnreadableBody("Webhooks are JSON, not forms.")
        return fields

    def check_age(self) -> None:
        """Refuses posts older than POSTAL_WEBHOOK_MAX_AGE."""
        max_age = self.config.webhook_max_age
        if max_age is None:
            return
        created_at = post_body.time(self.fields, "timestamp")
        if created_at is None or timezone.now() - created_at > max_age:
            raise AnymailWebhookValidationFailure("The post is older than POSTAL_WEBHOOK_MAX_AGE.")

    def read(self, fields: Mapping[str, Any]) -> list[events.TrackingEvent]:
        """The event in a webhook; none for incoming mail that was delivered."""
        event = events.read(
            fields,
            server=self.config.name,
            event_types=self.event_types,
            hardfail_as_bounced=self.config.hardfail_as_bounced,
            held_suppressed_as_rejected=self.config.held_suppressed_as_rejected,
            tag_separator=self.config.tag_separator,
            find_metadata=self.find_metadata,
        )
        return [] if event.postal.is_incoming and event.postal.status == "Sent" else [event]

    def find_metadata(self, facts: events.PostalEvent) -> dict[str, Any] | None:
        """The metadata of a sent message, from its Message-ID or the store; None if unknown.

        Raises `ComeAgain` if the store may still be about to learn of the message.
        """
        from .metadata import open_message_id  # noqa: PLC0415  (needs cryptography, which may be missing)

        found = open_message_id(facts.rfc_message_id or "", self.secrets())
        store = conf.store()
        if found is not None or store is None or facts.id is None:
            return found
        found = store.metadata(facts.server, facts.id)
        if found is None and self.may_wait and is_young(facts):
            raise ComeAgain(f"Message {facts.id} is not in the store yet.")
        return found

    def secrets(self) -> Iterator[bytes]:
        """What metadata may be sealed with; looked up only for a Message-ID that looks sealed."""
        yield from conf.secret_keys(self.config)

    def receipt(self, event: events.TrackingEvent) -> EventReceipt:
        """What is remembered of the event."""
        facts = event.postal
        return EventReceipt(
            server=facts.server,
            key=dedupe.event_key(facts.server, event.event_id, facts.name, facts.id, self.posted),
            name=facts.name,
            event_type=event.event_type,
            postal_id=facts.id,
            recipient=event.recipient or "",
            # Opens and clicks have no time of their own, only the post's.
            occurred_at=facts.occurred_at if facts.status or facts.bounce_id else None,
            reject_reason=event.reject_reason,
            details=facts.details or "",
            output=facts.output or "",
        )

    def receipt_to_keep(self) -> EventReceipt | None:
        """The receipt of the event in the post."""
        found = self.read(self.fields)
        return self.receipt(found[0]) if found else None

    def send(self, event: events.TrackingEvent) -> None:
        """Call the receivers of `tracking`, or those of our own signals."""
        facts = event.postal
        own = own_signal(facts)
        if own is not None:
            self.call_receivers(own, event=event, server=facts.server)
        if own is None or (not facts.is_incoming and self.config.server_events_on_tracking):
            self.call_receivers(self.signal, event=event)


class PostalInboundWebhookView(PostalWebhookView):
    """Takes incoming mail from a Postal HTTP endpoint, in any format and encoding."""

    kind = "inbound"
    signal = inbound  # type: ignore[assignment]
    answers = {
        **PostalWebhookView.answers,
        UnknownServer: 503,
        AnymailWebhookValidationFailure: 400,  # or POSTAL_INBOUND_REFUSAL_STATUS
        BodyTooLarge: 413,
        UnreadableBody: 503,
    }

    def status_for(self, error: Exception) -> int:
        """The row of `answers`; for proven strangers what the settings say."""
        if isinstance(error, AnymailWebhookValidationFailure):
            return self.config.inbound_refusal_status
        return super().status_for(error)

    def read_body(self, request: HttpRequest) -> bytes:
        """The body, within POSTAL_INBOUND_MAX_BYTES.

        Read from the stream: `request.body` has Django's limit, whose answer bounces every larger mail.
        """
        limit = self.config.inbound_max_bytes
        declared = request.META.get("CONTENT_LENGTH") or "0"
        if declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) > limit:
            raise BodyTooLarge(f"The post has {declared} bytes, more than POSTAL_INBOUND_MAX_BYTES.")
        body = request.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge("The post has more bytes than POSTAL_INBOUND_MAX_BYTES.")
        return body

    def parse(self, body: bytes, content_type: str) -> dict[str, Any]:
        """The fields of a post, unless it is a webhook."""
        fields = post_body.parse(body, content_type)
        if "status" in fields or ("event" in fields and "payload" in fields):
            raise AnymailConfigurationError(WRONG_URL.format(sent="tracking", called="inbound"))
        return fields

    def read(self, fields: Mapping[str, Any]) -> list[inbound_mail.InboundEvent]:
        """The mail in a post."""
        event = inbound_mail.read(fields, server=self.config.name)
        if self.config.strip_replies:
            self.strip_reply(event.message)
        return [event]

    def strip_reply(self, message: InboundMessage) -> None:
        """Fill in the new part of a reply, or all of a mail that is none. There is always a text.

        Postal's own `strip_replies` has a say first.
        """
        from .replies import is_answer  # noqa: PLC0415  (its users may be missing)

        text = message.text if message.stripped_text is None else message.stripped_text
        languages, server = self.config.reply_languages, self.config.name
        try:
            if is_answer(message, server=server):
                reply = extract_reply(text, message.html, languages, server=server)
            else:
                reply = whole_text(text, message.html, server=server)
        except Exception:  # A fault of ours: no reason to give a mail back to its sender.
            logger.exception("A reply could not be taken apart.")
            reply = ReplyText(text, message.html)
        message.stripped_text, message.stripped_html = reply.text or "", reply.html

    def receipt(self, event: inbound_mail.InboundEvent) -> MailReceipt:
        """What is remembered of the mail."""
        return self._receipt(event.esp_event, event.message.subject)

    def receipt_to_keep(self) -> MailReceipt:
        """The receipt of the mail in the post, whose body a task will read."""
        return self._receipt(self.fields, inbound_mail.subject(self.fields))

    def _receipt(self, fields: Mapping[str, Any], subject: str | None) -> MailReceipt:
        postal_id, reverse_path, recipient = inbound_mail.envelope(fields)
        return MailReceipt(
            server=self.config.name,
            key=dedupe.mail_key(self.config.name, postal_id, self.posted),
            postal_id=postal_id,
            sender=reverse_path or "",
            recipient=recipient,
            subject=str(subject or ""),
        )

    def send(self, event: inbound_mail.InboundEvent) -> None:
        """Call the receivers of `inbound`."""
        self.call_receivers(self.signal, event=event)


VIEWS: dict[str, type[PostalWebhookView]] = {
    view.kind: view for view in (PostalTrackingWebhookView, PostalInboundWebhookView)
}


# --- posts handled outside of their request ---


def handle_delivery(delivery_id: str) -> None:
    """Run the receivers for a post that a view has kept: the work of a task, or of your Celery task.

    Does nothing if it was handled before. If a receiver raises, the post stays as it was.
    """
    with conf.require_store("POSTAL_WEBHOOK_DISPATCH").delivery(delivery_id) as delivery:
        if delivery is not None:
            handle(delivery.kind, delivery.server, delivery.body, delivery.content_type)


def handle(kind: str, server: str, body: bytes, content_type: str) -> list[Any]:
    """Run the receivers for a trusted post, and return its events. `kind` is "tracking" or "inbound".

    Raises `UnreadableBody`, `AnymailConfigurationError`, and what receivers raise.
    """
    view = VIEWS[kind](server=server, may_wait=False)
    view.config, view.posted = view.find_config(server), body
    found = view.read(view.parse(body, content_type))
    for event in found:
        view.send(event)
    return found


# --- small questions ---


def own_signal(facts: events.PostalEvent) -> Signal | None:
    """The signal of ours for an event that is not about a message we sent."""
    if facts.is_incoming:
        return signals.inbound_failed
    if facts.name == "DomainDNSError":
        return signals.domain_dns_error
    return signals.send_limit if facts.name in events.SEND_LIMIT_EVENTS else None


def is_young(facts: events.PostalEvent) -> bool:
    """Did Postal take this message less than a minute ago?"""
    return facts.stored_at is not None and abs(timezone.now() - facts.stored_at) < YOUNG
