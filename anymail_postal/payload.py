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
from .addresses import parsed_addresses, read_address, read_addresses
from .api import api_headers, read_data
from .ports import SentMessage

logger = logging.getLogger(__name__)


# What esp_extra tells the backend itself.
OWN_EXTRA = frozenset({"server", "api", "metadata"})
ADDRESS_HEADERS = frozenset({"from", "sender", "to", "cc", "bcc", "reply-to"})


@dataclass
class Call:
    """One call to Postal, and what the store remembers of the mail."""

    endpoint: Literal["send/message", "send/raw"]
    params: dict[str, Any]
    subject: str = ""
    tag: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


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
        result = read_data(response, wire.read_send, self.config.name, **context)
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
