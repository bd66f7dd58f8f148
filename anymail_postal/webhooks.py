"""The views for Postal's webhooks (events of sent mail) and HTTP endpoints (incoming mail).

The status of the response decides what Postal does next, so a wrong one loses an event or bounces mail:
Postal repeats a request after 5xx, and returns incoming mail to its sender after any other error
(contract 3.5 and 4.9).
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
from .replies import is_answer
from .reply_text import ReplyText, extract_reply, whole_text
from .signatures import read_signature, verify

logger = logging.getLogger(__name__)

UNSET: Any = object()
# For so long after Postal has accepted a message, its row in the store may not be committed yet.
STORE_DELAY = timedelta(seconds=60)
# Exceptions for which Django responds with 400, 403 or 404.
CLIENT_ERRORS = (BadRequest, Http404, MultiPartParserError, PermissionDenied, SuspiciousOperation)

WRONG_URL = (
    "You seem to have set Postal's *{sent}* webhook to Anymail's Postal *{called}* webhook URL."
    " In Postal, webhooks belong to the tracking URL and HTTP endpoints to the inbound URL."
)


class RetryLater(PostalError):
    """The request cannot be handled yet; Postal has to repeat it."""


class BodyTooLarge(PostalError):
    """The request is larger than POSTAL_INBOUND_MAX_BYTES."""


class ReceiverError(PostalError):
    """A receiver raised an exception that Django would turn into a 4xx, so that the event or mail is lost."""


class PostalWebhookView(AnymailBaseWebhookView):
    """The base of both views: finds the server, verifies the request and runs its receivers once.

    The settings in `conf.VIEW_OPTIONS` may be arguments of `as_view()` in lower case, such as `webhook_key`.
    """

    esp_name = "Postal"
    warn_if_no_basic_auth = False
    kind: ClassVar[str]

    server = conf.DEFAULT_SERVER
    webhook_secret: Any  # like all of `conf.VIEW_OPTIONS`, set below the class

    # May Postal be asked to repeat a webhook that arrives before the store has the message?
    may_retry = True

    # The HTTP status for an exception. All others are a bug or a wrong setting, and become a 500.
    error_statuses: Mapping[type[Exception], int] = {
        KeysUnavailable: 503,
        RetryLater: 503,
        UnreadablePostError: 503,
    }

    def __init__(self, **kwargs: Any) -> None:
        # Anymail's base class removes these two from the arguments.
        secret = kwargs.get("webhook_secret", kwargs.get("basic_auth", self.webhook_secret))
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.webhook_secret = secret
        self.config = conf.ServerConfig(self.server)
        self.body = b""  # as signed; read by `validate_request`
        self.fields: dict[str, Any] = {}  # the parsed body

    # --- the request ---

    # As in Anymail's base class, which decorates anew for each request: that takes longer than the signature.
    dispatch = login_not_required(csrf_exempt(View.dispatch))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Verify the request and run its receivers. Responses have no body, because Postal logs it."""
        try:
            self.config = self.find_config(kwargs.get("server", self.server))
            self.basic_auth = list(self.config.webhook_secret)
            self.run_validators(request)
            content_type = request.META.get("CONTENT_TYPE", "")
            self.fields = self.parse_fields(self.body, content_type)
            self.check_age()
            if self.config.webhook_dispatch != "sync":
                return self.defer(content_type)
            parsed_events = self.parse_events(request)
        except tuple(self.error_statuses) as error:
            return self.error_response(error)
        for event in parsed_events:
            with dedupe.receive(self.event_receipt(event), self.config) as claim:
                if claim is Claim.NEW:
                    self.send_signals(event)
            if claim is Claim.RUNNING:
                return HttpResponse(status=503)
        return HttpResponse()

    def find_config(self, server: str) -> conf.ServerConfig:
        """The settings of a server by its name in the URL. Arguments of `as_view()` take precedence."""
        values = {name: getattr(self, name) for name in conf.VIEW_OPTIONS}
        options = {name: value for name, value in values.items() if value is not UNSET}
        return conf.cached_server(server, options)

    def run_validators(self, request: HttpRequest) -> None:
        """Run Anymail's validators, basic authentication first: unlike the signature it needs no body."""
        for validator in reversed(self.validators):
            validator(self, request)

    def validate_request(self, request: HttpRequest) -> None:
        """Verify the signature of the body before it is parsed.

        Raises `WebhookSignatureError`, or `KeysUnavailable` if the signature cannot be checked now.
        """
        sources = keys.sources(self.config)
        signature = read_signature(
            request.META.get("HTTP_X_POSTAL_SIGNATURE_256"),
            request.META.get("HTTP_X_POSTAL_SIGNATURE"),
            request.META.get("HTTP_X_POSTAL_SIGNATURE_KID"),
            allow_sha1=self.config.webhook_allow_sha1,
        )
        self.body = self.read_body(request)
        verify(self.body, signature, sources.candidates(signature.key_id))

    def error_response(self, error: Exception) -> HttpResponse:
        """The response to a request that raised one of `error_statuses`; logs the error."""
        status = self.error_status(error)
        logger.warning("Postal's %s request is answered %d: %s", self.kind, status, error)
        return HttpResponse(status=status)

    def error_status(self, error: Exception) -> int:
        """The HTTP status for an exception of `error_statuses`."""
        return next(status for kind, status in self.error_statuses.items() if isinstance(error, kind))

    # --- what the two views differ in ---

    @abstractmethod
    def read_body(self, request: HttpRequest) -> bytes:
        """The body of the request. Raises an exception of `error_statuses` if it is too large."""

    @abstractmethod
    def parse_fields(self, body: bytes, content_type: str) -> dict[str, Any]:
        """The fields of a body, which is a JSON object or a form.

        Raises `UnreadableBody`, and `AnymailConfigurationError` if the request is for the other view.
        """

    def check_age(self) -> None:
        """Raises `AnymailWebhookValidationFailure` if the request is too old."""

    @abstractmethod
    def read_events(self, fields: Mapping[str, Any]) -> list[Any]:
        """The events in the fields of a request: one, or none. Raises `UnreadableBody`."""

    @abstractmethod
    def event_receipt(self, event: Any) -> Receipt:
        """What de-duplication and the store remember of an event."""

    @abstractmethod
    def deferred_receipt(self) -> Receipt | None:
        """The same for a request whose events a task will read; None if there is nothing to do."""

    @abstractmethod
    def send_signals(self, event: Any) -> None:
        """Run the receivers of an event."""

    # --- events ---

    def parse_events(self, request: HttpRequest) -> list[Any]:
        """The events in a verified request; the method that Anymail's views are extended by."""
        return self.read_events(self.fields)

    def defer(self, content_type: str) -> HttpResponse:
        """Keep the request in the store for a task or callable, which runs the receivers later."""
        receipt = self.deferred_receipt()
        if receipt is not None:
            enqueue = find_enqueue(self.config.webhook_dispatch)
            store = conf.require_store("POSTAL_WEBHOOK_DISPATCH")
            delivery_id = store.keep(receipt, self.body, content_type)
            if delivery_id is not None:
                after_commit(partial(enqueue, delivery_id))
        return HttpResponse()

    def call_receivers(self, signal: Signal, **arguments: Any) -> None:
        """Send a signal. Raises what the first failing receiver raises, so that the response is a 500."""
        try:
            signal.send(sender=type(self), esp_name=self.esp_name, **arguments)
        except CLIENT_ERRORS as error:
            raise ReceiverError(f"A receiver raised {type(error).__name__}: {error}") from error


