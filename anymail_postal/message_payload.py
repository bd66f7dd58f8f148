"""Mail by `send/message` only, as Anymail documents its own Postal backend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from anymail.backends.base_requests import AnymailRequestsBackend
from anymail.utils import Attachment, EmailAddress
from django.core.mail import EmailMessage

from . import conf
from .contents import attachment_params
from .payload import ApiCall, PostalPayload

logger = logging.getLogger(__name__)


class MessagePayload(PostalPayload):
    """A mail for `send/message`, as django-anymail's own Postal backend sends it."""

    def __init__(
        self,
        message: EmailMessage,
        defaults: dict[str, Any],
        backend: AnymailRequestsBackend,
        config: conf.ServerConfig,
        own_keys: frozenset[str] = frozenset(),
    ) -> None:
        self.own_keys = own_keys  # keys of esp_extra that are for the backend and not for Postal
        self.recipients: list[EmailAddress] = []
        super().__init__(message, defaults, backend, config)

    def call_builders(self) -> Iterator[Callable[[], ApiCall]]:
        yield self.single_call

    def single_call(self) -> ApiCall:
        for email in self.recipients:
            self.add_status(email)
        return ApiCall(
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
        self.data.update({key: value for key, value in extra.items() if key not in self.own_keys})
