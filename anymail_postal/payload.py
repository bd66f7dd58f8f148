"""What each way of sending a mail has in common: the call, and the status of its recipients."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import requests
from anymail.backends.base_requests import AnymailRequestsBackend, RequestsPayload
from anymail.message import AnymailRecipientStatus
from anymail.utils import EmailAddress, parse_address_list, parse_single_address
from django.core.mail import EmailMessage
from requests.structures import CaseInsensitiveDict

from . import conf, mime, wire
from .addresses import parse_addresses, read_address, read_addresses
from .api import api_headers, read_data
from .ports import SentMessage

logger = logging.getLogger(__name__)


# Keys of esp_extra that are for the backend and not for Postal.
OWN_EXTRA_KEYS = frozenset({"server", "api", "metadata"})
ADDRESS_HEADERS = frozenset({"from", "sender", "to", "cc", "bcc", "reply-to"})


@dataclass
class ApiCall:
    """One call of Postal's API, and what the store records of the mail.

    `endpoint` is the path below /api/v1, `params` the JSON body.
    """

    endpoint: Literal["send/message", "send/raw"]
    params: dict[str, Any]
    subject: str = ""
    tag: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class PostalPayload(RequestsPayload):
    """What both kinds of payload have in common: the server's settings and the status of the recipients.

    `call` is the one whose request parameters Anymail asks for. `is_personal`: each To recipient gets a call
    of their own. `is_scheduled`: no call is made before `send_at`.
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
    backend: AnymailRequestsBackend
    message: EmailMessage

    def __init__(
        self,
        message: EmailMessage,
        defaults: dict[str, Any],
        backend: AnymailRequestsBackend,
        config: conf.ServerConfig,
    ) -> None:
        self.config = config
        self.api_url = f"{config.required('api_url')}/"
        self.call = ApiCall("send/message", {})
        # The spelling in the mail, by the lower-case spelling on the wire.
        self.original_addresses: dict[str, str] = {}
        self.statuses: dict[str, AnymailRecipientStatus] = {}
        super().__init__(message, defaults, backend, headers=api_headers(config.required("api_key")))  # type: ignore[no-untyped-call]

    def process_extra_headers(self, headers: Mapping[str, Any]) -> None:
        """Set the headers. Raises `PostalHeaderError` for a line break in one that holds addresses."""
        for name, value in headers.items():
            if name.lower() in ADDRESS_HEADERS:
                mime.check_line(name, str(value))
        headers = CaseInsensitiveDict(headers)
        reply_to = headers.pop("Reply-To", None)  # often from a form, so it is read as hostile
        if reply_to:
            self.set_reply_to(parse_addresses([reply_to], "extra_headers['Reply-To']"))
        super().process_extra_headers(headers)  # type: ignore[no-untyped-call]

    def call_builders(self) -> Iterator[Callable[[], ApiCall]]:
        """A function for each call that sends this mail, which builds that call.

        A call is built when it is its turn, because those of a large batch would take much memory together.
        Building it raises an `AnymailError` if Postal's API cannot express it.
        """
        raise NotImplementedError

    def schedule(self) -> None:
        """Keep the calls in the store until `send_at`."""
        raise NotImplementedError

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
        """Addresses for `send/message`: display names in Unicode, domains in ASCII."""
        return [email.format(idna_encode=self.backend.idna_encode) for email in emails]

    def add_status(self, email: EmailAddress) -> bool:
        """Give a recipient the status "unknown". False if the address has a status already."""
        address = self.wire_address(email).lower()
        if address in self.original_addresses:
            return False
        self.original_addresses[address] = email.addr_spec
        self.statuses[email.addr_spec] = AnymailRecipientStatus(None, "unknown")
        return True

    def original_address(self, address: str) -> str:
        """The spelling that the mail has for an address from Postal's answer."""
        return self.original_addresses.get(address.lower(), address)

    def record_answer(self, response: requests.Response) -> None:
        """Set the recipients' status by Postal's answer to the call, and record the messages in the store.

        Raises `PostalAPIError` if the answer is not a success.
        """
        context = {"email_message": self.message, "payload": self, "backend": self.backend}
        result = read_data(response, wire.read_send, self.config.name, **context)
        for address, message_id in result.messages.items():
            self.statuses[self.original_address(address)] = AnymailRecipientStatus(message_id, "queued")
        self.store_sent(result)

    def fail_unanswered(self) -> None:
        """Give recipients that no answer has named the status "failed"."""
        for address, status in self.statuses.items():
            if status.status == "unknown":
                self.statuses[address] = AnymailRecipientStatus(None, "failed")

    def store_sent(self, result: wire.SendResult) -> None:
        """Record the accepted messages in the store, if there is one.

        Database errors are only logged: Postal has accepted the mail, and an exception would make the caller
        send it again.
        """
        store = conf.store()
        if store is None:
            return
        sent = [
            SentMessage(
                postal_id=int(message_id),
                token=message_id.token,
                recipient=self.original_address(address),
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