# `as_view()` takes an argument only where the class has an attribute of that name.
for _option in conf.VIEW_OPTIONS:
    setattr(PostalWebhookView, _option, UNSET)


class PostalTrackingWebhookView(PostalWebhookView):
    """Receives Postal's webhooks: deliveries, bounces, opens, clicks, and events of the server itself."""

    kind = "tracking"
    signal = tracking  # type: ignore[assignment]
    event_types: Mapping[str, str] = events.EVENT_TYPES
    error_statuses = {
        **PostalWebhookView.error_statuses,
        UnknownServer: 404,
        AnymailWebhookValidationFailure: 400,
        RequestDataTooBig: 400,
        UnreadableBody: 400,
    }

    def read_body(self, request: HttpRequest) -> bytes:
        """The body, limited by Django's DATA_UPLOAD_MAX_MEMORY_SIZE."""
        return request.body

    def parse_fields(self, body: bytes, content_type: str) -> dict[str, Any]:
        """The fields of a webhook, which is a JSON object."""
        fields = post_body.parse(body, content_type)
        if "rcpt_to" in fields:
            raise AnymailConfigurationError(WRONG_URL.format(sent="inbound", called="tracking"))
        if not post_body.is_object(body):
            raise UnreadableBody("Webhooks are JSON, not forms.")
        return fields

    def check_age(self) -> None:
        """Refuse webhooks older than POSTAL_WEBHOOK_MAX_AGE."""
        max_age = self.config.webhook_max_age
        if max_age is None:
            return
        created_at = post_body.time(self.fields, "timestamp")
        if created_at is None or timezone.now() - created_at > max_age:
            raise AnymailWebhookValidationFailure("The webhook is older than POSTAL_WEBHOOK_MAX_AGE.")

    def read_events(self, fields: Mapping[str, Any]) -> list[events.TrackingEvent]:
        """The event in a webhook; none if it only says that incoming mail was delivered."""
        event = events.read(
            fields,
            server=self.config.name,
            event_types=self.event_types,
            options=events.Options(
                hardfail_as_bounced=self.config.hardfail_as_bounced,
                blocked_as_failed=self.config.blocked_as_failed,
                held_suppressed_as_rejected=self.config.held_suppressed_as_rejected,
            ),
            tag_separator=self.config.tag_separator,
            find_metadata=self.find_metadata,
        )
        return [] if event.postal.is_incoming and event.postal.status == "Sent" else [event]

    def find_metadata(self, facts: events.PostalEvent) -> dict[str, Any] | None:
        """The metadata of a sent message from its Message-ID or the store, None if unknown.

        Raises `RetryLater` if the message is so new that the store may not have it yet.
        """
        from .metadata import open_message_id  # noqa: PLC0415  (needs cryptography, which may be missing)

        metadata = open_message_id(facts.rfc_message_id or "", self.secret_keys())
        store = conf.store()
        if metadata is not None or store is None or facts.id is None:
            return metadata
        metadata = store.metadata(facts.server, facts.id)
        if metadata is None and self.may_retry and is_recent(facts):
            raise RetryLater(f"Message {facts.id} is not in the store yet.")
        return metadata

    def secret_keys(self) -> Iterator[bytes]:
        """The keys that may open a sealed Message-ID; read only when there is one."""
        yield from conf.secret_keys(self.config)

    def event_receipt(self, event: events.TrackingEvent) -> EventReceipt:
        facts = event.postal
        return EventReceipt(
            server=facts.server,
            key=dedupe.event_key(facts.server, event.event_id, facts.name, facts.id, self.body),
            name=facts.name,
            event_type=event.event_type,
            postal_id=facts.id,
            recipient=event.recipient or "",
            occurred_at=facts.occurred_at if is_dated(facts) else None,
            reject_reason=event.reject_reason,
            failure_class=facts.failure_class or "",
            details=event.description or "",
            output=event.mta_response or "",
            may_suppress=facts.may_suppress,
        )

    def deferred_receipt(self) -> EventReceipt | None:
        """The receipt of the event in the webhook."""
        read_events = self.read_events(self.fields)
        return self.event_receipt(read_events[0]) if read_events else None

    def send_signals(self, event: events.TrackingEvent) -> None:
        """Send `tracking`, or one of our own signals, or both."""
        facts = event.postal
        own = own_signal(facts)
        if own is not None:
            self.call_receivers(own, event=event, server=facts.server)
        if own is None or (not facts.is_incoming and self.config.server_events_on_tracking):
            self.call_receivers(self.signal, event=event)


class PostalInboundWebhookView(PostalWebhookView):
    """Receives incoming mail from a Postal HTTP endpoint, in any of its formats and encodings."""

    kind = "inbound"
    signal = inbound  # type: ignore[assignment]
    error_statuses = {
        **PostalWebhookView.error_statuses,
        UnknownServer: 503,
        AnymailWebhookValidationFailure: 400,  # or POSTAL_INBOUND_REFUSAL_STATUS
        BodyTooLarge: 413,
        UnreadableBody: 503,
    }

    def error_status(self, error: Exception) -> int:
        """The HTTP status for an exception: POSTAL_INBOUND_REFUSAL_STATUS if the request is not Postal's."""
        if isinstance(error, AnymailWebhookValidationFailure):
            return self.config.inbound_refusal_status
        return super().error_status(error)

    def read_body(self, request: HttpRequest) -> bytes:
        """The body, limited by POSTAL_INBOUND_MAX_BYTES.

        It is read from the stream, because `request.body` raises above Django's own, lower limit.
        """
        limit = self.config.inbound_max_bytes
        declared = request.META.get("CONTENT_LENGTH") or "0"
        if declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) > limit:
            raise BodyTooLarge(f"The request has {declared} bytes, more than POSTAL_INBOUND_MAX_BYTES.")
        body = request.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge("The request has more bytes than POSTAL_INBOUND_MAX_BYTES.")
        return body

    def parse_fields(self, body: bytes, content_type: str) -> dict[str, Any]:
        """The fields of an endpoint's request."""
        fields = post_body.parse(body, content_type)
        if "status" in fields or ("event" in fields and "payload" in fields):
            raise AnymailConfigurationError(WRONG_URL.format(sent="tracking", called="inbound"))
        return fields

    def read_events(self, fields: Mapping[str, Any]) -> list[inbound_mail.InboundEvent]:
        """The incoming mail as an event."""
        event = inbound_mail.read(fields, server=self.config.name)
        if self.config.strip_replies:
            self.strip_reply(event.message)
        return [event]

    def strip_reply(self, message: InboundMessage) -> None:
        """Set `stripped_text` and `stripped_html`: the new part of a reply, or all of any other mail.

        `stripped_text` is never None. Where Postal has separated the reply already, its text is the input.
        """
        text = message.text if message.stripped_text is None else message.stripped_text
        languages, server = self.config.reply_languages, self.config.name
        try:
            if is_answer(message, server=server):
                reply = extract_reply(text, message.html, languages, server=server)
            else:
                reply = whole_text(text, message.html, server=server)
        except Exception:  # a bug of ours must not bounce the mail
            logger.exception("The new part of a reply could not be found.")
            reply = ReplyText(text, message.html)
        message.stripped_text, message.stripped_html = reply.text or "", reply.html

    def event_receipt(self, event: inbound_mail.InboundEvent) -> MailReceipt:
        return self.mail_receipt(event.esp_event, event.message.subject)

    def deferred_receipt(self) -> MailReceipt:
        """The receipt of the mail in the request, which only a task will parse."""
        return self.mail_receipt(self.fields, inbound_mail.subject(self.fields))

    def mail_receipt(self, fields: Mapping[str, Any], subject: str | None) -> MailReceipt:
        """The receipt of a mail by the fields of its request."""
        postal_id, reverse_path, recipient = inbound_mail.envelope(fields)
        return MailReceipt(
            server=self.config.name,
            key=dedupe.mail_key(self.config.name, postal_id, self.body),
            postal_id=postal_id,
            sender=reverse_path or "",
            recipient=recipient,
            subject=str(subject or ""),
        )

    def send_signals(self, event: inbound_mail.InboundEvent) -> None:
        """Send `inbound`."""
        self.call_receivers(self.signal, event=event)


VIEWS: dict[str, type[PostalWebhookView]] = {
    view.kind: view for view in (PostalTrackingWebhookView, PostalInboundWebhookView)
}


# --- requests handled outside of the view ---


def handle_delivery(delivery_id: str) -> None:
    """Run the receivers for a request that a view has kept: what a task, such as yours for Celery, has to do.

    Does nothing if the request has been handled. If a receiver raises, the request stays unhandled.
    """
    with conf.require_store("POSTAL_WEBHOOK_DISPATCH").delivery(delivery_id) as delivery:
        if delivery is not None:
            handle_request(delivery.kind, delivery.server, delivery.body, delivery.content_type)


def handle_request(kind: str, server: str, body: bytes, content_type: str) -> list[Any]:
    """Run the receivers for a trusted request, and return its events.

    `kind` is "tracking" or "inbound", `server` the name of a server. Raises `UnreadableBody`,
    `AnymailConfigurationError`, and what the receivers raise.
    """
    view = VIEWS[kind](server=server, may_retry=False)
    view.config, view.body = view.find_config(server), body
    read_events = view.read_events(view.parse_fields(body, content_type))
    for event in read_events:
        view.send_signals(event)
    return read_events


# --- questions about events ---


def own_signal(facts: events.PostalEvent) -> Signal | None:
    """Our signal for an event that is not about a message sent by us; None for all others."""
    if facts.is_incoming:
        return signals.inbound_failed
    if facts.name == "DomainDNSError":
        return signals.domain_dns_error
    if facts.name in events.SUPPRESSION_EVENTS:
        return signals.suppression_changed
    return signals.send_limit if facts.name in events.SEND_LIMIT_EVENTS else None


def is_dated(facts: events.PostalEvent) -> bool:
    """Has the event a time of its own? Opens and clicks have only the post's."""
    return bool(facts.status or facts.bounce_id) or facts.name in events.BEYOND_POSTAL


def is_recent(facts: events.PostalEvent) -> bool:
    """Has Postal accepted the message less than `STORE_DELAY` ago?"""
    return facts.stored_at is not None and abs(timezone.now() - facts.stored_at) < STORE_DELAY
